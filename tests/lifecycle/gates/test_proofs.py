"""The gate lineage_complete: what it asks for, and what accepting unknown readers does not excuse."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from lifecycle.gates.kinds import Context
from lifecycle.gates.proofs import LineageComplete
from lifecycle.models import Promotion
from tests.cast import Cast
from tests.lineage.scenes import COMPLETE, ENVIRONMENT, a_run, a_version

UNKNOWN = {"state": "unknown", "notes": ["a reader could not be observed."]}
BARE = {**ENVIRONMENT, "image_digest": ""}


@pytest.mark.parametrize(
    ("facts", "asked", "verdict", "told"),
    [
        ({}, {}, "pass", "are recorded"),
        ({"code": None}, {}, "fail", "no Git commit"),
        ({"capture": UNKNOWN}, {}, "fail", "a reader could not be observed"),
        ({"capture": UNKNOWN}, {"accept_unknown": True}, "pass", "are recorded"),
        ({"capture": UNKNOWN, "code": None}, {"accept_unknown": True}, "fail", "no Git commit"),
        ({"environment": BARE}, {}, "pass", "are recorded"),
        ({"environment": BARE}, {"require": ["image_digest"]}, "fail", "image digest"),
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
