"""What the gates ought to say, predicted from what was measured, reported and let stand."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from typing import Any

from tests.lifecycle.machine.things import Found, Incident, Promotion, Version, Waiver, accounts_of

BOUND = 0.8
METRIC, CHECK, INCIDENTS = "metric_at_least", "external_check", "no_open_incident"
# What a policy asks of each; the floor below every policy holds for the versions of the machine, and is not predicted.
ASKED: dict[str, dict[str, Any]] = {
    METRIC: {"metric": "accuracy", "bound": BOUND},
    CHECK: {"name": "integration"},
    INCIDENTS: {},
}


class Gates(ABC):
    """The part of the oracle that knows the gates."""

    incidents: list[Incident]
    waivers: list[Waiver]
    serial: itertools.count[int]

    @abstractmethod
    def in_production(self, model: str) -> Version | None:
        """The version of the model that is in production."""

    def findings(self, promotion: Promotion) -> dict[str, Found]:
        """key -> what that gate of the promotion's policy says now, waivers counted."""
        return {
            gate: self._let_stand(promotion, gate, self._says(promotion, gate))
            for gate in promotion.policy.gates
        }

    def shown(self, promotion: Promotion) -> Any:
        """What an approval is given to: other evidence or another version in production is something else."""
        there = self.in_production(promotion.version.model)
        return (None if there is promotion.version else there), self.findings(promotion)

    def keep(self, promotion: Promotion, found: dict[str, Found]) -> None:
        """A result that says something new is a new row."""
        for gate, each in found.items():
            if gate not in promotion.results or promotion.results[gate][1] != each:
                promotion.results[gate] = (next(self.serial), each)

    def _says(self, promotion: Promotion, gate: str) -> Found:
        version = promotion.version
        partial = accounts_of({promotion.by, version.maker})
        if gate == METRIC:
            own_counts = promotion.target == "staging"
            counted = [each for each in version.measured if own_counts or each[1] not in partial]
            if not counted:
                return Found("fail", None)
            return Found("pass" if counted[-1][2] >= BOUND else "fail", counted[-1][0])
        if gate == CHECK:
            told = [each for each in version.checks if each[1] not in partial]
            if not told:
                return Found("pending", None)
            return Found("pass" if told[-1][2] else "fail", told[-1][0])
        stands = [
            each.serial
            for each in self.incidents
            if not each.closed and each.model == version.model and each.version in (None, version)
        ]
        return Found("fail" if stands else "pass", tuple(stands))

    def _let_stand(self, promotion: Promotion, gate: str, found: Found) -> Found:
        if found.verdict == "pass":
            return found
        for waiver in reversed(self.waivers):
            of = waiver.promotion
            same = of.version is promotion.version and of.target == promotion.target and waiver.gate == gate
            if same and waiver.verdict == "grant" and waiver.result[1].evidence == found.evidence:
                return Found("waived", found.evidence, waiver.serial)
        return found
