"""Things brought to a named point of their life, by the actions that bring them there.

Publishing is the exception: a version becomes ready by the rows that a publish leaves, without the store;
that a publish leaves these rows is proved where publishing is tested.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from lifecycle.actions.policies import draft_policy, publish_policy, report_check
from lifecycle.actions.promotions import decide_promotion, request_promotion
from lifecycle.actions.waivers import ask_waiver
from lifecycle.models import Policy, Promotion, State, Waiver
from lifecycle.promotions import settle
from lineage.models import Dataset, DatasetVersion, Edge, Experiment, Node, Run
from registry.actions.evaluations import Measured, MeasuredOn, record_evaluation
from registry.models import Artifact, Blob, Manifest, ModelVersion, RegisteredModel
from tests.cast import Cast

HELD_OUT = "sha256:" + hashlib.sha256(b"held out").hexdigest()
TRAINING = "sha256:" + hashlib.sha256(b"training").hexdigest()


@transaction.atomic
def ready_version(
    cast: Cast, *, model: str = "scorer", by: str = "ben", training: str = TRAINING, run: bool = True
) -> ModelVersion:
    """A version in development whose bytes were just verified and whose lineage is complete."""
    user = cast.user(by)
    registered, _ = RegisteredModel.objects.get_or_create(
        namespace=cast.namespace, name=model, defaults={"created_by": user}
    )
    registered = RegisteredModel.objects.select_for_update(no_key=True).get(pk=registered.pk)
    registered.next_number, number = registered.next_number + 1, registered.next_number
    registered.save(update_fields=["next_number"])
    trained = trained_run(cast, by=by, training=training) if run else None
    manifest = Manifest.objects.create(namespace=cast.namespace)
    version = ModelVersion.objects.create(
        model=registered,
        number=number,
        status="verifying",
        manifest=manifest,
        created_by=user,
        format="skops",
        run_id=trained.pk if trained else None,
    )
    digest, now = secrets.token_hex(32), timezone.now()
    blob = Blob.objects.create(sha256=digest, size=100, verified_at=now)
    Artifact.objects.create(manifest=manifest, path="model.skops", blob=blob)
    manifest.state, manifest.digest, manifest.oms_digest = Manifest.State.SEALED, digest, digest
    manifest.size, manifest.files, manifest.sealed_at = 100, 1, now
    manifest.save()
    ModelVersion.objects.filter(pk=version.pk).update(status="ready", ready_at=now)
    if trained:
        Node.objects.create(id=version.pk, kind=Node.Kind.MODEL_VERSION, namespace=cast.namespace)
        Edge.objects.create(from_node_id=trained.pk, to_node_id=version.pk, role=Edge.Role.OUTPUT)
    return ModelVersion.objects.select_related("model__namespace", "manifest", "created_by").get(
        pk=version.pk
    )


def trained_run(cast: Cast, *, by: str = "ben", training: str = TRAINING) -> Run:
    """A finished run with code, environment, and one dataset that it trained on."""
    experiment, _ = Experiment.objects.get_or_create(
        namespace=cast.namespace, name="default", defaults={"created_by": cast.user(by)}
    )
    run = Run.objects.create(
        namespace=cast.namespace,
        experiment=experiment,
        started_at=timezone.now(),
        created_by=cast.user(by),
        status="finished",
        entry_point="train.py",
        command=["python", "train.py"],
        code={"commit": "a" * 40, "remote": "", "branch": "main", "dirty": False},
        environment={"python": "3.11.7", "packages": {"scikit-learn": "1.7.2"}, "os": "Linux"},
        capture={"state": "complete", "notes": []},
    )
    Node.objects.create(id=run.pk, kind=Node.Kind.RUN, namespace=cast.namespace)
    dataset, _ = Dataset.objects.get_or_create(namespace=cast.namespace, name="train.csv")
    read, made = DatasetVersion.objects.get_or_create(dataset=dataset, digest=training, produced_by=None)
    if made:
        Node.objects.create(id=read.pk, kind=Node.Kind.DATASET_VERSION, namespace=cast.namespace)
    Edge.objects.create(from_node_id=read.pk, to_node_id=run.pk, role=Edge.Role.INPUT, context="training")
    return run


def evaluate(
    cast: Cast,
    version: ModelVersion,
    value: float,
    *,
    by: str = "ci",
    digest: str = HELD_OUT,
    metric: str = "accuracy",
    part: str = "",
    low: float | None = None,
    high: float | None = None,
) -> None:
    """Somebody measured it on the held-out data, or on the slice `part` of it."""
    record_evaluation(
        version=version,
        on=MeasuredOn(dataset="held-out.csv", digest=digest, split="test", slice=part),
        metrics=[Measured(name=metric, value=value, low=low, high=high)],
        by=cast.principal(by),
    )


def simple_policy(
    cast: Cast, target: str, gates: list[dict[str, Any]] | None = None, approvals: int = 1
) -> None:
    """Publish a policy of these gates; without any, of an accuracy of 0.8 on held-out data."""
    bound = {"gate": "metric_at_least", "parameters": {"metric": "accuracy", "bound": 0.8}}
    published_policy(
        cast, target=target, gates=[bound] if gates is None else gates, approvals={"count": approvals}
    )


def published_policy(cast: Cast, **what: Any) -> Policy:
    """What ada drafts and cora publishes."""
    policy, _ = draft_policy(namespace=cast.namespace, by=cast.principal("ada"), **what)
    return policy if policy.state == "published" else publish_policy(policy=policy, by=cast.principal("cora"))


def staged_version(cast: Cast, value: float = 0.9, **more: Any) -> ModelVersion:
    """A version that its gates let into staging, with CI's evaluation."""
    version = ready_version(cast, **more)
    evaluate(cast, version, value)
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    settle(promotion_id=promotion.pk)
    return fresh(version)


def promotion_at(
    cast: Cast, state: str, *, version: ModelVersion | None = None, value: float = 0.9
) -> Promotion:
    """A promotion to production at `awaiting_approval` or `applied`; ci has reported the integration check."""
    version = version or staged_version(cast, value)
    promotion = request_promotion(
        version=version, target="production", reason="better", by=cast.principal("eve")
    )
    report_check(version=version, name="integration", passed=True, by=cast.principal("ci"))
    promotion = settle(promotion_id=promotion.pk)
    if state == State.APPLIED:
        promotion = decide_promotion(
            promotion=promotion, verdict="approve", reason="looks good", by=cast.principal("cora")
        )
    assert promotion.state == state, (promotion.state, promotion.outcome, results(promotion))
    return promotion


def a_waiver(cast: Cast, *, gate: str = "metric_at_least", days: float = 14) -> Waiver:
    """eve asks that a version which misses its bound be let into staging."""
    version = ready_version(cast)
    evaluate(cast, version, 0.5)
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    promotion = settle(promotion_id=promotion.pk)
    return ask_waiver(
        promotion=promotion,
        gate=gate,
        reason="the bound is for grown-up models",
        until=timezone.now() + timedelta(days=days),
        by=cast.principal("eve"),
    )


def results(promotion: Promotion) -> dict[str, tuple[str, str]]:
    """gate key -> (verdict, sentence), the newest of each."""
    return {r.key: (r.verdict, r.sentence) for r in promotion.gate_results.order_by("pk")}


def fresh(version: ModelVersion) -> ModelVersion:
    """The version as the database has it now."""
    return ModelVersion.objects.select_related("model__namespace", "manifest", "created_by").get(
        pk=version.pk
    )
