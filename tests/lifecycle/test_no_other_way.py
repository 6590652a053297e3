"""Production is unreachable without passed gates and an approval by somebody else: each way, tried."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django_fsm import TransitionNotAllowed

from lifecycle.actions.promotions import request_promotion
from lifecycle.models import Approval, GateResult, Promotion, State
from lifecycle.policies import current
from registry.models import Alias, Blob, ModelVersion
from tests.cast import Cast, hold_role
from tests.factories import fresh, promotion_at, ready_version, simple_policy, staged_version


@pytest.fixture(params=["development", "staging"])
def version(request: pytest.FixtureRequest, cast: Cast) -> ModelVersion:
    return ready_version(cast) if request.param == "development" else staged_version(cast)


def test_by_assignment(version: ModelVersion) -> None:
    with pytest.raises(AttributeError):
        version.stage = "production"


def test_by_the_transition_alone(version: ModelVersion) -> None:
    with pytest.raises((IntegrityError, TransitionNotAllowed)), transaction.atomic():
        version.to_production()
        version.save()
    assert fresh(version).stage != "production"


def test_by_save_of_a_built_row(version: ModelVersion) -> None:
    fields = {f.attname: getattr(version, f.attname) for f in ModelVersion._meta.concrete_fields}
    forged = ModelVersion(**{**fields, "stage": "production"})
    with pytest.raises(IntegrityError), transaction.atomic():
        forged.save()
    assert fresh(version).stage != "production"


def test_by_update(version: ModelVersion) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.filter(pk=version.pk).update(stage="production")


def test_by_bulk_update(version: ModelVersion) -> None:
    fields = {f.attname: getattr(version, f.attname) for f in ModelVersion._meta.concrete_fields}
    forged = ModelVersion(**{**fields, "stage": "production"})
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.bulk_update([forged], ["stage"])


def test_by_sql(version: ModelVersion) -> None:
    sql("UPDATE registry_modelversion SET stage = 'production' WHERE id = %s", version.pk)


def test_born_there(version: ModelVersion) -> None:
    sql(
        "INSERT INTO registry_modelversion SELECT (r).* FROM (SELECT jsonb_populate_record(v, jsonb_build_object("
        "'id', gen_random_uuid(), 'number', 77, 'status', 'verifying', 'stage', 'production')) AS r"
        " FROM registry_modelversion v WHERE id = %s) x",
        version.pk,
    )


def test_by_a_promotion_that_calls_itself_applied(cast: Cast) -> None:
    waiting = promotion_at(cast, "awaiting_approval")
    sql("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", waiting.pk)
    sql("UPDATE lifecycle_promotion SET state = 'applied', applied_xid = 1 WHERE id = %s", waiting.pk)


def test_by_a_promotion_born_applied(cast: Cast) -> None:
    version = staged_version(cast)
    with pytest.raises(IntegrityError), transaction.atomic():
        Promotion.objects.create(
            version=version,
            target="production",
            state=State.APPLIED,
            policy_snapshot={"gates": []},
            requested_by=cast.user("eve"),
            requested_at=timezone.now(),
            expires_at=timezone.now(),
        )


def test_by_a_snapshot_without_gates(cast: Cast) -> None:
    """A promotion carries what its published policy asks for, or is not made."""
    version = staged_version(cast)
    policy = current(version.model, "production")
    for forged in ({"policy": None}, {"policy": policy}, {"policy": current(version.model, "staging")}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Promotion.objects.create(
                version=version, target="production", policy_snapshot={"gates": [], "approvals": {"count": 0}},
                requested_by=cast.user("eve"), requested_at=timezone.now(), expires_at=timezone.now(), **forged,
            )  # fmt: skip


def test_by_a_policy_without_gates(cast: Cast) -> None:
    """The floor below any policy is the database's: integrity, lineage, one approval by somebody else."""
    simple_policy(cast, "production", gates=[], approvals=1)
    version = staged_version(cast)
    promotion = request_promotion(version=version, target="production", by=cast.principal("eve"))
    sql("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", promotion.pk)
    # Nothing is waived by writing so.
    for gate in ("lineage_complete", "integrity_verified"):
        with pytest.raises(IntegrityError), transaction.atomic():
            GateResult.objects.create(
                promotion=promotion,
                key=gate,
                gate=gate,
                verdict="waived",
                sentence="so I say",
                at=timezone.now(),
            )
    GateResult.objects.create(
        promotion=promotion, key="lineage_complete", gate="lineage_complete", verdict="pass", sentence="so I say",
        at=timezone.now(),
    )  # fmt: skip
    sql("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", promotion.pk)
    GateResult.objects.create(
        promotion=promotion, key="integrity_verified", gate="integrity_verified", verdict="pass",
        sentence="so I say", at=timezone.now(),
    )  # fmt: skip
    # All gates forged: the approval is still missing.
    sql("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", promotion.pk)


def test_with_bytes_that_are_quarantined(cast: Cast) -> None:
    waiting = promotion_at(cast, "awaiting_approval")
    Approval.objects.create(
        promotion=waiting, by=cast.user("cora"), verdict="approve", binding=waiting.binding, at=timezone.now()
    )
    Blob.objects.filter(artifacts__manifest=waiting.version.manifest).update(quarantined_at=timezone.now())

    sql("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", waiting.pk)


@pytest.mark.parametrize("who", ["mallory", "ada", "otto", "vera", "ci"])
def test_by_an_approval_of_who_may_not(cast: Cast, who: str) -> None:
    waiting = promotion_at(cast, "awaiting_approval")
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.create(
            promotion=waiting,
            by=cast.user(who),
            verdict="approve",
            binding=waiting.binding,
            at=timezone.now(),
        )


def test_by_an_approval_of_an_account_that_answers_for_the_asker(cast: Cast) -> None:
    """ci asks; ada, who answers for ci, is an operator too."""
    for who, role in (("ci", "ml_engineer"), ("ada", "production_operator")):
        hold_role(cast.namespace, cast.user(who), role)
    version = staged_version(cast)
    asked = request_promotion(version=version, target="production", by=cast.principal("ci"))
    Promotion.objects.filter(pk=asked.pk).update(state="awaiting_approval", binding="b" * 64)
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.create(
            promotion=asked, by=cast.user("ada"), verdict="approve", binding="b" * 64, at=timezone.now()
        )


@pytest.mark.parametrize("who", ["eve", "ben"])
def test_by_an_approval_of_ones_own(cast: Cast, who: str) -> None:
    waiting = promotion_at(cast, "awaiting_approval")
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.create(
            promotion=waiting,
            by=cast.user(who),
            verdict="approve",
            binding=waiting.binding,
            at=timezone.now(),
        )


def test_by_an_approval_of_something_else(cast: Cast) -> None:
    waiting = promotion_at(cast, "awaiting_approval")
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.create(
            promotion=waiting, by=cast.user("cora"), verdict="approve", binding="0" * 64, at=timezone.now()
        )


def test_with_a_promotion_that_was_applied_before(cast: Cast) -> None:
    first = promotion_at(cast, "applied").version
    promotion_at(cast, "applied", value=0.95)

    sql("UPDATE registry_modelversion SET stage = 'production' WHERE id = %s", first.pk)


def test_by_an_alias_of_another_model(cast: Cast) -> None:
    applied = promotion_at(cast, "applied").version
    other = ready_version(cast, model="other")
    with pytest.raises(IntegrityError), transaction.atomic():
        Alias.objects.create(
            model=other.model, name="production", version=applied, protected=True, moved_at=timezone.now()
        )


def test_by_pointing_the_alias(cast: Cast) -> None:
    first = promotion_at(cast, "applied").version
    other = staged_version(cast)

    with pytest.raises(IntegrityError), transaction.atomic():
        Alias.objects.filter(model=first.model, name="production").update(version=other)
    with pytest.raises(IntegrityError), transaction.atomic():
        Alias.objects.filter(model=first.model, name="production").update(version=other, protected=False)
    with pytest.raises(IntegrityError), transaction.atomic():
        Alias.objects.filter(model=first.model, name="production").delete()


@pytest.mark.parametrize("who", ["ben", "vera", "otto", "ci", "mallory", None])
def test_by_rest_without_the_right(cast: Cast, who: str | None) -> None:
    version = staged_version(cast)
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/{version.model.name}/versions/{version.number}"

    answer = cast.client(who).post(f"{path}/promotions", {"target": "production"})

    assert answer.status_code == {None: 401, "mallory": 404}.get(who, 403)
    assert not Promotion.objects.filter(version=version, target="production").exists()


def test_by_rest_with_the_stage_in_the_body(cast: Cast) -> None:
    version = staged_version(cast)
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/{version.model.name}/versions/{version.number}"

    cast.client("ada").patch(path, {"stage": "production", "description": "x"})

    assert fresh(version).stage == "staging"


def test_by_rest_approving_ones_own(cast: Cast) -> None:
    waiting = promotion_at(cast, "awaiting_approval")

    answer = cast.client("eve").post(f"/api/v1/promotions/{waiting.pk}/approve", {})

    assert answer.status_code == 403
    assert fresh(waiting.version).stage == "staging"


def sql(statement: str, *values: Any) -> None:
    """The runtime role is refused."""
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount > 0, "the attack met no row: it proves nothing"


def test_by_a_made_up_history_and_a_rollback(cast: Cast) -> None:
    """A rollback trusts the history of stages, so that history cannot be written by hand."""
    version = ready_version(cast)
    with connection.cursor() as cursor:
        for stage in ("deprecated", "archived"):
            cursor.execute("UPDATE registry_modelversion SET stage = %s WHERE id = %s", [stage, version.pk])
    rollback = Promotion.objects.create(
        version=version, target="production", kind="rollback", reason="trust me",
        policy_snapshot={"gates": [], "approvals": {"count": 0}}, requested_by=cast.user("cora"),
        requested_at=timezone.now(), expires_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    GateResult.objects.create(
        promotion=rollback, key="integrity_verified", gate="integrity_verified", verdict="pass", sentence="so I say",
        at=timezone.now(),
    )  # fmt: skip
    made_up = (
        "INSERT INTO registry_stagechange (version_id, from_stage, to_stage, move, promotion_id, reason, at)"
        " VALUES (%s, 'staging', %s, 'produce', %s, '', now())"
    )
    for stage in ("production", "staging", "development"):
        sql(made_up, version.pk, stage, rollback.pk)
    sql("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", rollback.pk)
    sql("UPDATE registry_modelversion SET stage = 'production' WHERE id = %s", version.pk)


def test_by_a_rollback_without_its_bytes(cast: Cast) -> None:
    """A true former production version, but nobody has read its bytes for this."""
    first = promotion_at(cast, "applied").version
    promotion_at(cast, "applied", value=0.95)
    rollback = Promotion.objects.create(
        version=first, target="production", kind="rollback", reason="back", policy_snapshot={"gates": []},
        requested_by=cast.user("cora"), requested_at=timezone.now(), expires_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    sql("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", rollback.pk)


def test_by_a_rollback_to_staging(cast: Cast) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Promotion.objects.create(
            version=ready_version(cast), target="staging", kind="rollback", reason="x", policy_snapshot={"gates": []},
            requested_by=cast.user("cora"), requested_at=timezone.now(), expires_at=timezone.now(),
        )  # fmt: skip
