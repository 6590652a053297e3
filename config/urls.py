"""Every route. Its rule is in config/rules.py."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from registry.api.health import Alive, Ready

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("healthz", Alive.as_view(), name="healthz"),
    path("readyz", Ready.as_view(), name="readyz"),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="schema"),
    # Split: its script comes from an address of ours, so the content policy needs no exception for it.
    path("api/v1/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("api/v1/", include("registry.urls")),
    path("api/v1/", include("registry.artifact_urls")),
    path("api/v1/", include("lineage.urls")),
    path("api/v1/", include("lifecycle.urls")),
    path("api/v1/", include("lifecycle.retention_urls")),
    path("api/v1/", include("protocols.openlineage.urls")),
    path("", include("console.urls")),
]
