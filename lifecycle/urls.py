"""Routes of the lifecycle; each has its rule in config/rules.py."""

from django.urls import URLPattern, path

from lifecycle.api import (
    deployments,
    freezes,
    glass,
    holds,
    incidents,
    policies,
    production,
    promotions,
    quarantine,
    revalidations,
    versions,
    waivers,
)
from lifecycle.audit import api as audit

MODEL = "namespaces/<str:namespace>/models/<str:name>"
VERSION = f"{MODEL}/versions/<int:number>"
MOVES = ("demote", "suspend", "deprecate", "reinstate", "archive")

urlpatterns: list[URLPattern] = [
    path(VERSION, versions.OneVersion.as_view(), name="version"),
    path(f"{VERSION}/deletion", versions.VersionDeletion.as_view(), name="version-deletion"),
    path(f"{VERSION}/promotions", promotions.VersionPromotions.as_view(), name="version-promotions"),
    path(f"{VERSION}/checks", policies.Checks.as_view(), name="version-checks"),
    *[
        path(f"{VERSION}/{move}", promotions.MoveVersion.as_view(move=move), name=f"version-{move}")
        for move in MOVES
    ],
    path(
        f"{VERSION}/revalidations", revalidations.VersionRevalidations.as_view(), name="version-revalidations"
    ),
    path(
        f"{VERSION}/report-attachments",
        revalidations.ReportAttachments.as_view(),
        name="version-report-attachments",
    ),
    path(f"{MODEL}/review", revalidations.ModelReview.as_view(), name="model-review"),
    path(f"{VERSION}/evidence", audit.VersionEvidence.as_view(), name="version-evidence"),
    path("namespaces/<str:namespace>/evidence", audit.PeriodEvidence.as_view(), name="period-evidence"),
    path(f"{MODEL}/production", production.Production.as_view(), name="model-production"),
    path(f"{MODEL}/deployments", deployments.Deployments.as_view(), name="deployments"),
    path(f"{MODEL}/deployments/<str:target>", deployments.OneDeployment.as_view(), name="deployment"),
    path(f"{MODEL}/rollback", promotions.RollBack.as_view(), name="model-rollback"),
    path(f"{MODEL}/incidents", incidents.ModelIncidents.as_view(), name="model-incidents"),
    path("incidents", incidents.Incidents.as_view(), name="incidents"),
    path("incidents/<uuid:id>/close", incidents.CloseIncident.as_view(), name="incident-close"),
    path("freezes", freezes.Freezes.as_view(), name="freezes"),
    path("freezes/<uuid:id>/end", freezes.EndFreeze.as_view(), name="freeze-end"),
    path("namespaces/<str:namespace>/freezes", freezes.NamespaceFreezes.as_view(), name="namespace-freezes"),
    path(f"{VERSION}/holds", holds.VersionHolds.as_view(), name="version-holds"),
    path("holds", holds.Holds.as_view(), name="holds"),
    path("holds/<uuid:id>/lift", holds.AskLift.as_view(), name="hold-lift"),
    path("holds/<uuid:id>/grant", holds.DecideLift.as_view(verdict="grant"), name="hold-grant"),
    path("holds/<uuid:id>/refuse", holds.DecideLift.as_view(verdict="refuse"), name="hold-refuse"),
    path("resolve", versions.Resolve.as_view(), name="resolve"),
    path("quarantine", quarantine.Quarantines.as_view(), name="quarantines"),
    path("quarantine/lift", quarantine.LiftQuarantine.as_view(), name="quarantine-lift"),
    path("promotions", promotions.Promotions.as_view(), name="promotions"),
    path("promotions/<uuid:id>", promotions.OnePromotion.as_view(), name="promotion"),
    path("promotions/<uuid:id>/approve", promotions.Approve.as_view(), name="promotion-approve"),
    path("promotions/<uuid:id>/reject", promotions.Reject.as_view(), name="promotion-reject"),
    path("promotions/<uuid:id>/withdraw", promotions.Withdraw.as_view(), name="promotion-withdraw"),
    path("promotions/<uuid:id>/break-glass", glass.Breaking.as_view(), name="promotion-break-glass"),
    path("promotions/<uuid:id>/break-glass/review", glass.Reviewing.as_view(), name="promotion-review"),
    path("break-glass", glass.BrokenGlass.as_view(), name="broken-glass"),
    path("promotions/<uuid:id>/waivers", waivers.PromotionWaivers.as_view(), name="promotion-waivers"),
    path("waivers", waivers.Waivers.as_view(), name="waivers"),
    path("waivers/<uuid:id>/grant", waivers.DecideWaiver.as_view(verdict="grant"), name="waiver-grant"),
    path("waivers/<uuid:id>/refuse", waivers.DecideWaiver.as_view(verdict="refuse"), name="waiver-refuse"),
    path("namespaces/<str:namespace>/policies", policies.Policies.as_view(), name="policies"),
    path("namespaces/<str:namespace>/policies/check", policies.CheckPolicy.as_view(), name="policies-check"),
    path(f"{MODEL}/policies", policies.ModelPolicies.as_view(), name="model-policies"),
    path("policies/<uuid:id>", policies.OnePolicy.as_view(), name="policy"),
    *[
        path(f"policies/<uuid:id>/{verb}", policies.DecidePolicy.as_view(action=verb), name=f"policy-{verb}")
        for verb in policies.ACTIONS
    ],
]
