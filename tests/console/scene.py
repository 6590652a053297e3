"""A small company to look at: a fraud model with a history, one request that waits, one that its gates refused."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from lifecycle.actions.deployments import Report, report_deployment
from lifecycle.actions.incidents import open_incident
from lifecycle.actions.policies import draft_policy, publish_policy, report_check
from lifecycle.actions.promotions import decide_promotion, request_promotion
from lifecycle.actions.waivers import ask_waiver
from lifecycle.models import Promotion
from lifecycle.promotions import settle
from lineage.models import Dataset, DatasetVersion, Edge, Experiment, Node, Run
from registry.actions.accounts import reset_password
from registry.actions.evaluations import Measured, MeasuredOn, record_evaluation
from registry.actions.models import ensure_model
from registry.actions.people import create_user
from registry.actions.roles import create_namespace
from registry.models import SYSTEM, Artifact, Blob, Manifest, ModelVersion, Namespace, Principal, User
from registry.roles import Role
from tests.cast import hold_role

PEOPLE = {
    "ada": Role.NAMESPACE_ADMIN,
    "ben": Role.DATA_SCIENTIST,
    "eve": Role.ML_ENGINEER,
    "cora": Role.PRODUCTION_OPERATOR,
    "vera": Role.VIEWER,
    "ci": Role.DATA_SCIENTIST,
}


@dataclass
class Scene:
    """Who there is, and what was made."""

    namespace: Namespace
    people: dict[str, User]
    passwords: dict[str, str]
    versions: list[ModelVersion]
    waiting: Promotion
    refused: Promotion

    def principal(self, name: str) -> Principal:
        return Principal(user=self.people[name])

    def measure(self, version: ModelVersion, **metrics: float) -> None:
        """ci measures it once more on the held-out data."""
        _Maker(self.namespace, self.people).measure(version, slice_="", **metrics)

    def stand_in_the_way(self) -> None:
        """ben opens an incident of the model, eve asks for a waiver of what refused version 3."""
        model, until = self.refused.version.model, timezone.now() + timedelta(days=14)
        open_incident(
            model=model, severity="high", title="Scores drift in Portugal", by=self.principal("ben")
        )
        ask_waiver(
            promotion=self.refused, gate="no_regression", reason="Refunds are a tenth of the data only.",
            until=until, by=self.principal("eve"),
        )  # fmt: skip

    def drift(self) -> None:
        """A target of production says that it runs version 1, with other bytes than were published."""
        _Maker(self.namespace, self.people).runs(
            self.versions[0], "us-1", digest=f"sha256:{digest_of('other bytes')}"
        )


def digest_of(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()


def make_scene(suffix: str = "", log_in: Sequence[str] = ()) -> Scene:
    """Four versions: archived, in production, waiting to replace it with one slice worse, refused by its gates.

    Those named in `log_in` get a password, which costs a while each.
    """
    namespace = create_namespace(name=f"fraud{suffix}", description="Card payments, Europe", by=SYSTEM)
    people: dict[str, User] = {}
    for name, role in PEOPLE.items():
        owner = people["ada"] if name == "ci" else None
        people[name] = create_user(username=f"{name}{suffix}", owner=owner, by=SYSTEM)
        hold_role(namespace, people[name], role)
    people["mallory"] = create_user(username=f"mallory{suffix}", by=SYSTEM)
    passwords = {name: reset_password(user=people[name], by=SYSTEM) for name in log_in}
    people = {name: User.objects.get(pk=user.pk) for name, user in people.items()}
    maker = _Maker(namespace, people)
    maker.policies()
    first = maker.version(1, training="2026-08", parameters={"trees": 200, "depth": 6})
    maker.measure(first, accuracy=0.9412, auc=0.9655, recall=0.8120, log_loss=0.1892)
    maker.measure(first, slice_="country = PT", accuracy=0.9220, recall=0.7710)
    maker.produce(first, "first model good enough", "gates are green, and nothing was there before")
    second = maker.version(2, training="2026-09", parameters={"trees": 400, "depth": 6})
    maker.measure(second, accuracy=0.9538, auc=0.9741, recall=0.8405, log_loss=0.1671)
    maker.measure(second, slice_="country = PT", accuracy=0.9430, recall=0.8190)
    maker.produce(second, "one more month of data", "recall is up three points")
    damaged = maker.version(3, training="2026-10 (truncated)", parameters={"trees": 400, "depth": 6})
    maker.measure(damaged, accuracy=0.9107, auc=0.9310, recall=0.7015, log_loss=0.2514)
    maker.stage(damaged)
    refused = maker.ask(damaged, "newest data")
    third = maker.version(4, training="2026-10", parameters={"trees": 600, "depth": 8})
    maker.measure(third, accuracy=0.9581, auc=0.9790, recall=0.8522, log_loss=0.1604)
    maker.measure(third, slice_="country = PT", accuracy=0.9310, recall=0.7880)
    maker.stage(third)
    maker.runs(second, "eu-1")
    maker.runs(third, "staging-1", serves="staging")
    waiting = maker.ask(
        third, "Catches the new refund pattern; 1.2 points more recall on the held-out month."
    )
    return Scene(namespace, people, passwords, [first, second, damaged, third], waiting, refused)


class _Maker:
    def __init__(self, namespace: Namespace, people: dict[str, User]) -> None:
        self.namespace = namespace
        self.people = people

    def by(self, name: str) -> Principal:
        return Principal(user=self.people[name])

    def policies(self) -> None:
        bound = {"gate": "metric_at_least", "parameters": {"metric": "accuracy", "bound": 0.9}}
        staging = [{"gate": "evaluated_on", "parameters": {}}, bound]
        production = [
            {"gate": "evaluated_on", "parameters": {}},
            {"gate": "no_regression", "parameters": {"metric": "accuracy"}},
            {"gate": "no_regression", "parameters": {"metric": "recall", "tolerance": 0.005}},
            {"gate": "external_check", "parameters": {"name": "integration"}},
        ]
        for target, gates, count in (("staging", staging, 0), ("production", production, 1)):
            policy, _ = draft_policy(
                namespace=self.namespace,
                target=target,
                gates=gates,
                approvals={"count": count},
                by=self.by("ada"),
            )
            publish_policy(policy=policy, by=self.by("cora"))

    @transaction.atomic
    def version(self, number: int, *, training: str, parameters: dict[str, Any]) -> ModelVersion:
        """What a publish leaves, without the store."""
        ben = self.people["ben"]
        model, _ = ensure_model(namespace=self.namespace, name="card-scorer", by=self.by("ben"))
        type(model).objects.filter(pk=model.pk).update(
            next_number=number + 1,
            task="tabular-classification",
            description="Scores card payments; above 0.8 a person looks.",
            owner=self.people["eve"],
            risk_tier="high",
            intended_use="Payments in the euro area, below 5,000 euro.",
        )
        run = self.run(number, training, parameters)
        manifest = Manifest.objects.create(namespace=self.namespace)
        version = ModelVersion.objects.create(
            model=model, number=number, status="verifying", manifest=manifest, created_by=ben, format="skops",
            run_id=run.pk, parameters=parameters, tags={"team": "payments"}, description=f"trained on {training}",
            completeness={"state": "complete", "missing": [], "notes": ["no container image digest"]},
        )  # fmt: skip
        now, size = timezone.now(), 0
        for path, length in (("MLmodel", 812), ("model.skops", 4_718_592), ("schema.json", 2310)):
            blob = Blob.objects.create(sha256=secrets.token_hex(32), size=length, verified_at=now)
            Artifact.objects.create(manifest=manifest, path=path, blob=blob)
            size += length
        manifest.state, manifest.digest, manifest.oms_digest = (
            "sealed",
            secrets.token_hex(32),
            secrets.token_hex(32),
        )
        manifest.size, manifest.files, manifest.sealed_at = size, 3, now
        manifest.save()
        ModelVersion.objects.filter(pk=version.pk).update(status="ready", ready_at=now)
        Node.objects.create(id=version.pk, kind=Node.Kind.MODEL_VERSION, namespace=self.namespace)
        Edge.objects.create(from_node_id=run.pk, to_node_id=version.pk, role=Edge.Role.OUTPUT)
        return self.fresh(version)

    def run(self, number: int, training: str, parameters: dict[str, Any]) -> Run:
        ben = self.people["ben"]
        experiment, _ = Experiment.objects.get_or_create(
            namespace=self.namespace, name="card-scorer", defaults={"created_by": ben}
        )
        run = Run.objects.create(
            namespace=self.namespace, experiment=experiment, name=f"boost-{number}", started_at=timezone.now(),
            ended_at=timezone.now(), created_by=ben, status="finished", entry_point="train.py",
            command=["python", "train.py", *[f"--{k}={v}" for k, v in parameters.items()]],
            code={"commit": digest_of(f"commit {parameters}")[:40], "branch": "main", "dirty": False, "remote": ""},
            environment={"python": "3.11.7", "os": "Linux", "packages": {"scikit-learn": "1.7.2", "skops": "0.13.0"}},
            capture={"state": "complete", "notes": []},
        )  # fmt: skip
        Node.objects.create(id=run.pk, kind=Node.Kind.RUN, namespace=self.namespace)
        for name, what, context in (
            ("payments.parquet", training, "training"),
            ("merchants.csv", "fixed", "training"),
        ):
            dataset, _ = Dataset.objects.get_or_create(namespace=self.namespace, name=name)
            read, new = DatasetVersion.objects.get_or_create(
                dataset=dataset, digest=f"sha256:{digest_of(name + what)}", produced_by=None,
                defaults={"rows": 184_302 if "truncated" not in what else 61_021},
            )  # fmt: skip
            if new:
                Node.objects.create(id=read.pk, kind=Node.Kind.DATASET_VERSION, namespace=self.namespace)
            Edge.objects.create(
                from_node_id=read.pk, to_node_id=run.pk, role=Edge.Role.INPUT, context=context
            )
        return run

    def measure(self, version: ModelVersion, slice_: str = "", **metrics: float) -> None:
        on = MeasuredOn(
            dataset="held-out 2026-10", digest=f"sha256:{digest_of('held out')}", split="test", slice=slice_
        )
        measured = [Measured(name=name, value=value) for name, value in metrics.items()]
        record_evaluation(version=version, on=on, metrics=measured, by=self.by("ci"))

    def stage(self, version: ModelVersion) -> None:
        asked = request_promotion(
            version=version, target="staging", reason="ready for tests", by=self.by("eve")
        )
        settle(promotion_id=asked.pk)

    def ask(self, version: ModelVersion, reason: str) -> Promotion:
        asked = request_promotion(
            version=self.fresh(version), target="production", reason=reason, by=self.by("eve")
        )
        report_check(
            version=version, name="integration", passed=True, sentence="41 requests replayed, all answered.",
            by=self.by("ci"),
        )  # fmt: skip
        return settle(promotion_id=asked.pk)

    def produce(self, version: ModelVersion, reason: str, because: str) -> None:
        self.stage(version)
        asked = self.ask(version, reason)
        decide_promotion(promotion=asked, verdict="approve", reason=because, by=self.by("cora"))

    def runs(self, version: ModelVersion, target: str, **said: Any) -> None:
        """The operators' pipeline says where it put it."""
        report_deployment(
            version=self.fresh(version), target=target, report=Report(**said), by=self.by("cora")
        )

    def fresh(self, version: ModelVersion) -> ModelVersion:
        return ModelVersion.objects.select_related("model__namespace", "manifest", "created_by").get(
            pk=version.pk
        )
