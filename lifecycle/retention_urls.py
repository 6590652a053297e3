"""Routes; each has its rule in config/rules.py."""

from django.urls import URLPattern, path

from lifecycle.api import retention

urlpatterns: list[URLPattern] = [
    path("namespaces/<str:namespace>/retention", retention.Retention.as_view(), name="retention"),
    path(
        "namespaces/<str:namespace>/retention/plan", retention.RetentionPlan.as_view(), name="retention-plan"
    ),
    path("namespaces/<str:namespace>/retention/run", retention.RetentionRun.as_view(), name="retention-run"),
    path(
        "namespaces/<str:namespace>/models/<str:name>/versions/<int:number>/restore",
        retention.VersionRestore.as_view(),
        name="version-restore",
    ),
]
