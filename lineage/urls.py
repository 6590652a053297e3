"""Routes; each has its rule in config/rules.py."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
