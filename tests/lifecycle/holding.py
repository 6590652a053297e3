"""Legal holds, placed and lifted by the actions."""

from __future__ import annotations

from lifecycle.actions.holds import ask_lift, decide_lift, place_hold
from lifecycle.models import HoldDecision, HoldLift, LegalHold
from registry.models import ModelVersion
from tests.cast import Cast

CASE = "Case 12."
SETTLED = "The case is settled."


def held(cast: Cast, version: ModelVersion, reason: str = CASE, by: str = "ada") -> LegalHold:
    return place_hold(version=version, reason=reason, by=cast.principal(by))


def asked(cast: Cast, hold: LegalHold, reason: str = SETTLED, by: str = "ada") -> HoldLift:
    return ask_lift(hold=hold, reason=reason, by=cast.principal(by))


def decided(cast: Cast, hold: LegalHold, verdict: str = "grant", by: str = "cora") -> HoldDecision:
    return decide_lift(hold=hold, verdict=verdict, reason="Seen.", by=cast.principal(by))


def lifted(cast: Cast, hold: LegalHold) -> None:
    """ada asks, cora grants."""
    asked(cast, hold)
    decided(cast, hold)
