"""The real namespace that the machine works on: every call made as the product makes it, on a committed database."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
from django.db import IntegrityError, transaction
from django.utils import timezone

from lifecycle.actions.deletion import delete_version
from lifecycle.actions.deployments import remove_deployment, report_deployment
from lifecycle.actions.incidents import close_incident, open_incident
from lifecycle.actions.policies import draft_policy, publish_policy, report_check, withdraw_policy
from lifecycle.actions.promotions import (
    decide_promotion,
    move_version,
    request_promotion,
    roll_back,
    withdraw_promotion,
)
from lifecycle.actions.quarantine import lift_quarantine, quarantine_versions
from lifecycle.actions.waivers import ask_waiver, decide_waiver
from lifecycle.models import Policy as PolicyRow
from lifecycle.models import Promotion as PromotionRow
from lifecycle.promotions import apply, settle
from registry.actions.people import create_user
from registry.http.problems import constraint_name
from registry.models import SYSTEM, ModelVersion, RegisteredModel
from registry.roles import Role
from tests.cast import Cast, hold_role, make_cast
from tests.factories import evaluate, ready_version
from tests.lifecycle.machine.gates import ASKED
from tests.lifecycle.machine.things import Incident, Policy, Promotion, Version, Waiver

MODELS = ("scorer", "ranker")
VERSIONS = ModelVersion.objects.select_related("model__namespace", "manifest", "created_by")
PROMOTIONS = PromotionRow.objects.select_related("version__model__namespace", "requested_by")


@dataclass
class World:
    """`cast` with three more: max holds two roles, olga is a second operator, bot is a service account of hers."""

    cast: Cast
    models: dict[str, RegisteredModel] = field(default_factory=dict)

    @classmethod
    def made(cls) -> World:
        """A namespace in which nothing was ever done, with its people."""
        cast = make_cast()
        suffix = cast.user("ben").username.rpartition("-")[2]
        for name, owner, roles in (
            ("max", None, (Role.ML_ENGINEER, Role.PRODUCTION_OPERATOR)),
            ("olga", None, (Role.PRODUCTION_OPERATOR,)),
            ("bot", "olga", (Role.DATA_SCIENTIST,)),
        ):
            account = create_user(
                username=f"{name}-{suffix}", owner=cast.user(owner) if owner else None, by=SYSTEM
            )
            cast.people[name] = account
            for role in roles:
                hold_role(cast.namespace, account, role)
        world = cls(cast)
        for name in MODELS:
            world.models[name] = RegisteredModel.objects.create(
                namespace=cast.namespace, name=name, created_by=cast.user("ben")
            )
        return world

    def register(self, model: str, maker: str) -> ModelVersion:
        return ready_version(self.cast, model=model, by=maker)

    def evaluate(self, version: Version, value: float, by: str) -> None:
        evaluate(self.cast, self.now(version), value, by=by)

    def check(self, version: Version, passed: bool, by: str) -> None:
        report_check(version=self.now(version), name="integration", passed=passed, by=self.cast.principal(by))

    def open_incident(self, incident: Incident, by: str) -> None:
        incident.row = open_incident(
            model=self.models[incident.model],
            version=self.now(incident.version) if incident.version else None,
            severity="high",
            title="it scores nonsense",
            by=self.cast.principal(by),
        )

    def close_incident(self, incident: Incident, by: str) -> None:
        close_incident(incident=incident.row, reason="mended", by=self.cast.principal(by))

    def draft(self, target: str, policy: Policy, by: str) -> PolicyRow:
        return draft_policy(
            namespace=self.cast.namespace,
            target=target,
            gates=[{"gate": gate, "parameters": ASKED[gate]} for gate in policy.gates],
            approvals={"count": policy.approvals},
            by=self.cast.principal(by),
        )[0]

    def publish(self, target: str, by: str) -> None:
        publish_policy(policy=self._newest(target), by=self.cast.principal(by))

    def withdraw_draft(self, target: str, by: str) -> None:
        withdraw_policy(policy=self._newest(target), by=self.cast.principal(by))

    def _newest(self, target: str) -> PolicyRow:
        """The draft that waits, or the newest one that does not wait any more."""
        rows = PolicyRow.objects.filter(namespace=self.cast.namespace, target=target).order_by("-revision")
        return rows.filter(state="draft").first() or rows[0]

    def request(self, promotion: Promotion) -> None:
        promotion.row = request_promotion(
            version=self.now(promotion.version),
            target=promotion.target,
            reason="better",
            by=self.cast.principal(promotion.by),
        )

    def roll_back(self, model: str, to: Version | None, reason: str, promotion: Promotion) -> None:
        promotion.row = roll_back(
            model=self.models[model],
            to=to.row.number if to else None,
            reason=reason,
            by=self.cast.principal(promotion.by),
        )

    def settle(self, promotion: Promotion, late: bool = False) -> None:
        later = timezone.now() + timedelta(days=8)
        settle(promotion_id=promotion.row.pk, now=later if late else None)

    def decide(self, promotion: Promotion, verdict: str, reason: str, by: str) -> None:
        decide_promotion(
            promotion=PROMOTIONS.get(pk=promotion.row.pk),
            verdict=verdict,
            reason=reason,
            by=self.cast.principal(by),
        )

    def apply(self, promotion: Promotion) -> None:
        apply(promotion_id=promotion.row.pk, by=self.cast.principal("cora"))

    def run_out(self, promotion: Promotion) -> None:
        """Its time is over, and nobody has looked yet. Only the owner of the table can move its end."""
        with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
            owner.execute("ALTER TABLE lifecycle_promotion DISABLE TRIGGER pgtrigger_fixed_d736c")
            owner.execute(
                "UPDATE lifecycle_promotion SET expires_at = now() - interval '1 minute' WHERE id = %s",
                [promotion.row.pk],
            )
            owner.execute("ALTER TABLE lifecycle_promotion ENABLE ALWAYS TRIGGER pgtrigger_fixed_d736c")

    def withdraw(self, promotion: Promotion, by: str) -> None:
        withdraw_promotion(promotion=PROMOTIONS.get(pk=promotion.row.pk), by=self.cast.principal(by))

    def move(self, version: Version, move: str, reason: str, by: str) -> None:
        move_version(version=self.now(version), move=move, reason=reason, by=self.cast.principal(by))

    def delete(self, version: Version, by: str) -> None:
        delete_version(version=self.now(version), reason="not needed", by=self.cast.principal(by))

    def quarantine(self, version: Version, reason: str, by: str) -> None:
        quarantine_versions(versions=[self.now(version)], reason=reason, by=self.cast.principal(by))

    def lift(self, version: Version, by: str) -> None:
        lift_quarantine(versions=[self.now(version)], reason="looked at", by=self.cast.principal(by))

    def deploy(self, version: Version, target: str, by: str) -> None:
        report_deployment(version=self.now(version), target=target, by=self.cast.principal(by))

    def undeploy(self, model: str, target: str, by: str) -> None:
        remove_deployment(model=self.models[model], target=target, by=self.cast.principal(by))

    def ask_waiver(self, waiver: Waiver) -> None:
        waiver.row = ask_waiver(
            promotion=PROMOTIONS.get(pk=waiver.promotion.row.pk),
            gate=waiver.gate,
            reason="it is good enough",
            until=timezone.now() + timedelta(days=30),
            by=self.cast.principal(waiver.by),
        )

    def decide_waiver(self, waiver: Waiver, verdict: str, by: str) -> None:
        decide_waiver(waiver=waiver.row, verdict=verdict, reason="so be it", by=self.cast.principal(by))

    def force(self, table: str, column: str, key: str, value: str) -> str | None:
        """Set it by SQL as the web would be able to: the constraint that refuses it, None when nothing does."""
        rows: Any = (ModelVersion.objects if table == "version" else PromotionRow.objects).filter(pk=key)
        try:
            with transaction.atomic():
                rows.update(**{column: value})
        except IntegrityError as error:
            return constraint_name(error) or "?"
        return None

    def now(self, version: Version) -> ModelVersion:
        """As the database has it now."""
        return VERSIONS.get(pk=version.row.pk)
