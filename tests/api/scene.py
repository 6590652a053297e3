"""One of everything in the cast's namespace, made by the actions, so that every route leads to something."""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from lifecycle.actions.deployments import report_deployment
from lifecycle.actions.freezes import set_freeze
from lifecycle.actions.incidents import open_incident
from lifecycle.actions.policies import draft_policy
from lifecycle.models import FreezeWindow, Incident, LegalHold, Policy, Promotion, Waiver
from lineage.models import Run
from registry.actions.aliases import move_alias
from registry.actions.attachments import add_attachment
from registry.actions.keys import add_signing_key
from registry.actions.people import issue_token
from registry.actions.redactions import Named, ask_redaction
from registry.actions.roles import grant_role
from registry.actions.uploads import create_upload
from registry.actions.webhooks import create_webhook
from registry.artifacts.manifests import Entry
from registry.journal.checkpoints import add_checkpoint
from registry.journal.webhooks import plan_deliveries
from registry.models import (
    SYSTEM,
    Attachment,
    Delivery,
    Event,
    ModelVersion,
    Redaction,
    RoleGrant,
    ServiceToken,
    SigningKey,
    Upload,
    Webhook,
)
from tests.api.routes import Route
from tests.cast import Cast
from tests.factories import a_waiver, promotion_at, staged_version
from tests.lifecycle.holding import held
from tests.registry.artifacts.signing import a_key, pem_of

RECEIVER = "http://127.0.0.1:9/hook"


@dataclass
class Scene:
    """scorer:1 is in production, scorer:2 in staging and asks for it; scorer:3 was refused, and a waiver is asked."""

    cast: Cast
    production: ModelVersion
    asking: Promotion
    webhook: Webhook
    delivery: Delivery
    run: Run
    upload: Upload
    token: ServiceToken
    key: SigningKey
    attachment: Attachment
    redaction: Redaction
    waiver: Waiver
    incident: Incident
    freeze: FreezeWindow
    hold: LegalHold
    grant: RoleGrant
    policy: Policy

    def ids(self) -> dict[str, Any]:
        """The row that a route with `<uuid:id>` is tried on; each such route must be here."""
        return {
            "token": self.token,
            "account-token-revoke": self.token,
            "key": self.key,
            "attachment-content": self.attachment,
            "redaction": self.redaction,
            "redaction-decide": self.redaction,
            "webhook": self.webhook,
            "webhook-deliveries": self.webhook,
            "webhook-rotate": self.webhook,
            "webhook-test": self.webhook,
            "webhook-replay": self.webhook,
            "delivery": self.delivery,
            "delivery-redeliver": self.delivery,
            "run": self.run,
            "run-log": self.run,
            "run-datasets": self.run,
            "policy": self.policy,
            "policy-publish": self.policy,
            "policy-withdraw": self.policy,
            "promotion": self.asking,
            "promotion-approve": self.asking,
            "promotion-reject": self.asking,
            "promotion-withdraw": self.asking,
            "promotion-waivers": self.asking,
            "promotion-break-glass": self.asking,
            "promotion-review": self.asking,
            "waiver-grant": self.waiver,
            "incident-close": self.incident,
            "freeze-end": self.freeze,
            "waiver-refuse": self.waiver,
            "hold-lift": self.hold,
            "grant-confirm": self.grant,
            "grant-refuse": self.grant,
            "hold-grant": self.hold,
            "hold-refuse": self.hold,
            "promotion-page": self.asking,
            "admin:desk-promotion": self.asking,
            "upload": self.upload,
            "upload-parts": self.upload,
            "upload-complete": self.upload,
            "upload-content": self.upload,
            "upload-abort": self.upload,
        }

    def arguments(self, route: Route) -> dict[str, Any]:
        """What stands in the path. A route with an argument that is not known here is an error."""
        known: dict[str, Any] = {
            "namespace": self.cast.namespace.name,
            "name": "scorer",
            "number": 1,
            "alias": "champion",
            "user": self.cast.user("ben").username,
            "role": "data_scientist",
            "path": "model.skops",
            "index": 0,
            "facet": "AssayRunFacet",
            "target": "eu-1",
        }
        return {name: self.ids()[route.name].pk if name == "id" else known[name] for name in route.arguments}

    def reference(self, number: int = 1) -> str:
        return f"{self.cast.namespace.name}/scorer:{number}"


@pytest.fixture
def scene(cast: Cast) -> Scene:
    """One of everything."""
    asking_first = promotion_at(cast, "applied")
    production = asking_first.version
    asking = promotion_at(cast, "awaiting_approval", version=staged_version(cast, 0.95), value=0.95)
    move_alias(model=production.model, name="champion", version=production, by=cast.principal("eve"))
    with override_settings(WEBHOOK_HOSTS=["127.0.0.1:9"]):
        webhook, _ = create_webhook(
            namespace=cast.namespace, name="ci", url=RECEIVER, events=["*"], by=cast.principal("ada")
        )
    event = Event.objects.filter(namespace=cast.namespace).latest("pk")
    plan_deliveries(event)
    report_deployment(version=production, target="eu-1", by=cast.principal("cora"))
    upload = create_upload(
        namespace=cast.namespace,
        files=[Entry(path="model.skops", size=10, sha256=uuid.uuid4().hex * 2)],
        by=cast.principal("ben"),
    )
    token, _ = issue_token(user=cast.user("ben"), name="ben's", by=SYSTEM)
    run = Run.objects.filter(namespace=cast.namespace).first() or pytest.fail("the factory made no run")
    add_checkpoint()
    grant_role(
        namespace=cast.namespace, user=cast.user("vera"), role="production_operator", by=cast.principal("ada")
    )
    return Scene(
        cast=cast,
        production=production,
        asking=asking,
        webhook=webhook,
        delivery=Delivery.objects.get(webhook=webhook, event=event),
        run=run,
        upload=upload,
        token=token,
        key=add_signing_key(
            namespace=cast.namespace, name="release", pem=pem_of(a_key()), by=cast.principal("ada")
        ),
        waiver=a_waiver(cast),
        policy=draft_policy(
            namespace=cast.namespace,
            target="staging",
            gates=[],
            approvals={"count": 2},
            by=cast.principal("ada"),
        )[0],
        incident=open_incident(
            model=production.model, severity="low", title="slow", by=cast.principal("ben")
        ),
        freeze=set_freeze(
            namespace=cast.namespace,
            starts_at=timezone.now() + timedelta(days=30),
            ends_at=timezone.now() + timedelta(days=31),
            reason="year's end",
            by=cast.principal("ada"),
        ),
        hold=held(cast, production),
        grant=RoleGrant.objects.get(namespace=cast.namespace, state="asked"),
        attachment=add_attachment(
            version=production,
            kind="supplier_report",
            name="report.txt",
            body=io.BytesIO(b"fine"),
            length=4,
            by=cast.principal("ben"),
        ),
        redaction=ask_redaction(
            namespace=cast.namespace,
            reason="a path of somebody's home",
            places=[Named("run", str(run.pk), "entry_point")],
            by=cast.principal("cora"),
        ),
    )
