"""The worker killed at every step of what it does with bytes, and what is left; with bugs that must be seen.

`make campaign-artifacts-crash` kills at every step, the test suite at every few.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from unittest import mock

from django.db.models import QuerySet
from django.utils import timezone

from lifecycle.actions.deletion import delete_version
from registry.artifacts import content, hashing, placing, publish, scrub, storage
from registry.journal import record
from registry.models import Event, ModelVersion
from registry.tasks import artifacts as tasks
from tests.cast import Cast, make_cast
from tests.figures import print_campaign
from tests.registry.artifacts.corner import collect, delete, kinds, own_corner, packed
from tests.registry.artifacts.crash import MOST, dies_at
from tests.registry.artifacts.sending import (
    again,
    blob,
    events,
    overwrite,
    publish_all,
    register,
    sha256,
    staged,
    stored,
)
from tests.registry.artifacts.wholeness import dangling, wrong_in, wrong_with

MIB = storage.MIB


@dataclass
class Case:
    """One thing that is done once, and killed in the middle of it."""

    version: ModelVersion
    contents: Sequence[bytes] = ()


@dataclass(frozen=True)
class Operation:
    """`act` is killed; `recover` is what the product does about it; `done` says what is wrong afterwards.

    `floor`: how many steps there are at least. Fewer, and the harness has gone blind.
    """

    floor: int
    prepare: Callable[[], Case]
    act: Callable[[Case], None]
    recover: Callable[[Case], None]
    done: Callable[[Case], list[str]]
    # Whether the version is sound before anybody recovers: not, where the operation is to find that it is not.
    sound_before: bool = True


@dataclass
class Told:
    """How often it was killed, and what was wrong after which step."""

    kills: int = 0
    bad: list[str] = field(default_factory=list)


def killed_through(operation: Operation, *, stride: int = 1, enough: int = 20) -> Told:
    """Kill the operation at each `stride`th of its steps until it comes to its end, or `enough` is wrong."""
    told = Told()
    for step in range(1, MOST, stride):
        case = operation.prepare()
        died = dies_at(step, lambda: operation.act(case))  # noqa: B023 - called at once
        told.bad += [f"step {step}: {wrong}" for wrong in _left(operation, case)]
        told.kills += died
        if not died or len(told.bad) >= enough:
            return told
    raise AssertionError(f"it does not end within {MOST} steps")


def through(make: Callable[[Cast], Operation], *, stride: int = 1, enough: int = 20) -> Told:
    """`killed_through` in a namespace and a corner of its own, with what holds of all of it in the end."""
    with one_at_a_time(), own_corner():
        cast = make_cast()
        operation = make(cast)
        told = killed_through(operation, stride=stride, enough=enough)
        told.bad += wrong_in(cast.namespace) + dangling()
    if told.kills < operation.floor // stride:
        told.bad.append(f"{told.kills} kills only, {operation.floor // stride} are due")
    return told


def _left(operation: Operation, case: Case) -> list[str]:
    """What is wrong before anybody recovered anything, and what is afterwards."""
    half = wrong_with(again(case.version)) if operation.sound_before else []
    half = [f"before recovery: {wrong}" for wrong in half]
    try:
        operation.recover(case)
    except Exception as error:
        return [*half, f"recovery raised {error!r}"]
    return [*half, *wrong_with(again(case.version)), *operation.done(case)]


# ---- recovery, as the product does it


def forget_lease(version: ModelVersion) -> None:
    """As though the lease of the dead worker had run out."""
    ModelVersion.objects.filter(pk=version.pk, claimed_at__isnull=False).update(
        claimed_at=timezone.now() - timedelta(hours=1)
    )


def sweep(version: ModelVersion) -> None:
    """What the sweep leads to once the dead worker's lease has run out."""
    forget_lease(version)
    messages: list[Callable[[], None]] = []

    def caught(task: Any) -> AbstractContextManager[Any]:
        def delay(*, version_id: str) -> None:
            if version_id == str(version.pk):
                messages.append(lambda: task(version_id=version_id))

        return mock.patch.object(task, "delay", delay)

    with (
        mock.patch.object(tasks, "LOST_AFTER", timedelta(0)),
        caught(tasks.publish_version),
        caught(tasks.verify_version),
    ):
        tasks.sweep_versions()
    for message in messages:
        message()


# ---- publish


def publishing(
    cast: Cast, files: Callable[[], dict[str, bytes]], floor: int, *, in_packs: bool = False
) -> Operation:
    """Publish versions of such files."""

    def prepare() -> Case:
        contents = files()
        upload = (packed if in_packs else staged)(cast, contents)
        return Case(register(cast, upload), list(contents.values()))

    def done(case: Case) -> list[str]:
        version = again(case.version)
        return [] if version.status == "ready" else [f"it is {version.status}: {version.status_message}"]

    return Operation(
        floor, prepare, lambda case: publish.publish(case.version.pk), lambda c: sweep(c.version), done
    )


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Steps that come in one order, and large files that are small: in one thread, above low thresholds."""
    with ExitStack() as stack:
        for module in (placing, content):
            stack.enter_context(mock.patch.object(module, "SIDE_BY_SIDE", 1))
        stack.enter_context(mock.patch.object(hashing, "AHEAD", 0))
        for module in (placing, content):
            stack.enter_context(mock.patch.object(module, "COPIED_WHOLE", 2 * MIB))
        stack.enter_context(mock.patch.object(content, "PIECE", 5 * MIB))
        stack.enter_context(mock.patch.object(hashing, "WINDOW", 3 * MIB))
        yield


# ---- scrub: damage found, damage healed


def finding_damage(cast: Cast) -> Operation:
    """A request to read a version again, whose bytes were altered."""

    def prepare() -> Case:
        good = os.urandom(900)
        version = publish_all(cast, staged(cast, {"model.bin": good}))
        overwrite(good, os.urandom(900))
        now = timezone.now() - timedelta(minutes=1)
        ModelVersion.objects.filter(pk=version.pk).update(verify_requested_at=now)
        return Case(version, [good])

    def done(case: Case) -> list[str]:
        (good,) = case.contents
        told = [e for e in events(cast, "blob.quarantined") if e.subject_id == sha256(good)]
        wrong = [] if blob(good).quarantined_at else ["it is not in quarantine"]
        return wrong + ([] if len(told) == 1 else [f"blob.quarantined was told {len(told)} times"])

    return Operation(
        14,
        prepare,
        lambda case: scrub.verify_version(case.version.pk),
        lambda case: sweep(case.version),
        done,
        sound_before=False,
    )


def healing(cast: Cast) -> Operation:
    """A version that brings the good bytes of a blob in quarantine."""

    def prepare() -> Case:
        good = os.urandom(900)
        publish_all(cast, staged(cast, {"model.bin": good}))
        overwrite(good, os.urandom(900))
        scrub.verify_blob(sha256(good))
        assert blob(good).quarantined_at is not None
        return Case(register(cast, staged(cast, {"model.bin": good})), [good])

    def done(case: Case) -> list[str]:
        (good,) = case.contents
        told = [e for e in events(cast, "blob.healed") if e.subject_id == sha256(good)]
        wrong = ["it is still in quarantine"] if blob(good).quarantined_at else []
        return wrong + ([] if len(told) == 1 else [f"blob.healed was told {len(told)} times"])

    return Operation(30, prepare, lambda c: publish.publish(c.version.pk), lambda c: sweep(c.version), done)


def one_file() -> dict[str, bytes]:
    return {"model.bin": os.urandom(3000)}


def one_large() -> dict[str, bytes]:
    return {"large.bin": os.urandom(6 * MIB)}


def several() -> dict[str, bytes]:
    return {"model.bin": os.urandom(3000), "conf.json": os.urandom(30), "vocab.txt": os.urandom(300)}


# ---- delete and collect


def deleting(cast: Cast) -> Operation:
    """A version is deleted; whoever asked for it asks again."""

    def delete(case: Case) -> None:
        delete_version(version=case.version, reason="not needed", by=cast.principal("eve"))

    def done(case: Case) -> list[str]:
        version = again(case.version)
        wrong = [] if version.status == "deleted" else [f"it is {version.status}"]
        return wrong + ([] if version.manifest.released_at else ["its manifest is not released"])

    return Operation(20, lambda: Case(publish_all(cast, staged(cast, one_file()))), delete, delete, done)


def collecting(cast: Cast) -> Operation:
    """Bytes that were condemned are removed; others that were deleted, or are of an attempt that was cut short,
    are condemned or removed in the same run. What a living version shares with them stays."""

    def prepare() -> Case:
        old, new, shared, stray = (os.urandom(500) for _ in range(4))
        living = publish_all(cast, staged(cast, {"shared": shared}))
        delete(cast, publish_all(cast, staged(cast, {"old": old, "shared": shared})))
        collect()
        delete(cast, publish_all(cast, staged(cast, {"new": new, "shared": shared})))
        storage.hot().put(storage.content_key(sha256(stray)), stray, sha256(stray))
        return Case(living, [old, new, shared, stray])

    def recover(_: Case) -> None:
        collect()
        collect()

    def done(case: Case) -> list[str]:
        old, new, shared, stray = case.contents
        found = {"old": kinds(old), "new": kinds(new), "shared": kinds(shared)}
        due = {"old": ("gone", False, False), "new": ("gone", False, False), "shared": ("live", True, False)}
        wrong = [f"{name} is {found[name]}" for name in due if found[name] != due[name]]
        wrong += ["what was cut short is still there"] if stored(stray) else []
        told = [("garbage.condemned", old), ("garbage.condemned", new), ("garbage.collected", old)]
        told += [("garbage.collected", new)]
        for name, each in told:
            count = Event.objects.filter(type=name, after__contains={"sha256": [sha256(each)]}).count()
            wrong += [f"{name} was told {count} times"] if count != 1 else []
        # What no row stood for is gone with nobody to tell of it, when the worker dies before it could.
        swept = Event.objects.filter(
            type="garbage.swept", after__contains={"sha256": [sha256(stray)]}
        ).count()
        wrong += [f"garbage.swept was told {swept} times"] if swept > 1 else []
        return wrong

    return Operation(38, prepare, lambda _: tasks.collect_garbage(), recover, done)


OPERATIONS: dict[str, Callable[[Cast], Operation]] = {
    "publish, one file": lambda cast: publishing(cast, one_file, 30),
    "publish, several": lambda cast: publishing(cast, several, 54),
    "publish, in a pack": lambda cast: publishing(cast, several, 32, in_packs=True),
    "publish, in pieces": lambda cast: publishing(cast, one_large, 42),
    "delete": deleting,
    "collect": collecting,
    "scrub": finding_damage,
    "heal": healing,
}


# ---- bugs that must be seen


def row_before_object(cast: Cast) -> Operation:
    """Sealed first, copied afterwards."""
    place = placing.place

    def act(case: Case) -> None:
        with mock.patch.object(placing, "place", return_value=[]):
            publish.publish(case.version.pk)
        place(list(case.version.manifest.upload.files.all()))

    return replace(publishing(cast, one_file, 0), act=act)


def event_after_commit(cast: Cast) -> Operation:
    """The event in a transaction of its own."""

    def act(case: Case) -> None:
        later: list[Callable[[], Any]] = []
        with mock.patch.object(publish, "record", lambda *a, **k: later.append(lambda: record(*a, **k))):
            publish.publish(case.version.pk)
        for tell in later:
            tell()

    return replace(publishing(cast, one_file, 0), act=act)


def no_transaction(cast: Cast) -> Operation:
    """Statement after statement, each for itself."""

    class Nothing:
        atomic = staticmethod(nullcontext)

    def act(case: Case) -> None:
        with (
            mock.patch.object(publish, "transaction", Nothing),
            mock.patch.object(QuerySet, "select_for_update", lambda rows, **_: rows),
        ):
            publish.publish(case.version.pk)

    return replace(publishing(cast, one_file, 0), act=act)


BUGS = (row_before_object, event_after_commit, no_transaction)


def campaign() -> bool:
    """Every step of every operation, then every bug."""
    told = {name: through(make) for name, make in OPERATIONS.items()}
    for name, result in told.items():
        for wrong in result.bad:
            print(f"{name}: {wrong}")
        print_campaign(
            f"artifacts_crash: {name}", cases=result.kills, bad=len(result.bad), control_caught=True
        )
    seen = [through(bug, enough=1).bad for bug in BUGS]
    for bug, bad in zip(BUGS, seen, strict=True):
        print(f"seeded, {bug.__doc__}: {bad[0] if bad else 'NOT SEEN'}")
    return print_campaign(
        "artifacts_crash",
        cases=sum(result.kills for result in told.values()),
        bad=sum(len(result.bad) for result in told.values()),
        control_caught=all(seen),
    )
