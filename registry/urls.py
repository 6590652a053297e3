"""Routes of the catalog; each has its rule in config/rules.py."""

from django.urls import URLPattern, path

from registry.api import (
    aliases,
    checkpoints,
    deliveries,
    evaluations,
    events,
    garbage,
    grants,
    keys,
    models,
    namespaces,
    redactions,
    reviewers,
    search,
    tokens,
    webhooks,
    whoami,
)

NAMESPACE = "namespaces/<str:namespace>"
MODEL = f"{NAMESPACE}/models/<str:name>"
VERSION = f"{MODEL}/versions/<int:number>"

urlpatterns: list[URLPattern] = [
    path("whoami", whoami.WhoAmI.as_view(), name="whoami"),
    path("tokens", tokens.Tokens.as_view(), name="tokens"),
    path("tokens/<uuid:id>", tokens.OneToken.as_view(), name="token"),
    path("namespaces", namespaces.Namespaces.as_view(), name="namespaces"),
    path(NAMESPACE, namespaces.OneNamespace.as_view(), name="namespace"),
    path(f"{NAMESPACE}/members", namespaces.Members.as_view(), name="members"),
    path(f"{NAMESPACE}/grants", grants.Grants.as_view(), name="grants"),
    path("grants/<uuid:id>/confirm", grants.DecideGrant.as_view(verdict="confirm"), name="grant-confirm"),
    path("grants/<uuid:id>/refuse", grants.DecideGrant.as_view(verdict="refuse"), name="grant-refuse"),
    path(f"{NAMESPACE}/members/<str:user>/<str:role>", namespaces.OneMember.as_view(), name="member"),
    path(f"{NAMESPACE}/groups", namespaces.Groups.as_view(), name="groups"),
    path(f"{NAMESPACE}/models", models.Models.as_view(), name="models"),
    path(MODEL, models.OneModel.as_view(), name="model"),
    path(f"{MODEL}/reviewers", reviewers.Reviewers.as_view(), name="reviewers"),
    path(f"{MODEL}/reviewers/<str:user>", reviewers.OneReviewer.as_view(), name="reviewer"),
    path(f"{MODEL}/aliases", aliases.Aliases.as_view(), name="aliases"),
    path(f"{MODEL}/aliases/<str:alias>", aliases.OneAlias.as_view(), name="alias"),
    path(f"{VERSION}/evaluations", evaluations.Evaluations.as_view(), name="evaluations"),
    path(
        f"{VERSION}/example-results",
        evaluations.VersionExampleResults.as_view(),
        name="version-example-results",
    ),
    path("garbage", garbage.Garbage.as_view(), name="garbage"),
    path("garbage/run", garbage.GarbageRun.as_view(), name="garbage-run"),
    path("journal/checkpoint", checkpoints.NewestCheckpoint.as_view(), name="journal-checkpoint"),
    path("search", search.Search.as_view(), name="search"),
    path("compare", search.Compare.as_view(), name="compare"),
    path(f"{NAMESPACE}/events", events.Events.as_view(), name="events"),
    path(f"{NAMESPACE}/keys", keys.Keys.as_view(), name="keys"),
    path("keys/<uuid:id>", keys.OneKey.as_view(), name="key"),
    path(f"{NAMESPACE}/redactions", redactions.Redactions.as_view(), name="redactions"),
    path(f"{NAMESPACE}/redactions/find", redactions.FindText.as_view(), name="redactions-find"),
    path("redactions/<uuid:id>", redactions.OneRedaction.as_view(), name="redaction"),
    path("redactions/<uuid:id>/decide", redactions.DecideRedaction.as_view(), name="redaction-decide"),
    path(f"{NAMESPACE}/webhooks", webhooks.Webhooks.as_view(), name="webhooks"),
    path("webhooks/<uuid:id>", webhooks.OneWebhook.as_view(), name="webhook"),
    path("webhooks/<uuid:id>/rotate", webhooks.RotateSecret.as_view(), name="webhook-rotate"),
    path("webhooks/<uuid:id>/test", deliveries.TryWebhook.as_view(), name="webhook-test"),
    path("webhooks/<uuid:id>/replay", deliveries.Replay.as_view(), name="webhook-replay"),
    path("webhooks/<uuid:id>/deliveries", deliveries.Deliveries.as_view(), name="webhook-deliveries"),
    path("deliveries/<uuid:id>", deliveries.OneDelivery.as_view(), name="delivery"),
    path("deliveries/<uuid:id>/redeliver", deliveries.Redeliver.as_view(), name="delivery-redeliver"),
]
