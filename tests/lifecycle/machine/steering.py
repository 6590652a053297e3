"""Rules that lead somewhere: up the ladder to production, and along every edge there is and is not."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.lifecycle.machine.gates import CHECK, INCIDENTS, METRIC
from tests.lifecycle.machine.oracle import WHO_MAY
from tests.lifecycle.machine.rules import Machine, some
from tests.lifecycle.machine.things import (
    ENGINEERS,
    EVERYBODY,
    MOVES,
    OPERATORS,
    STAGES,
    STATE_EDGES,
    STATES,
    TRAINERS,
    Promotion,
    Version,
    accounts_of,
)
from tests.lifecycle.machine.world import MODELS


class Steered(Machine):
    """The machine with people who want something: by chance alone hardly anything gets to production."""

    # ---- every edge

    @rule(number=some, source=st.sampled_from(STAGES), to=st.sampled_from(STAGES))
    def along(self, number: int, source: str, to: str) -> None:
        """Try every call that would bring a version from this stage to that one, by somebody who may."""
        at = (
            self._former(number)
            if (source, to) == ("archived", "production")
            else self._in_stage(number, source)
        )
        if at is None:
            return
        version = self.oracle.versions[at]
        if to in ("staging", "production"):
            self.request(at, to, "eve")
        if to == "production":
            self._back_to(version)
            if waiting := self.oracle.open_of(version):
                self.settle_it(waiting[0], late=False)
        for move in (move for move, (_, target) in MOVES.items() if target == to and version.stage == source):
            self.move(at, move, "a reason", "max" if move in WHO_MAY else "ada")
        if version.stage != to:
            self.force_stage(at, to)

    @rule(number=some, source=st.sampled_from(STATES), to=st.sampled_from(STATES))
    def through(self, number: int, source: str, to: str) -> None:
        """Try to bring a promotion from this state to that one."""
        at = self._in_state(number, source)
        if at is None:
            return
        promotion = self.oracle.promotions[at]
        self._bring(promotion, to)
        if promotion.state != to:
            self.force_it(promotion, to)

    def _bring(self, promotion: Promotion, to: str) -> None:
        """What would bring it to that state, were it in one from which it goes there."""
        at = self.oracle.versions.index(promotion.version)
        match to:
            case "applied":
                self.apply_to(promotion)
                self.decide_on(promotion, "approve", "seen", "cora")
            case "rejected":
                self.decide_on(promotion, "reject", "too slow", "cora")
            case "withdrawn":
                self.withdraw_it(promotion, "cora" if promotion.is_rollback else "eve")
            case "expired":
                self.settle_it(promotion, late=True)
            case "gates_failed" | "awaiting_approval" if promotion.state == "evaluating":
                self.evaluate(at, 0.9 if to == "awaiting_approval" else 0.5, "ci")
                self.settle_it(promotion, late=False)
            case "void" if promotion.is_open:
                self.evaluate(at, 0.9, "ci")
                self.settle_it(promotion, late=False)
                if promotion.state != "void":
                    self.quarantine(at, "a leak", "cora")

    def _in_stage(self, number: int, stage: str) -> int | None:
        """A version that stands there, brought there if need be; nothing when it takes too long."""
        for _ in range(12):
            there = [
                at
                for at, version in enumerate(self.oracle.versions)
                if version.stage == stage and not version.deleted and not version.quarantines
            ]
            if there:
                return there[number % len(there)]
            if (
                stage in ("deprecated", "archived")
                and (at := self._in_stage(number, "development")) is not None
            ):
                self.move(at, "deprecate", "no use", "eve")
                if stage == "archived":
                    self.move(at, "archive", "put away", "eve")
            elif stage == "development" and len(self.oracle.versions) < self.most_versions:
                self.register(MODELS[number % 2], "ben")
            else:
                self._climb_on(number)
        return None

    def _in_state(self, number: int, state: str) -> int | None:
        """A promotion in that state, made so if need be."""
        for n in range(24):
            there = [at for at, p in enumerate(self.oracle.promotions) if p.state == state and not p.late]
            if there:
                return there[number % len(there)]
            waiting = [p for p in self.oracle.promotions if (p.state, state) in STATE_EDGES and not p.late]
            if waiting and state not in ("awaiting_approval", "applied"):
                self._bring(waiting[number % len(waiting)], state)
            else:
                # Not for ever on one that is in production already, and not on another one each time.
                self._climb_on(number + n // 6)
        return None

    def _former(self, number: int) -> int | None:
        """A version that was in production and may come back, made so if need be."""
        for _ in range(40):
            there = [
                v for v in self.oracle.versions if v.stage == "archived" and v.may_return and not v.deleted
            ]
            if there:
                return self.oracle.versions.index(there[number % len(there)])
            former = next((v for v in self.oracle.versions if v.stage == "production"), None)
            if former is None:
                self._climb_on(number)
                continue
            theirs = [
                at
                for at, v in enumerate(self.oracle.versions)
                if v.model == former.model and v is not former and not v.deleted
            ]
            if theirs:
                self._climb_on(theirs[-1])
            elif len(self.oracle.versions) < self.most_versions:
                self.register(former.model, "ben")
            else:
                return None
        return None

    def _back_to(self, version: Version) -> None:
        theirs = [each for each in self.oracle.versions if each.model == version.model]
        self.roll_back(version.model, theirs.index(version), "errors since noon", "cora")

    # ---- the ladder

    @rule(number=some, steps=st.integers(2, 8))
    def climb(self, number: int, steps: int) -> None:
        """What a team does that wants this version in production, one thing after the other."""
        for _ in range(steps):
            self._climb_on(number)

    @rule(asker=st.sampled_from(sorted(ENGINEERS)), maker=st.sampled_from(TRAINERS))
    def everybody_decides(self, asker: str, maker: str) -> None:
        """Everybody says yes to a request for production, those first who may not."""
        self.register(MODELS[0], maker)
        version = self.oracle.versions[-1]
        for _ in range(12):
            waiting = [p for p in self.oracle.open_of(version) if p.target == "production"]
            if waiting and waiting[0].state == "awaiting_approval":
                for by in sorted(EVERYBODY, key=lambda name: name in OPERATORS):
                    self.decide_on(waiting[0], "approve", "seen", by)
                return
            self._climb_on(self.oracle.versions.index(version), asker)

    def _climb_on(self, number: int, asker: str = "") -> None:
        version = self.version(number)
        at = self.oracle.versions.index(version)
        waiting = self.oracle.open_of(version)
        if version.quarantines:
            placed = accounts_of({by for by, _ in version.quarantines})
            self.lift(0, next(by for by in ("olga", "cora", "max") if by not in placed))
        elif waiting:
            self._further(at, waiting[0])
        elif version.stage in ("development", "staging") and not version.deleted:
            self._ask(at, version, asker or sorted(ENGINEERS)[number % 3])
        elif version.stage == "archived" and version.may_return and not version.deleted:
            self._back_to(version)
        elif version.stage == "archived" and not version.deleted:
            self.move(at, "deprecate", "no use", "eve")
        elif version.stage == "deprecated" and not version.deleted:
            self.move(at, "reinstate", "mended", "eve")
        elif len(self.oracle.versions) < self.most_versions:
            self.register(version.model, TRAINERS[number % 3])

    def _ask(self, at: int, version: Version, by: str) -> None:
        target = "staging" if version.stage == "development" else "production"
        trial = Promotion(version, target, self.oracle.policies[target], by)
        found = self.oracle.findings(trial)
        if METRIC in found and found[METRIC].verdict == "fail":
            self.evaluate(at, 0.9, _impartial(trial))
        elif INCIDENTS in found and found[INCIDENTS].verdict == "fail":
            self.close_incident(0, "cora")
        elif CHECK in found and found[CHECK].verdict != "pass":
            self.check(at, True, _impartial(trial))
        else:
            self.request(at, target, by)

    def _further(self, at: int, promotion: Promotion) -> None:
        if promotion.state == "evaluating" and not promotion.late:
            found = self.oracle.findings(promotion)
            if CHECK in found and found[CHECK].verdict == "pending":
                self.check(at, True, _impartial(promotion))
            self.settle_it(promotion, late=False)
            return
        involved = accounts_of({promotion.by, promotion.version.maker}) | set(promotion.decisions)
        free = [by for by in ("cora", "olga", "max") if by not in involved]
        if promotion.late or not free:
            self.settle_it(promotion, late=promotion.late)
        else:
            self.decide_on(promotion, "approve", "seen", free[0])


def _impartial(promotion: Promotion) -> str:
    """Somebody whose results count."""
    involved = accounts_of({promotion.by, promotion.version.maker})
    return next(by for by in ("ci", "bot", "ben", "eve") if by not in involved)
