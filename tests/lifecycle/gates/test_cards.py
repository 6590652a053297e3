"""The gate on the model card: what counts as a section, what counts as nothing, and what is said of what is missing."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lifecycle.actions.promotions import request_promotion
from lifecycle.gates.cards import sections_of
from lifecycle.gates.kinds import Finding
from lifecycle.models import Promotion
from lifecycle.policies import checked_gates
from lifecycle.promotions import settle
from lifecycle.tasks.promotions import evaluate_gates
from registry.actions.models import edit_model
from registry.errors import InvalidInput
from registry.journal import outbox
from registry.models import ModelVersion
from tests.cast import Cast
from tests.factories import fresh, promotion_at, ready_version, simple_policy, staged_version
from tests.lifecycle.gates.asking import ask

CARD = """\
# Scorer

## Intended use
Payments in the euro area, below 5,000 euro.

Limitations
-----------
### Data
Trained on card payments only; refunds are not known to it.

## Ethics ##
<!-- who was asked? -->
Tbd.

```
## Not a heading
```
"""


def written(cast: Cast, version: ModelVersion, card: str, *sections: str, **given: Any) -> Finding:
    edit_model(model=version.model, by=cast.principal("ben"), card=card)
    asked = {"sections": list(sections), **given}
    return ask(cast, fresh(version), "card_complete", **asked)


def test_a_section_is_found_by_its_name(cast: Cast) -> None:
    version = ready_version(cast)
    for section in ("Intended use", "intended  USE", "Limitations", "Data", "Scorer"):
        found = written(cast, version, CARD, section)
        assert found.verdict == "pass", found.sentence
        assert found.sentence == f"The card of {cast.namespace.name}/scorer has the sections {section}."


MISSING: list[tuple[str, list[str], dict[str, Any], str]] = [
    (CARD, ["Fairness"], {}, "it has no section Fairness."),
    (CARD, ["Not a heading"], {}, "it has no section Not a heading."),
    (CARD.replace("```", ""), ["Ethics"], {}, "it says nothing under Ethics."),
    (CARD, ["Intended use"], {"words": 9}, "it says fewer than 9 words under Intended use."),
    ("", [], {}, "it says nothing under text."),
    ("<!-- Intended use -->", [], {}, "it says nothing under text."),
    ("## Limits\n...\n\n- TBD", ["Limits"], {}, "it says nothing under Limits."),
    ("# A\n<!--\n## Limits\nnone\n", ["Limits"], {}, "it has no section Limits."),
    (
        CARD,
        ["A", "B"],
        {"fields": ["intended_use"]},
        "no section A, B; the intended use is not filled in.",
    ),
    (
        CARD,
        [],
        {"fields": ["task", "description"]},
        "the model's task and the model's description are not",
    ),
]


def test_what_is_missing_is_named(cast: Cast) -> None:
    version = ready_version(cast)
    for card, sections, given, told in MISSING:
        found = written(cast, version, card, *sections, **given)
        assert found.verdict == "fail", told
        assert told in found.sentence
        assert found.sentence.startswith(f"The card of {cast.namespace.name}/scorer is not complete: ")


def test_fields_beside_the_card(cast: Cast) -> None:
    version = ready_version(cast)
    asked: dict[str, Any] = {"fields": ["intended_use", "excluded_use"]}
    assert ask(cast, version, "card_complete", **asked).verdict == "fail"
    answer = cast.client("ben").patch(
        f"/api/v1/namespaces/{cast.namespace.name}/models/scorer",
        {"intended_use": "Payments.", "excluded_use": "Loans."},
    )
    assert (answer.json()["intended_use"], answer.json()["excluded_use"]) == ("Payments.", "Loans.")
    found = ask(cast, fresh(version), "card_complete", **asked)
    assert found.verdict == "pass"
    assert set(found.evidence) == {"written"}


@pytest.mark.parametrize("given", [{"fields": ["secret"]}, {"sections": [" "]}, {"words": 0}])
def test_a_policy_asks_for_what_there_is(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked_gates([{"gate": "card_complete", "parameters": given}])
    assert refused.value.field == f"gates[0].parameters.{next(iter(given))}"


def test_what_was_approved_is_what_was_written(cast: Cast) -> None:
    """A card that is edited while an approval is awaited is not the card that was read."""
    simple_policy(cast, "production", [{"gate": "card_complete", "parameters": {"sections": ["Limits"]}}])
    version = staged_version(cast)
    edit_model(model=version.model, by=cast.principal("ben"), card="## Limits\nNot for loans.")
    promotion = promotion_at(cast, "awaiting_approval", version=version)
    edit_model(model=version.model, by=cast.principal("ben"), tags={"team": "cards"})
    assert settle(promotion_id=promotion.pk).state == "awaiting_approval"
    edit_model(model=version.model, by=cast.principal("ben"), card="## Limits\nNone at all.")
    assert settle(promotion_id=promotion.pk).state == "void"


def test_an_edit_wakes_the_models_open_promotions_and_no_others(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr("lifecycle.evidence.enqueue", lambda task, promotion_id: sent.append(promotion_id))
    mine = promotion_at(cast, "awaiting_approval")
    other = ready_version(cast, model="other")
    asked = request_promotion(version=other, target="staging", by=cast.principal("eve"))
    outbox.drain(most=1000)
    sent.clear()
    edit_model(model=mine.version.model, by=cast.principal("ben"), description="new")
    outbox.drain(most=1000)
    assert sent == [str(mine.pk)]
    evaluate_gates(promotion_id=str(asked.pk))
    assert Promotion.objects.get(pk=mine.pk).state == "awaiting_approval"


@pytest.mark.parametrize(
    "card",
    ["# " + " \t" * 50_000 + "x", "#" * 100_000, "a\n" * 50_000, "# a\n" + "<!--" * 25_000, "-" * 100_000],
)
def test_no_card_takes_long(card: str) -> None:
    began = time.monotonic()
    sections_of(card)
    assert time.monotonic() - began < 2
