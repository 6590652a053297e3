"""The worker killed (-9) while bytes change tiers: a sound copy lies at all times where the row says it does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from lifecycle import tiers
from lifecycle.actions.promotions import move_version
from lifecycle.actions.retention import edit_retention, restore_version, run_retention
from lifecycle.models import TierMove
from lifecycle.tasks import sweep_tier_moves
from registry.artifacts import storage
from registry.models import ModelVersion
from tests.cast import Cast
from tests.conftest import Worker
from tests.registry.artifacts.crash import every_step
from tests.registry.artifacts.sending import blob, events, publish_all, staged, stored

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kept(cast: Cast, settings: Settings) -> Cast:
    """A namespace whose archived versions are put away at once."""
    settings.TIER_GRACE_SECONDS = 0
    edit_retention(
        namespace=cast.namespace, after_days=0, keep_former=0, enabled=True, by=cast.principal("ada")
    )
    return cast


def archived(cast: Cast, content: bytes) -> ModelVersion:
    version = publish_all(cast, staged(cast, {"model.bin": content}))
    for move in ("deprecate", "archive"):
        move_version(version=version, move=move, reason="no longer used", by=cast.principal("eve"))
    return version


def forget_leases(version: ModelVersion) -> None:
    TierMove.objects.filter(version=version, claimed_at__isnull=False).update(
        claimed_at=timezone.now() - timedelta(hours=1)
    )


def finish(version: ModelVersion) -> list[str]:
    """What the sweep leads to."""
    forget_leases(version)
    for move in TierMove.objects.filter(version=version, state__in=["copying", "moved"]):
        tiers.move(move.pk)
    return [move.state for move in TierMove.objects.filter(version=version)]


@pytest.mark.parametrize("way", ["cold", "hot"])
def test_a_move_survives_a_kill_at_every_step(kept: Cast, way: str) -> None:
    contents: dict[ModelVersion, bytes] = {}

    def prepare() -> TierMove:
        content = os.urandom(2000)
        version = archived(kept, content)
        contents[version] = content
        run_retention(namespace=kept.namespace, by=kept.principal("ada"))
        if way == "hot":
            assert finish(version) == ["done"]
            restore_version(version=version, by=kept.principal("eve"))
        return TierMove.objects.select_related("version").get(version=version, to_tier=way)

    def check(move: TierMove, step: int) -> None:
        version, content = move.version, contents[move.version]
        assert stored(content, blob(content).tier) == content, f"step {step}"
        assert set(finish(version)) == {"done"}, f"step {step}"
        assert blob(content).tier == way
        assert stored(content, way) == content
        assert stored(content, "cold" if way == "hot" else "hot") is None
        told = "version.cooled" if way == "cold" else "version.restored"
        mine = [event for event in events(kept, told) if event.subject_id == str(version.pk)]
        assert len(mine) == 1, f"step {step}"

    assert every_step(prepare, lambda move: tiers.move(move.pk), check, stride=5) > 4


def test_a_killed_worker_is_followed_by_another(kept: Cast, worker: Worker) -> None:
    content = os.urandom(96 * storage.MIB)
    version = archived(kept, content)
    run_retention(namespace=kept.namespace, by=kept.principal("ada"))
    move = TierMove.objects.get(version=version)
    wait_until(lambda: TierMove.objects.get(pk=move.pk).claims > 0)
    worker.kill()
    assert TierMove.objects.get(pk=move.pk).state == "copying"
    assert (stored(content, "hot") == content, blob(content).tier) == (True, "hot")
    forget_leases(version)
    worker.start()
    began = time.monotonic()
    sweep_tier_moves.delay()
    wait_until(lambda: TierMove.objects.get(pk=move.pk).state in ("moved", "done"))
    assert time.monotonic() - began < 90
    assert stored(content, "cold") == content
    assert blob(content).tier == "cold"
    assert len(events(kept, "version.cooled")) == 1


def wait_until(true: Callable[[], bool], timeout: float = 90) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
