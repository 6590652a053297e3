from django.apps import AppConfig

# Imported for its effect: the Celery app exists before any task is enqueued.
from config.celery import app as celery_app

__all__ = ["ConfigConfig", "celery_app"]


class ConfigConfig(AppConfig):
    name = "config"
    label = "config"
