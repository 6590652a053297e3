"""What is put away, what stays at hand, and the way back."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from lifecycle import retention, tiers
from lifecycle.actions.promotions import move_version
from lifecycle.actions.retention import edit_retention, restore_version, run_retention
from lifecycle.models import TierMove
from registry.actions.aliases import move_alias
from registry.artifacts.scrub import verify_blob
from registry.errors import Forbidden, NotVisible
from registry.models import ModelVersion
from tests.cast import Cast
from tests.lifecycle.holding import held
from tests.registry.artifacts.sending import (
    again,
    blob,
    events,
    lose,
    overwrite,
    published,
    register,
    send,
    sha256,
    stored,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_grace(settings: Settings) -> None:
    settings.TIER_GRACE_SECONDS = 0


@pytest.fixture
def kept(cast: Cast) -> Cast:
    """A namespace whose archived versions are put away at once."""
    edit_retention(
        namespace=cast.namespace, after_days=0, keep_former=2, enabled=True, by=cast.principal("ada")
    )
    return cast


def archived(cast: Cast, files: dict[str, bytes], **more: Any) -> ModelVersion:
    """A published version that was given up."""
    version = published(cast, files, **more)
    for move in ("deprecate", "archive"):
        move_version(version=version, move=move, reason="no longer used", by=cast.principal("eve"))
    return again(version)


def planned(cast: Cast) -> dict[str, int]:
    """reference -> bytes, by the dry run over REST."""
    path = f"/api/v1/namespaces/{cast.namespace.name}/retention/plan"
    answer = cast.client("ada").get(path).json()
    assert answer["bytes"] == sum(version["bytes"] for version in answer["versions"])
    return {version["reference"]: version["bytes"] for version in answer["versions"]}


def carry_out(cast: Cast) -> list[TierMove]:
    """Run the policy, then the moves as the worker would."""
    run_retention(namespace=cast.namespace, by=cast.principal("ada"))
    moves = list(TierMove.objects.filter(state="copying", version__model__namespace=cast.namespace))
    for move in moves:
        tiers.move(move.pk)
    return [TierMove.objects.get(pk=move.pk) for move in moves]


def bring_back(cast: Cast, version: ModelVersion) -> list[TierMove]:
    restore_version(version=version, by=cast.principal("eve"), reason="needed for a study")
    moves = list(TierMove.objects.filter(state="copying", to_tier="hot", version=version))
    for move in moves:
        tiers.move(move.pk)
    return [TierMove.objects.get(pk=move.pk) for move in moves]


def tier(cast: Cast, version: ModelVersion) -> str:
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/{version.model.name}/versions/{version.number}"
    return str(cast.client("vera").get(path).json()["tier"])


def test_it_works(kept: Cast) -> None:
    files = {"model.bin": os.urandom(5000), "config.json": os.urandom(50)}
    version = archived(kept, files)
    assert planned(kept) == {version.reference: 5050}

    moves = carry_out(kept)

    assert [move.state for move in moves] == ["done", "done"]
    assert planned(kept) == {}
    assert tier(kept, version) == "cold"
    for content in files.values():
        assert stored(content, "hot") is None
        assert stored(content, "cold") == content
    (cooled,) = events(kept, "version.cooled")
    assert cooled.subject_label == version.reference
    client = kept.client("vera")
    path = f"/api/v1/namespaces/{kept.namespace.name}/models/scorer/versions/1/artifacts/model.bin"
    assert (client.get(path).status_code, client.get(path).json()["code"]) == (409, "version-in-cold-storage")

    bring_back(kept, version)

    assert tier(kept, version) == "hot"
    for content in files.values():
        assert stored(content, "hot") == content
        assert stored(content, "cold") is None
    (restored,) = events(kept, "version.restored")
    assert restored.after == {"tier": "hot", "stage": "archived"}
    assert client.get(path).status_code == 302


def test_the_run_does_what_the_dry_run_says(kept: Cast) -> None:
    for n in range(3):
        archived(kept, {"model.bin": os.urandom(100 + n)})
    told = planned(kept)
    answer = kept.client("ada").post(f"/api/v1/namespaces/{kept.namespace.name}/retention/run")
    assert answer.status_code == 202
    assert {version["reference"]: version["bytes"] for version in answer.json()["versions"]} == told
    assert TierMove.objects.filter(version__model__namespace=kept.namespace).count() == len(told) == 3
    assert planned(kept) == {}  # under way
    assert [e.after["bytes"] for e in events(kept, "retention.run") if e.after] == [sum(told.values())]


def test_bytes_that_another_version_needs_stay(kept: Cast) -> None:
    shared, own = os.urandom(400), os.urandom(300)
    old = archived(kept, {"shared.bin": shared, "own.bin": own})
    published(kept, {"shared.bin": shared})
    assert planned(kept) == {old.reference: 300}
    carry_out(kept)
    assert stored(shared, "hot") == shared
    assert stored(own, "hot") is None
    assert tier(kept, old) == "mixed"
    assert [event.after for event in events(kept, "version.cooled")] == [
        {"tier": "mixed", "stage": "archived"}
    ]


def test_bytes_that_another_namespace_holds_stay(kept: Cast) -> None:
    content = os.urandom(400)
    archived(kept, {"model.bin": content})
    other = Cast(kept.elsewhere, kept.namespace, {**kept.people, "ben": kept.people["mallory"]})
    published(other, {"theirs.bin": content})
    assert planned(kept) == {}


def test_bytes_that_two_put_away_versions_share_move_once(kept: Cast) -> None:
    content = os.urandom(400)
    first, second = archived(kept, {"a.bin": content}), archived(kept, {"b.bin": content})
    assert planned(kept) == {first.reference: 400}
    assert len(carry_out(kept)) == 1
    assert {tier(kept, first), tier(kept, second)} == {"cold"}
    assert len(events(kept, "version.cooled")) == 2
    bring_back(kept, second)
    assert {tier(kept, first), tier(kept, second)} == {"hot"}


@pytest.mark.parametrize("reason", ["stage", "age", "alias", "hold", "former"])
def test_what_may_still_be_needed_stays(kept: Cast, reason: str) -> None:
    policy = retention.policy_of(kept.namespace)
    content = {"model.bin": os.urandom(100)}
    version = published(kept, content) if reason == "stage" else archived(kept, content)
    match reason:
        case "age":
            policy.after_days = 1
        case "alias":
            move_alias(model=version.model, name="reference", version=version, by=kept.principal("eve"))
        case "hold":
            held(kept, version, "a lawsuit")
        case "former":
            version.stage_changes.create(
                from_stage="production", to_stage="archived", move="step_down", at=timezone.now()
            )
    assert retention.plan(policy) == []
    policy.keep_former = 0
    later = retention.plan(policy, timezone.now() + timedelta(days=2))
    assert bool(later) == (reason in ("age", "former"))


def test_only_the_newest_former_productions_stay(kept: Cast) -> None:
    versions = [archived(kept, {"model.bin": os.urandom(100)}) for _ in range(4)]
    for version in versions[:3]:
        version.stage_changes.create(
            from_stage="production", to_stage="archived", move="step_down", at=timezone.now()
        )
    assert set(planned(kept)) == {versions[0].reference, versions[3].reference}


def test_a_version_that_was_brought_back_is_not_put_away_at_once(kept: Cast) -> None:
    version = archived(kept, {"model.bin": os.urandom(100)})
    carry_out(kept)
    bring_back(kept, version)
    policy = retention.policy_of(kept.namespace)
    policy.after_days = 30
    later = timezone.now() + timedelta(days=29)
    assert retention.plan(policy, later) == []
    assert len(retention.plan(policy, later + timedelta(days=2))) == 1


def test_during_the_grace_the_old_copy_stays(kept: Cast, settings: Settings) -> None:
    settings.TIER_GRACE_SECONDS = 3600
    content = os.urandom(500)
    version = archived(kept, {"model.bin": content})
    (move,) = carry_out(kept)
    assert move.state == "moved"
    assert tier(kept, version) == "cold"
    assert stored(content, "hot") == stored(content, "cold") == content
    assert not tiers.is_over(move, timezone.now())
    assert tiers.is_over(move, timezone.now() + timedelta(hours=2))

    bring_back(kept, version)  # the hot copy is still there
    assert tier(kept, version) == "hot"
    assert TierMove.objects.get(pk=move.pk).state == "done"
    settings.TIER_GRACE_SECONDS = 0
    for row in TierMove.objects.filter(version=version, state="moved"):
        tiers.move(row.pk)
    assert stored(content, "hot") == content
    assert stored(content, "cold") is None


def test_a_version_needed_again_while_its_bytes_travel_keeps_them(kept: Cast) -> None:
    content = os.urandom(500)
    version = archived(kept, {"model.bin": content})
    run_retention(namespace=kept.namespace, by=kept.principal("ada"))
    move_alias(model=version.model, name="reference", version=version, by=kept.principal("eve"))
    move = TierMove.objects.get(version=version)
    tiers.move(move.pk)
    move = TierMove.objects.get(pk=move.pk)
    assert (move.state, move.error) == ("failed", "its bytes are needed at hand again")
    assert tier(kept, version) == "hot"
    assert not events(kept, "version.cooled")


def test_publishing_cold_bytes_again_brings_them_back(kept: Cast, settings: Settings) -> None:
    content = os.urandom(500)
    old = archived(kept, {"model.bin": content})
    upload = send(kept, {"same.bin": content})  # nothing was to be sent: held
    settings.TIER_GRACE_SECONDS = 3600
    (move,) = carry_out(kept)
    version = register(kept, upload)
    from_cold = published(kept, {"again.bin": content})
    assert from_cold.status == "ready"
    assert tier(kept, old) == "hot"
    settings.TIER_GRACE_SECONDS = 0
    tiers.move(move.pk)
    assert stored(content, "hot") == content
    assert stored(content, "cold") is None
    assert TierMove.objects.get(pk=move.pk).state == "done"
    assert again(version).status == "verifying"


def test_a_damaged_original_is_found_and_stays(kept: Cast) -> None:
    content = os.urandom(500)
    version = archived(kept, {"model.bin": content})
    overwrite(content, os.urandom(500))
    (move,) = carry_out(kept)
    assert move.state == "failed"
    assert tier(kept, version) == "hot"
    assert blob(content).quarantined_at is not None
    assert len(events(kept, "blob.quarantined")) == 1


@pytest.mark.parametrize("damage", ["overwritten", "lost"])
def test_a_damaged_cold_copy_is_never_brought_back_as_good(kept: Cast, damage: str) -> None:
    content = os.urandom(500)
    version = archived(kept, {"model.bin": content})
    carry_out(kept)
    if damage == "lost":
        lose(content, "cold")
    else:
        overwrite(content, os.urandom(500), "cold")
    (move,) = bring_back(kept, version)
    assert move.state == "failed"
    assert blob(content).quarantined_at is not None
    assert not events(kept, "version.restored")


def test_cold_bytes_are_scrubbed_where_they_lie(kept: Cast) -> None:
    content = os.urandom(500)
    archived(kept, {"model.bin": content})
    carry_out(kept)
    assert verify_blob(sha256(content))
    overwrite(content, os.urandom(500), "cold")
    assert not verify_blob(sha256(content))


def test_the_last_copy_is_kept_when_the_new_one_has_gone(kept: Cast, settings: Settings) -> None:
    settings.TIER_GRACE_SECONDS = 3600
    content = os.urandom(500)
    archived(kept, {"model.bin": content})
    (move,) = carry_out(kept)
    lose(content, "cold")
    settings.TIER_GRACE_SECONDS = 0
    tiers.move(move.pk)
    assert stored(content, "hot") == content


def test_restoring_what_is_at_hand_changes_nothing(kept: Cast) -> None:
    version = archived(kept, {"model.bin": os.urandom(100)})
    assert restore_version(version=version, by=kept.principal("eve")) == 0
    assert not events(kept, "version.restore_requested")


def test_who_may(kept: Cast) -> None:
    version = archived(kept, {"model.bin": os.urandom(100)})
    for name in ("ben", "eve", "cora", "otto", "vera", "ci"):
        with pytest.raises(Forbidden):
            run_retention(namespace=kept.namespace, by=kept.principal(name))
    for name in ("ben", "otto", "vera"):
        with pytest.raises(Forbidden):
            restore_version(version=version, by=kept.principal(name))
    with pytest.raises(NotVisible):
        run_retention(namespace=kept.namespace, by=kept.principal("mallory"))


def test_the_policy_over_rest(cast: Cast) -> None:
    path = f"/api/v1/namespaces/{cast.namespace.name}/retention"
    default = {"after_days": 90, "keep_former": 2, "enabled": False}
    assert cast.client("vera").get(path).json() == default
    body = {"after_days": 30, "keep_former": 1, "enabled": True}
    assert cast.client("eve").put(path, body).status_code == 403
    assert cast.client("mallory").put(path, body).status_code == 404
    for _ in range(2):
        assert cast.client("ada").put(path, body).json() == body
    (edited,) = events(cast, "retention.edited")
    assert (edited.before, edited.after) == (None, body)
    refused = cast.client("ada").put(path, {**body, "after_days": -1})
    assert (refused.status_code, refused.json()["field"]) == (422, "after_days")
