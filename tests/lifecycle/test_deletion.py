"""Deleting a version: who may, what stands against it, what is left, and what nobody can do with that."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from lifecycle.actions.deletion import VersionInUse, delete_version
from lifecycle.actions.promotions import NoRollbackTarget, move_version, request_promotion, roll_back
from lifecycle.actions.retention import restore_version
from lifecycle.models import LegalHold, Promotion, TierMove
from lineage.models import Edge, LoggedModel, Node, Run
from registry.actions.aliases import move_alias
from registry.actions.versions import request_verification
from registry.errors import DomainError
from registry.models import Alias, Artifact, Event, Manifest, ModelVersion, StageChange
from registry.references import VersionDeleted
from registry.roles import ROLES, Permission
from tests.cast import ROLES as CAST_ROLES
from tests.cast import Cast
from tests.factories import evaluate, fresh, promotion_at, ready_version, simple_policy, staged_version
from tests.lifecycle.holding import held, lifted

pytestmark = pytest.mark.django_db
REASON = "It was trained on a client's data without a contract."


def path(cast: Cast, version: ModelVersion, more: str = "") -> str:
    model = f"/api/v1/namespaces/{cast.namespace.name}/models/{version.model.name}"
    return f"{model}/versions/{version.number}{more}"


def delete(cast: Cast, version: ModelVersion, by: str = "eve", **body: Any) -> Any:
    return cast.client(by).delete(path(cast, version), body or {"reason": REASON})


def deleted(cast: Cast, version: ModelVersion) -> ModelVersion:
    return delete_version(version=version, reason=REASON, by=cast.principal("eve"))


def base_of(cast: Cast, version: ModelVersion, child: ModelVersion) -> None:
    for each in (version, child):
        Node.objects.get_or_create(id=each.pk, kind=Node.Kind.MODEL_VERSION, namespace=each.model.namespace)
    Edge.objects.create(from_node_id=version.pk, to_node_id=child.pk, role=Edge.Role.BASE)


def test_it_works(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.9)
    told = cast.client("vera").get(path(cast, version, "/deletion")).json()
    assert (told["reasons"], told["frees"]) == ([], {"blobs": 1, "bytes": 100})

    answer = delete(cast, version)

    assert answer.status_code == 200, answer.json()
    shown = cast.client("vera").get(path(cast, version)).json()
    assert shown == answer.json()
    assert (shown["status"], shown["status_message"], shown["stage"]) == ("deleted", REASON, "development")
    assert shown["deleted_at"].endswith("Z")
    assert (shown["digest"], shown["size"], shown["files"]) == (f"sha256:{version.manifest.digest}", 100, 1)
    assert len(shown["metrics"]) == 1
    assert Manifest.objects.get(pk=version.manifest_id).released_at == fresh(version).deleted_at
    (event,) = Event.objects.filter(type="version.deleted", subject_id=str(version.pk))
    assert (event.reason, event.actor) == (REASON, cast.user("eve"))
    assert event.before == {"status": "ready", "stage": "development"}
    assert event.after == {
        "status": "deleted",
        "stage": "development",
        "digest": f"sha256:{version.manifest.digest}",
        "size": 100,
        "files": 1,
        "released": True,
    }
    # All of where it came from is there.
    assert Run.objects.filter(pk=str(version.run_id)).exists()
    assert Edge.objects.filter(to_node_id=version.pk).exists()
    assert Artifact.objects.filter(manifest=version.manifest_id).count() == 1
    lineage = cast.client("vera").get(path(cast, version, "/lineage")).json()
    assert len(lineage["nodes"]) == 3


@pytest.mark.parametrize("who", [*CAST_ROLES, "mallory"])
def test_who_may(cast: Cast, who: str) -> None:
    version = ready_version(cast)
    answer = delete(cast, version, by=who)
    if who == "mallory":
        assert answer.status_code == 404
    elif Permission.VERSION_DELETE in ROLES[CAST_ROLES[who]]:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 403
        assert "ml_engineer" in answer.json()["detail"]
    assert (fresh(version).deleted_at is not None) == (answer.status_code == 200)


@pytest.mark.parametrize("body", [{"reason": " "}, {"reason": "x" * 4001}, {"why": "x"}])
def test_a_reason_is_asked_for(cast: Cast, body: dict[str, str]) -> None:
    version = ready_version(cast)
    answer = delete(cast, version, **body)
    assert answer.status_code == 422
    assert fresh(version).status == "ready"


def test_deleting_again_answers_the_same_and_records_nothing(cast: Cast) -> None:
    version = ready_version(cast)
    first, second = delete(cast, version), delete(cast, version, by="ada", reason="another reason")
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert Event.objects.filter(type="version.deleted", subject_id=str(version.pk)).count() == 1


def test_with_a_key_it_is_done_once(cast: Cast) -> None:
    version = ready_version(cast)
    client = cast.client("eve")
    headers = {"Idempotency-Key": f"delete-{version.pk}"}
    first = client.delete(path(cast, version), {"reason": REASON}, headers=headers)
    again = client.delete(path(cast, version), {"reason": REASON}, headers=headers)
    assert again["Idempotency-Replayed"] == "true"
    assert first.json() == again.json()
    other = client.delete(path(cast, version), {"reason": "other"}, headers=headers)
    assert other.status_code == 422


def test_every_referrer_is_named(cast: Cast) -> None:
    simple_policy(cast, "staging")
    version = ready_version(cast)
    evaluate(cast, version, 0.9)
    for name in ("champion", "next"):
        move_alias(model=version.model, name=name, version=version, by=cast.principal("eve"))
    held(cast, version)
    request_promotion(version=version, target="staging", by=cast.principal("eve"))
    base_of(cast, version, ready_version(cast, model="child"))
    hidden = ready_version(Cast(cast.elsewhere, cast.namespace, cast.people), by="mallory", model="secret")
    base_of(cast, version, hidden)
    TierMove.objects.create(
        blob=Artifact.objects.get(manifest=version.manifest_id).blob, version=version, to_tier="cold"
    )

    answer = delete(cast, version)

    assert (answer.status_code, answer.json()["code"]) == (409, "version-in-use")
    reasons = answer.json()["reasons"]
    assert len(reasons) == 7
    for words in (
        "1 of its blobs",
        "The alias champion points at it",
        "The alias next points at it",
        "Case 12.",
        "A promotion of it to staging is open",
        f"{cast.namespace.name}/child:1 is based on it.",
        "1 version that you cannot see is based on it.",
    ):
        assert any(words in reason for reason in reasons), words
    assert "secret" not in answer.content.decode()
    assert cast.client("eve").get(path(cast, version, "/deletion")).json()["reasons"] == reasons
    assert fresh(version).status == "ready"


@pytest.mark.parametrize("stage", ["staging", "production"])
def test_what_is_in_use_stays(cast: Cast, stage: str) -> None:
    version = promotion_at(cast, "applied").version if stage == "production" else staged_version(cast)
    answer = delete(cast, version)
    assert answer.status_code == 409
    assert [f"It is in {stage}" in reason for reason in answer.json()["reasons"]] == [True]


def test_what_is_being_verified_stays_and_what_failed_goes(cast: Cast) -> None:
    version = ready_version(cast)
    manifest = Manifest.objects.create(namespace=cast.namespace)
    verifying = ModelVersion.objects.create(
        model=version.model, number=50, status="verifying", manifest=manifest, created_by=cast.user("ben")
    )
    with pytest.raises(VersionInUse, match="this stands against it") as caught:
        deleted(cast, verifying)
    assert caught.value.reasons == ["It is verifying: wait until it is ready, or has failed."]
    ModelVersion.objects.filter(pk=verifying.pk).update(status="failed")
    assert deleted(cast, verifying).status == "deleted"


def test_what_no_longer_refers_does_not_stand_against_it(cast: Cast) -> None:
    version, child = ready_version(cast), ready_version(cast, model="child")
    base_of(cast, version, child)
    hold = held(cast, version)
    with pytest.raises(VersionInUse):
        deleted(cast, version)
    deleted(cast, child)
    lifted(cast, hold)
    deleted(cast, version)


@pytest.mark.parametrize("other", ["version", "run", "logged model"])
def test_bytes_that_something_else_is_made_of_are_kept(cast: Cast, other: str) -> None:
    version = ready_version(cast)
    manifest = Manifest.objects.get(pk=version.manifest_id)
    twin = None
    if other == "version":
        twin = ModelVersion.objects.create(
            model=version.model, number=50, status="verifying", manifest=manifest, created_by=cast.user("ben")
        )
    elif other == "run":
        Run.objects.filter(pk=str(version.run_id)).update(manifest=manifest)
    else:
        run = Run.objects.get(pk=str(version.run_id))
        LoggedModel.objects.create(experiment=run.experiment, name="m", manifest=manifest)
    assert cast.client("eve").get(path(cast, version, "/deletion")).json()["frees"]["blobs"] == 0
    deleted(cast, version)
    manifest.refresh_from_db()
    assert manifest.released_at is None
    if twin is not None:
        ModelVersion.objects.filter(pk=twin.pk).update(status="ready")
        deleted(cast, twin)
        manifest.refresh_from_db()
        assert manifest.released_at is not None


def test_a_tombstone_is_read_and_nothing_else(cast: Cast) -> None:
    version = promotion_at(cast, "applied").version
    move_version(version=version, move="suspend", reason="biased", by=cast.principal("cora"))
    move_version(version=version, move="archive", reason="over", by=cast.principal("eve"))
    deleted(cast, version)
    gone = fresh(version)
    sentence = f"{gone.reference} was deleted on {gone.deleted_at:%Y-%m-%d}: {REASON}"
    client = cast.client("eve")
    for route in ("/artifacts", "/artifacts/model.skops", "/artifacts/model.skops?as=stream"):
        answer = client.get(path(cast, version, route))
        assert (answer.status_code, answer.json()["code"]) == (410, "version-deleted")
        assert answer.json()["detail"] == sentence
    asked = client.post(path(cast, version, "/promotions"), {"target": "staging"})
    assert (asked.status_code, asked.json()["detail"]) == (410, sentence)
    by = cast.principal("eve")
    calls: list[Any] = [
        lambda: move_alias(model=version.model, name="champion", version=gone, by=by),
        lambda: move_version(version=gone, move="deprecate", reason="x", by=by),
        lambda: restore_version(version=gone, by=by),
        lambda: request_verification(version=gone, by=by),
        lambda: roll_back(model=gone.model, to=gone.number, reason="x", by=cast.principal("cora")),
    ]
    for call in calls:
        with pytest.raises(VersionDeleted, match="was deleted on"):
            call()
    for ref in (gone.reference, f"{gone.model}@sha256:{gone.manifest.digest}"):
        found = client.get("/api/v1/resolve", {"ref": ref}).json()
        assert (found["number"], found["status"]) == (gone.number, "deleted")
    assert StageChange.objects.filter(version=version).count() == 4
    assert Promotion.objects.filter(version=version).count() == 2
    assert ready_version(cast).number == gone.number + 1


def test_a_deleted_version_is_no_rollback_target(cast: Cast) -> None:
    first = promotion_at(cast, "applied").version
    promotion_at(cast, "applied", version=staged_version(cast, 0.95), value=0.95)
    deleted(cast, first)
    with pytest.raises(NoRollbackTarget):
        roll_back(model=first.model, reason="worse", by=cast.principal("cora"))


def test_a_deleted_base_is_refused(cast: Cast) -> None:
    base = ready_version(cast)
    deleted(cast, base)
    upload = cast.client("ben").post(
        f"/api/v1/namespaces/{cast.namespace.name}/uploads",
        {"files": [{"path": "m.bin", "size": 3, "sha256": "ab" * 32}]},
    )
    body = {"upload": upload.json()["id"], "base": [base.reference]}
    answer = cast.client("ben").post(f"/api/v1/namespaces/{cast.namespace.name}/models/new/versions", body)
    assert (answer.status_code, answer.json()["code"]) == (410, "version-deleted")


# ---- the database's own line


def refused(constraint: str, act: Any) -> None:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        act()
    assert caught.value.__cause__.diag.constraint_name == constraint  # type: ignore[union-attr]


def test_the_database_deletes_nothing_that_is_referred_to(cast: Cast) -> None:
    version = ready_version(cast)
    row = ModelVersion.objects.filter(pk=version.pk)

    def raw() -> None:
        row.update(status="deleted", deleted_at=version.created_at)

    alias = Alias.objects.create(
        model=version.model, name="champion", version=version, moved_at=version.created_at
    )
    refused("version_in_use", raw)
    alias.delete()
    hold = held(cast, version)
    refused("version_in_use", raw)
    lifted(cast, hold)
    child = ready_version(cast, model="child")
    base_of(cast, version, child)
    refused("version_in_use", raw)
    deleted(cast, child)
    simple_policy(cast, "staging")
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    refused("version_in_use", raw)
    Promotion.objects.filter(pk=promotion.pk).update(state="withdrawn")
    raw()


def test_the_database_lets_nothing_refer_to_a_tombstone(cast: Cast) -> None:
    version, other = ready_version(cast), ready_version(cast)
    alias = Alias.objects.create(model=version.model, name="a", version=other, moved_at=version.created_at)
    Node.objects.get_or_create(id=other.pk, kind=Node.Kind.MODEL_VERSION, namespace=cast.namespace)
    deleted(cast, version)
    refused("version_deleted", lambda: Alias.objects.filter(pk=alias.pk).update(version=version))
    refused(
        "version_deleted",
        lambda: LegalHold.objects.create(version=version, reason="x", placed_by=cast.user("ada")),
    )
    refused("version_deleted", lambda: base_of(cast, version, other))
    refused(
        "manifest_released",
        lambda: ModelVersion.objects.create(
            model=version.model,
            number=70,
            status="verifying",
            manifest=version.manifest,
            created_by=cast.user("ben"),
        ),
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["alias", "base", "hold", "promotion"])
def test_of_a_deletion_and_a_new_referrer_one_is_refused(cast: Cast, what: str) -> None:
    """Let go at once, many times: never a tombstone that something counts on."""
    simple_policy(cast, "staging")
    outcomes = set()
    for n in range(6):
        version, child = ready_version(cast), ready_version(cast, model=f"child-{n}")
        Node.objects.get_or_create(id=version.pk, kind=Node.Kind.MODEL_VERSION, namespace=cast.namespace)
        refer: dict[str, Any] = {
            "alias": lambda v=version: move_alias(
                model=v.model, name="champion", version=v, by=cast.principal("eve")
            ),
            "base": lambda v=version, c=child: base_of(cast, v, c),
            "hold": lambda v=version: held(cast, v),
            "promotion": lambda v=version: request_promotion(
                version=v, target="staging", by=cast.principal("eve")
            ),
        }
        results = both_at_once(refer[what], lambda v=version: deleted(cast, v))
        assert sorted(results) == ["done", "refused"], results
        outcomes.add(results[0])
        Alias.objects.filter(model=version.model, protected=False).delete()
    assert outcomes


def both_at_once(*acts: Any) -> list[str]:
    """What came of each, let go together: done or refused."""
    barrier, results = threading.Barrier(len(acts)), [""] * len(acts)

    def one(n: int) -> None:
        try:
            barrier.wait(timeout=30)
            acts[n]()
            results[n] = "done"
        except (DomainError, IntegrityError):
            results[n] = "refused"
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results
