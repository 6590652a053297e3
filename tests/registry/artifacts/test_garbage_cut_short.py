"""Collecting where something is damaged, was left behind, or ends too early."""

from __future__ import annotations

import os
from typing import Any

import pytest

from registry.artifacts import garbage, storage
from registry.artifacts.scrub import Verdict, read_again
from tests.cast import Cast
from tests.registry.artifacts.corner import collect, corner, delete, keys, kinds
from tests.registry.artifacts.crash import every_step
from tests.registry.artifacts.sending import again, blob, lose, publish_all, sha256, staged, stored

__all__ = ["corner"]
# Every so many steps of a collection the worker is killed.
STRIDE = 8
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("corner")]


def test_damaged_bytes_that_nobody_needs_go_too(cast: Cast) -> None:
    content = os.urandom(300)
    version = publish_all(cast, staged(cast, {"m": content}))
    storage.hot().put(storage.content_key(sha256(content)), b"y" * 300, sha256(b"y" * 300))
    assert read_again(sha256(content)).verdict == Verdict.CORRUPT
    delete(cast, version)
    for _ in range(2):
        collect()
    assert kinds(content) == ("gone", False, False)


def test_condemned_bytes_are_not_scrubbed(cast: Cast) -> None:
    content = os.urandom(300)
    delete(cast, publish_all(cast, staged(cast, {"m": content})))
    collect()
    lose(content)
    assert read_again(sha256(content)).verdict == Verdict.UNKEPT
    assert blob(content).quarantined_at is None


def test_a_collection_that_was_cut_short_is_gone_on_with(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [os.urandom(300) for _ in range(3)]
    delete(cast, publish_all(cast, staged(cast, {f"{n}": content for n, content in enumerate(contents)})))
    collect()

    def dies(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(garbage, "_tell", dies)  # after the objects, before the commit
        with pytest.raises(RuntimeError):
            collect()
    assert {blob(content).state for content in contents} == {"condemned"}
    assert keys() == set()
    version = publish_all(cast, staged(cast, {"m": contents[0]}))  # one of them comes again just then
    collect()
    assert stored(contents[0]) == contents[0]
    assert again(version).status == "ready"
    assert {blob(content).state for content in contents[1:]} == {"gone"}


def test_a_collection_survives_a_kill_at_every_step(cast: Cast) -> None:
    """Whatever is left is recoverable: what is not gone is condemned, and comes again or goes."""

    def prepare() -> list[bytes]:
        contents = [os.urandom(300) for _ in range(2)]
        delete(cast, publish_all(cast, staged(cast, {f"{n}": content for n, content in enumerate(contents)})))
        collect()
        return contents

    def check(contents: list[bytes], step: int) -> None:
        assert {kinds(content)[0] for content in contents} <= {"condemned", "gone"}, step
        for content in contents:
            assert blob(content).state == "condemned" or kinds(content)[1:] == (False, False), step
        version = publish_all(cast, staged(cast, {"m": contents[0]}))
        collect()
        assert stored(contents[0]) == contents[0], step
        assert again(version).status == "ready"
        assert kinds(contents[1]) == ("gone", False, False), step

    def act(_: list[bytes]) -> None:
        garbage.collect_garbage()

    kills = every_step(prepare, act, check, stride=STRIDE)
    assert kills > 20 // STRIDE


def test_a_second_copy_goes_when_the_first_is_sound(cast: Cast) -> None:
    sound, damaged = os.urandom(300), os.urandom(300)
    publish_all(cast, staged(cast, {"a": sound, "b": damaged}))
    for content in (sound, damaged):
        storage.bucket("cold").put(storage.content_key(sha256(content)), content, sha256(content))
    lose(damaged)
    collect()
    assert kinds(sound) == ("live", True, False)
    assert stored(damaged, "cold") == damaged  # the only one there is
