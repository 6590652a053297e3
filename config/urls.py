"""Every route. Its rule is in config/rules.py."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("registry.urls")),
    path("api/v1/", include("registry.artifact_urls")),
    path("api/v1/", include("lineage.urls")),
    path("api/v1/", include("lifecycle.urls")),
    path("api/v1/", include("lifecycle.retention_urls")),
    path("", include("console.urls")),
]
