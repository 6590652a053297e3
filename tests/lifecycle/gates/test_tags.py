"""The gate on tags: there, and as the policy says; patterns that could run for ever are no patterns."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from lifecycle.actions.promotions import request_promotion
from lifecycle.gates.kinds import Finding
from lifecycle.policies import checked_gates
from lifecycle.promotions import settle
from registry.actions.models import edit_model, edit_version
from registry.errors import InvalidInput
from registry.models import ModelVersion, RegisteredModel
from tests.cast import Cast
from tests.factories import fresh, ready_version, results, simple_policy
from tests.lifecycle.gates.asking import ask

ASKED: dict[str, Any] = {
    "version": {"ticket": "RISK-[0-9]+", "pii": ["none", "masked"]},
    "model": {"team": ""},
}
FINE = {"ticket": "RISK-17", "pii": "none"}


def tagged(cast: Cast, version: dict[str, str], model: dict[str, str], **asked: Any) -> Finding:
    row = ready_version(cast)
    edit_version(version=row, by=cast.principal("ben"), tags=version)
    edit_model(model=row.model, by=cast.principal("ben"), tags=model)
    return ask(cast, fresh(row), "metadata_valid", **(asked or ASKED))


def test_what_is_there_and_fits_passes(cast: Cast) -> None:
    found = tagged(cast, FINE, {"team": "cards"})
    assert found.verdict == "pass"
    assert found.sentence == "All 3 tags that are asked for are there and may be what they are."
    assert found.evidence == {"version": FINE, "model": {"team": "cards"}}


WRONG: list[tuple[dict[str, str], dict[str, str], str]] = [
    ({}, {}, ":1 has no tag pii; "),
    (
        {**FINE, "ticket": "see RISK-17"},
        {"team": "a"},
        "ticket=see RISK-17, but it must match RISK-[0-9]+.",
    ),
    ({**FINE, "ticket": "RISK-17\n"}, {"team": "a"}, "but it must match RISK-[0-9]+."),
    ({**FINE, "ticket": "RISK-" + "1" * 300}, {"team": "a"}, "of 305 characters, but of at most 200"),
    ({**FINE, "pii": "None"}, {"team": "a"}, "pii=None, but it must be one of none, masked."),
    (FINE, {"team": "  "}, "The model {ns}/scorer has no tag team."),
    (FINE, {"owner": "a"}, "The model {ns}/scorer has no tag team."),
]


def test_what_is_missing_or_wrong_is_named(cast: Cast) -> None:
    row = ready_version(cast)
    for version, model, told in WRONG:
        ModelVersion.objects.filter(pk=row.pk).update(tags=version)
        RegisteredModel.objects.filter(pk=row.model_id).update(tags=model)
        found = ask(cast, fresh(row), "metadata_valid", **ASKED)
        assert found.verdict == "fail", told
        assert told.format(ns=cast.namespace.name) in found.sentence


def test_two_tags_are_counted_as_two(cast: Cast) -> None:
    version = ready_version(cast)
    edit_version(version=version, by=cast.principal("ben"), tags=FINE)
    two, one = (
        ask(cast, fresh(version), "metadata_valid", version=dict.fromkeys(tags, ""))
        for tags in (["ticket", "pii"], ["ticket"])
    )
    assert two.sentence == "All 2 tags that are asked for are there and may be what they are."
    assert one.sentence == "The one tag that is asked for is there and may be what it is."


def test_inputs_and_outputs_can_be_asked_for(cast: Cast) -> None:
    found = tagged(cast, {}, {}, schema=True)
    assert found.verdict == "fail"
    assert "does not tell its inputs and outputs" in found.sentence


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("[0-9", "is no pattern"),
        ("(a+)+", "no groups"),
        ("a|b", "no groups"),
        ("(?i)a", "no groups"),
        (".*.*.*.*x", "at most 3 parts of open length"),
        ("a?a?a?a?", "at most 3 parts of open length"),
        ("a" * 101, "at most 100 characters"),
        ([], "a list of texts"),
        (["a", 1], "a list of texts"),
        (7, "by a pattern, by a list of values"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused_with_their_place(rule: Any, told: str) -> None:
    gate = {"gate": "metadata_valid", "parameters": {"version": {"a": "", "b": rule}}}
    with pytest.raises(InvalidInput) as refused:
        checked_gates([gate])
    assert refused.value.field == "gates[0].parameters.version.b"
    assert told in refused.value.sentence


@pytest.mark.parametrize(
    "rule", [r"v[0-9]+\.[0-9]+\.[0-9]+", r"[(|*+?)]x", r"\(\d{4}-\d{2}-\d{2}\)", "[]^]+"]
)
def test_patterns_that_are_fine(rule: str) -> None:
    assert checked_gates([{"gate": "metadata_valid", "parameters": {"model": {"x": rule}}}])


def test_the_slowest_pattern_that_is_accepted_ends_soon() -> None:
    began = time.monotonic()
    assert re.fullmatch(".*.*.*x", "a" * 200) is None
    assert time.monotonic() - began < 2


def test_a_promotion_is_refused_by_it(cast: Cast) -> None:
    simple_policy(cast, "staging", [{"gate": "metadata_valid", "parameters": ASKED}], approvals=0)
    version = ready_version(cast)
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    assert settle(promotion_id=promotion.pk).state == "gates_failed"
    assert results(promotion)["metadata_valid"][1].startswith(f"{version.reference} has no tag pii; ")
