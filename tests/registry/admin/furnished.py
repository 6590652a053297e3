"""A row of everything that the administration has pages of, and the addresses of those pages."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.contrib.admin import ModelAdmin, site
from django.urls import reverse
from django.utils import timezone

from lifecycle.actions.freezes import set_freeze
from lifecycle.actions.holds import ask_lift, place_hold
from lifecycle.models import BreakGlass, Quarantine, RetentionPolicy, TierMove
from lifecycle.models.glass import REVIEWED_WITHIN
from registry.actions.keys import add_signing_key
from registry.actions.people import create_user, issue_token
from registry.actions.redactions import Named, ask_redaction
from registry.actions.roles import grant_role
from registry.journal.checkpoints import add_checkpoint, head
from registry.models import (
    SYSTEM,
    Artifact,
    Delivery,
    DeliveryAttempt,
    Event,
    Principal,
    ServiceToken,
    User,
    Webhook,
)
from tests.console.scene import Scene
from tests.registry.artifacts.signing import a_key, pem_of

MODELS = sorted(site._registry, key=lambda model: model._meta.label)
EDITORS_ONLY = {"registry.Webhook", "registry.Delivery"}
# No namespace's: seen by whoever verifies the journal of any.
OF_THE_JOURNAL = {"registry.Checkpoint"}
LABELS = [model._meta.label for model in MODELS]


def furnish(made: Scene) -> Scene:
    """The scene, with a row of every kind that the administration has pages of."""
    version, ada = made.versions[3], made.people["ada"]
    hook = Webhook.objects.create(
        namespace=made.namespace,
        name="ci",
        url="http://127.0.0.1:9/",
        events=["*"],
        secret="x",
        created_by=ada,
    )
    event = Event.objects.filter(namespace=made.namespace).latest("pk")
    delivery = Delivery.objects.create(webhook=hook, event=event, due_at=timezone.now())
    DeliveryAttempt.objects.create(
        delivery=delivery, at=timezone.now(), status=500, answer="no", duration_ms=3
    )
    add_signing_key(namespace=made.namespace, name="release", pem=pem_of(a_key()), by=Principal(user=ada))
    RetentionPolicy.objects.create(namespace=made.namespace)
    blob = Artifact.objects.filter(manifest=version.manifest)[0].blob
    TierMove.objects.create(blob=blob, version=version, to_tier="cold")
    hold = place_hold(version=version, reason="a dispute", by=Principal(user=ada))
    ask_lift(hold=hold, reason="settled", by=Principal(user=ada))
    grant_role(
        namespace=made.namespace, user=made.people["vera"], role="production_operator", by=Principal(user=ada)
    )
    place = Named("legalhold", str(hold.pk), "reason")
    ask_redaction(namespace=made.namespace, reason="a name", places=[place], by=Principal(user=ada))
    Quarantine.objects.create(version=version, reason="bad labels", by=ada, at=timezone.now())
    made.stand_in_the_way()
    now, cora = timezone.now(), made.people["cora"]
    set_freeze(
        namespace=made.namespace,
        target="staging",
        ends_at=now + timedelta(days=1),
        reason="the holidays",
        by=Principal(user=ada),
    )
    BreakGlass.objects.create(
        promotion=made.waiting, reason="a fire", overrode={}, by=cora, at=now, due_at=now + REVIEWED_WITHIN
    )
    issue_token(user=made.people["cora"], name="laptop", namespace=made.namespace, by=SYSTEM)
    add_checkpoint()
    return made


def administrator() -> User:
    user = create_user(username=f"root-{secrets.token_hex(3)}", by=SYSTEM)
    user.is_superuser = True
    user.save()
    return user


def admin_of(label: str) -> ModelAdmin[Any]:
    return next(each for model, each in site._registry.items() if model._meta.label == label)


def row_of(scene: Scene, label: str) -> Any:
    """A row of the scene's namespace."""
    if label == "registry.User":
        return scene.people["ben"]
    if label == "registry.ServiceToken":
        return ServiceToken.objects.get(user=scene.people["cora"])
    if label == "registry.Namespace":
        return scene.namespace
    if label in OF_THE_JOURNAL:
        return head()
    if label == "lifecycle.TierMove":
        return TierMove.objects.get(version=scene.versions[3])
    rows = admin_of(label).model._default_manager.visible_to(scene.principal("cora"))
    return rows.order_by("-pk")[0]


def page(label: str, kind: str, *args: Any) -> str:
    model = admin_of(label).model
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{kind}", args=args)


def act_page(scene: Scene, label: str, action: str) -> str:
    """The address of an action: of the list, or of the scene's row."""
    of_list = action in admin_of(label).actions_list  # type: ignore[attr-defined]
    kind = page(label, "changelist") if of_list else page(label, "change", row_of(scene, label).pk)
    return f"{kind.removesuffix('change/')}{action.replace('_', '-')}/"
