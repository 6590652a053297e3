"""A freeze, a policy that asks for two groups, an emergency, and its review: all of it in the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifecycle.promotions import settle
from registry.actions.roles import create_group
from tests.cast import Cast, hold_role
from tests.conftest import Live
from tests.factories import fresh, promotion_at, published_policy
from tests.journeys.conftest import Run

pytestmark = pytest.mark.django_db(transaction=True)


def test_frozen_approved_broken_and_reviewed(cast: Cast, live: Live, run: Run, tmp_path: Path) -> None:
    create_group(namespace=cast.namespace, name="risk", by=cast.principal("ada"))
    for who, role in (("vera", "risk"), ("otto", "production_operator")):
        hold_role(cast.namespace, cast.user(who), role)
    published_policy(
        cast,
        target="production",
        gates=[],
        approvals={"count": 2, "groups": [{"group": "risk", "count": 1}]},
    )
    first, second = (promotion_at(cast, "awaiting_approval") for _ in range(2))

    def said(who: str, code: int, *arguments: str) -> str:
        """All that was printed, on one line."""
        told = run(who, code, *arguments)
        return " ".join((told.stdout + told.stderr).split())

    name = cast.namespace.name
    freezing = (
        "freeze",
        "set",
        name,
        "--stage",
        "production",
        "--until",
        "2027-01-02",
        "--reason",
        "Holidays.",
    )
    assert "policy.edit" in said("cora", 1, *freezing)
    assert f"{name}, production: standing" in said("ada", 0, *freezing)
    report = tmp_path / "report.json"
    report.write_text(
        json.dumps({"summary": "Ranks agree.", "findings": [], "conditions": ["Look again in March."]})
    )
    approved = said("cora", 0, "approve", str(first.pk), "--report", str(report))
    assert "Ranks agree." in approved
    assert "on condition that: Look again in March." in approved
    assert "Waits for approval by somebody else (1 of 2; still wanted: risk (1))" in approved
    done = said("vera", 0, "approve", str(first.pk), "--reason", "Small risk.")
    assert f"Production is frozen for {name} until 2027-01-02 00:00 UTC: Holidays." in done
    assert "Approved; it waits for the end of the freeze." in done

    alone = ("break-glass", "apply", str(second.pk), "--reason", "Scores are wrong since noon.")
    assert "promotion.decide" in said("vera", 1, *alone)
    broken = said("otto", 0, *alone)
    assert "Glass broken by" in broken
    assert "(review waiting): Scores are wrong since noon." in broken
    assert fresh(second.version).stage == "production"
    first.refresh_from_db()
    assert first.outcome.startswith("production changed")
    assert "review waiting" in said("vera", 0, "break-glass", "list", "--state", "waiting")
    judging = ("break-glass", "review", str(second.pk), "justified", "--sentence", "I was called.")
    assert "You broke the glass" in said("otto", 1, *judging)
    assert "glass broken, justified" in said("cora", 0, *judging)

    window = json.loads(run("vera", 0, "freeze", "list", "--state", "standing", "--json").stdout)[0]
    ended = said("ada", 0, "freeze", "end", window["id"], "--reason", "Enough.")
    assert "over" in ended
    assert "Enough." in ended
    third = promotion_at(cast, "awaiting_approval")
    for who in ("cora", "vera"):
        said(who, 0, "approve", str(third.pk))
    assert settle(promotion_id=third.pk).state == "applied"
