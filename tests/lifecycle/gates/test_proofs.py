"""The gate lineage_complete: what it asks for, and what accepting unknown readers does not excuse."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from lifecycle.gates.kinds import Context
from lifecycle.gates.proofs import LineageComplete
from lifecycle.models import Promotion
from registry.errors import InvalidInput
from tests.cast import Cast
from tests.lineage.scenes import COMPLETE, ENVIRONMENT, a_run, a_version

UNKNOWN = {"state": "unknown", "notes": ["a reader could not be observed."]}
BARE = {**ENVIRONMENT, "image_digest": ""}
UNLOCKED = {**ENVIRONMENT, "lock_file": {}, "seeds": {}}


@pytest.mark.parametrize(
    ("facts", "asked", "verdict", "told"),
    [
        ({}, {}, "pass", "are recorded"),
        ({"code": None}, {}, "fail", "no Git commit"),
        ({"capture": UNKNOWN}, {}, "fail", "a reader could not be observed"),
        ({"capture": UNKNOWN}, {"accept_unknown": True}, "pass", "are recorded"),
        ({"capture": UNKNOWN, "code": None}, {"accept_unknown": True}, "fail", "no Git commit"),
        ({"environment": BARE}, {}, "pass", "are recorded"),
        (
            {"environment": BARE},
            {"require": ["image_digest"]},
            "fail",
            "recorded: no container image digest.",
        ),
        ({"environment": UNLOCKED}, {}, "pass", "are recorded"),
        (
            {"environment": UNLOCKED, "parameters": {"lr": "0.1"}},
            {"require": ["lock_file", "seeds"]},
            "fail",
            "recorded: no seed; no lock file",
        ),
        (
            {"capture": UNKNOWN, "environment": UNLOCKED},
            {},
            "fail",
            "recorded: a reader could not be observed.",
        ),
    ],
)
def test_what_it_says(
    cast: Cast, facts: dict[str, Any], asked: dict[str, Any], verdict: str, told: str
) -> None:
    version = a_version(cast, a_run(cast, **{"capture": COMPLETE, **facts}))
    gate = LineageComplete()
    context = Context(promotion=Promotion(), version=version, incumbent=None, now=timezone.now())
    found = gate.evaluate(context, gate.checked(asked, "parameters"))
    assert found.verdict == verdict
    assert told in found.sentence


def test_a_fact_that_nobody_records_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidInput) as refused:
        LineageComplete().checked({"require": ["horoscope"]}, "parameters")
    assert refused.value.sentence.startswith("'horoscope' is not a fact of lineage; there are run, commit, ")
    assert all(
        fact in refused.value.sentence for fact in ("seeds", "lock_file", "hardware", "dataset_digests")
    )


def test_what_it_claims_is_read_as_words() -> None:
    gate = LineageComplete()
    claim = gate.claim(gate.checked({"require": ["lock_file", "image_digest"]}, "parameters"))
    assert claim.endswith(", with lock file, image digest")
