from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps

# Imported for its effect: the Celery app exists before any task is enqueued.
from config.celery import app as celery_app

__all__ = ["AssayAdminConfig", "ConfigConfig", "celery_app"]


class ConfigConfig(AppConfig):
    name = "config"
    label = "config"
    default = True


class AssayAdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site: who enters is decided by roles."""

    default = False
    default_site = "registry.http.admin_site.Site"
