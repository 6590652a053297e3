"""The machine: what people and pipelines may try next, each tried on the oracle and on the database."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from registry.errors import DomainError
from tests.lifecycle.machine.gates import CHECK, INCIDENTS, METRIC
from tests.lifecycle.machine.holds import Broken, Holds
from tests.lifecycle.machine.oracle import WHO_MAY, Oracle
from tests.lifecycle.machine.tally import Tally
from tests.lifecycle.machine.things import (
    EDGES,
    EVERYBODY,
    MOVES,
    STAGES,
    STATE_EDGES,
    STATES,
    TRAINERS,
    Happened,
    Incident,
    Policy,
    Promotion,
    Refused,
    Version,
    Waiver,
)
from tests.lifecycle.machine.world import MODELS, World

POLICIES = {
    "staging": [Policy((METRIC,), 0), Policy((METRIC, INCIDENTS), 1)],
    "production": [Policy((METRIC, CHECK), 1), Policy((INCIDENTS, METRIC), 1), Policy((CHECK,), 2)],
}
# The triggers that refuse an edge which somebody tries by SQL.
BY_TRIGGER = {"legal_edges", "promotion_required", "under_quarantine", "sealed", "promotion_unsatisfied"}
# A reason is a sentence: it begins like one, ends like one, and is no name of an exception.
SENTENCE = re.compile(r"[A-Za-z0-9\"'`](?!.*\.\.).{9,}[.?!]", re.DOTALL)

some = st.integers(0, 11)


def mostly(*names: str) -> st.SearchStrategy[str]:
    """One of those who may, and now and then anybody."""
    return st.sampled_from(names * (24 // len(names)) + EVERYBODY)


class Machine(RuleBasedStateMachine):
    """One namespace of two models. Every call is a step: predicted, made, compared, and all that must hold is read."""

    tally = Tally()
    most_versions = 7

    def __init__(self) -> None:
        super().__init__()
        self.world, self.oracle = World.made(), Oracle()
        for target, known in POLICIES.items():
            self.world.draft(target, known[0], "ada")
            self.world.publish(target, "cora")
        self.oracle.policies = {target: known[0] for target, known in POLICIES.items()}
        self.holds = Holds(self.world, self.oracle)
        self.incident_serial = 0

    def teardown(self) -> None:
        self.tally.taken.update(self.holds.taken)

    # ---- a step

    def step(
        self,
        predicted: Callable[[], Happened],
        performed: Callable[[], object],
        tried: tuple[str, str, str] | None = None,
    ) -> bool:
        """Whether it was done; it raises Broken unless the database and the oracle say the same.

        `tried` is the edge that the call is meant to take: of a `stage` or a `promotion`, from and to.
        """
        happened: Happened = []
        expected = ""
        try:
            happened = predicted()
        except Refused as refusal:
            expected = refusal.code
        said = ""
        try:
            performed()
        except DomainError as refusal:
            said = refusal.code
            if not SENTENCE.fullmatch(refusal.sentence):
                raise Broken(f"{said} is no sentence: {refusal.sentence!r}") from refusal
        if said != expected:
            raise Broken(f"{tried or ''} expected {expected or 'that it is done'}, got {said or 'it done'}")
        self.tally.steps += 1
        if said:
            self.tally.refuse(tried, said)
        self.holds.look(happened)
        return not said

    def version(self, number: int) -> Version:
        if not self.oracle.versions:
            self.register(MODELS[0], "ben")
        return self.oracle.versions[number % len(self.oracle.versions)]

    def promotion(self, number: int, ended: bool = False) -> Promotion | None:
        found = [p for p in self.oracle.promotions if p.is_open or ended] or self.oracle.promotions
        return found[number % len(found)] if found else None

    def asked_already(self) -> bool:
        return bool(self.oracle.promotions)

    # ---- the world goes on

    @precondition(lambda self: len(self.oracle.versions) < self.most_versions)
    @rule(model=st.sampled_from(MODELS), maker=st.sampled_from(("ben", *TRAINERS)))
    def register(self, model: str, maker: str) -> None:
        row = self.world.register(model, maker)
        self.oracle.versions.append(Version(model, maker, row))
        self.tally.steps += 1
        self.holds.look([])

    @rule(
        number=some,
        value=st.sampled_from((0.9, 0.95, 0.9, 0.5, float("nan"), float("inf"))),
        by=mostly("ci", "ci", "ben", "eve"),
    )
    def evaluate(self, number: int, value: float, by: str) -> None:
        version = self.version(number)
        self.step(
            lambda: self.oracle.evaluate(version, value, by),
            lambda: self.world.evaluate(version, value, by),
        )

    @rule(number=some, passed=st.sampled_from((True, True, False)), by=mostly("ci", "bot"))
    def check(self, number: int, passed: bool, by: str) -> None:
        version = self.version(number)
        self.step(
            lambda: self.oracle.check(version, passed, by), lambda: self.world.check(version, passed, by)
        )

    @rule(number=some, whole=st.booleans(), by=mostly("ben", "eve", "cora"))
    def open_incident(self, number: int, whole: bool, by: str) -> None:
        version = self.version(number)
        self.incident_serial += 1
        incident = Incident(self.incident_serial, version.model, None if whole else version)
        self.step(
            lambda: self.oracle.open_incident(incident, by), lambda: self.world.open_incident(incident, by)
        )

    @precondition(lambda self: self.oracle.incidents)
    @rule(number=some, by=mostly("cora", "olga"))
    def close_incident(self, number: int, by: str) -> None:
        open_ones = [each for each in self.oracle.incidents if not each.closed]
        incidents = open_ones or self.oracle.incidents
        incident = incidents[number % len(incidents)]
        self.step(
            lambda: self.oracle.close_incident(incident, by), lambda: self.world.close_incident(incident, by)
        )

    @rule(to=st.sampled_from(("staging", "production", "archived")), number=some, by=mostly("ada"))
    def draft(self, to: str, number: int, by: str) -> None:
        known = POLICIES.get(to, POLICIES["staging"])
        policy = known[number % len(known)]
        self.step(lambda: self.oracle.draft(to, policy, by), lambda: self.world.draft(to, policy, by))

    @rule(to=st.sampled_from(tuple(POLICIES)), by=mostly("cora", "olga", "ada"))
    def publish(self, to: str, by: str) -> None:
        self.step(lambda: self.oracle.publish(to, by), lambda: self.world.publish(to, by))

    @rule(to=st.sampled_from(tuple(POLICIES)), by=mostly("cora"))
    def withdraw_draft(self, to: str, by: str) -> None:
        self.step(lambda: self.oracle.withdraw_draft(to, by), lambda: self.world.withdraw_draft(to, by))

    @rule(number=some, at=st.sampled_from(("eu-1", "eu-2")), by=mostly("eve", "cora"))
    def deploy(self, number: int, at: str, by: str) -> None:
        version = self.version(number)
        self.step(lambda: self.oracle.deploy(version, at, by), lambda: self.world.deploy(version, at, by))

    @rule(model=st.sampled_from(MODELS), at=st.sampled_from(("eu-1", "eu-2")), by=mostly("eve", "cora"))
    def undeploy(self, model: str, at: str, by: str) -> None:
        self.step(lambda: self.oracle.undeploy(model, at, by), lambda: self.world.undeploy(model, at, by))

    # ---- promotions

    @rule(
        number=some,
        to=st.sampled_from(("staging", "production", "staging", "production", "archived")),
        by=mostly("eve", "eve", "ada", "max"),
    )
    def request(self, number: int, to: str, by: str) -> None:
        version = self.version(number)
        policy = self.oracle.policies.get(to, POLICIES["staging"][0])
        promotion = Promotion(version, to, policy, by)
        self.step(
            lambda: self.oracle.request(promotion),
            lambda: self.world.request(promotion),
            ("stage", version.stage, to),
        )

    @rule(
        model=st.sampled_from(MODELS),
        number=st.none() | some,
        reason=st.sampled_from(("errors since noon",) * 5 + (" ",)),
        by=mostly("cora", "olga"),
    )
    def roll_back(self, model: str, number: int | None, reason: str, by: str) -> None:
        theirs = [version for version in self.oracle.versions if version.model == model]
        to = theirs[number % len(theirs)] if number is not None and theirs else None
        promotion = Promotion(to, "production", Policy((), 0), by, is_rollback=True)  # type: ignore[arg-type]
        self.step(
            lambda: self.oracle.roll_back(model, to, reason, promotion),
            lambda: self.world.roll_back(model, to, reason, promotion),
            ("stage", to.stage, "production") if to else None,
        )

    @precondition(asked_already)
    @rule(number=some, late=st.sampled_from((False,) * 9 + (True,)), ended=st.booleans())
    def settle(self, number: int, late: bool, ended: bool) -> None:
        if promotion := self.promotion(number, ended):
            self.settle_it(promotion, late)

    def settle_it(self, promotion: Promotion, late: bool) -> None:
        self.step(lambda: self.oracle.settle(promotion, late), lambda: self.world.settle(promotion, late))

    @precondition(asked_already)
    @rule(
        number=some,
        verdict=st.sampled_from(("approve", "approve", "reject")),
        reason=st.sampled_from(("seen", "seen", "")),
        by=mostly("cora", "olga", "max"),
        ended=st.booleans(),
    )
    def decide(self, number: int, verdict: str, reason: str, by: str, ended: bool) -> None:
        if promotion := self.promotion(number, ended):
            self.decide_on(promotion, verdict, reason, by)

    def decide_on(self, promotion: Promotion, verdict: str, reason: str, by: str) -> None:
        self.step(
            lambda: self.oracle.decide(promotion, verdict, reason, by),
            lambda: self.world.decide(promotion, verdict, reason, by),
            ("promotion", promotion.state, "applied" if verdict == "approve" else "rejected"),
        )

    @precondition(asked_already)
    @rule(number=some, ended=st.booleans())
    def apply(self, number: int, ended: bool) -> None:
        if promotion := self.promotion(number, ended):
            self.apply_to(promotion)

    def apply_to(self, promotion: Promotion) -> None:
        self.step(
            lambda: self.oracle.apply(promotion),
            lambda: self.world.apply(promotion),
            ("promotion", promotion.state, "applied"),
        )

    @precondition(asked_already)
    @rule(number=some, by=mostly("eve", "ada", "cora"), ended=st.booleans())
    def withdraw(self, number: int, by: str, ended: bool) -> None:
        if promotion := self.promotion(number, ended):
            self.withdraw_it(promotion, by)

    def withdraw_it(self, promotion: Promotion, by: str) -> None:
        self.step(
            lambda: self.oracle.withdraw(promotion, by),
            lambda: self.world.withdraw(promotion, by),
            ("promotion", promotion.state, "withdrawn"),
        )

    @precondition(lambda self: any(p.is_open for p in self.oracle.promotions))
    @rule(number=some)
    def run_out(self, number: int) -> None:
        promotion = self.promotion(number)
        if promotion and promotion.is_open:
            self.world.run_out(promotion)
            promotion.late = True

    @precondition(asked_already)
    @rule(number=some, gate=st.sampled_from((METRIC, METRIC, CHECK, INCIDENTS)), by=mostly("eve", "max"))
    def ask_waiver(self, number: int, gate: str, by: str) -> None:
        able = [p for p in self.oracle.promotions if p.state in ("evaluating", "gates_failed") and p.results]
        promotions = able or self.oracle.promotions
        waiver = Waiver(next(self.oracle.serial), promotions[number % len(promotions)], gate, by)
        self.step(lambda: self.oracle.ask_waiver(waiver), lambda: self.world.ask_waiver(waiver))

    @precondition(lambda self: self.oracle.waivers)
    @rule(number=some, verdict=st.sampled_from(("grant", "grant", "refuse")), by=mostly("cora", "olga"))
    def decide_waiver(self, number: int, verdict: str, by: str) -> None:
        asked = [waiver for waiver in self.oracle.waivers if not waiver.verdict] or self.oracle.waivers
        waiver = asked[number % len(asked)]
        self.step(
            lambda: self.oracle.decide_waiver(waiver, verdict, by),
            lambda: self.world.decide_waiver(waiver, verdict, by),
        )

    # ---- moves

    @rule(
        number=some,
        move=st.sampled_from((*WHO_MAY, "step_down", "produce")),
        reason=st.sampled_from(("a reason",) * 7 + ("",)),
        by=mostly("eve", "max", "max", "cora"),
    )
    def move(self, number: int, move: str, reason: str, by: str) -> None:
        version = self.version(number)
        self.step(
            lambda: self.oracle.move(version, move, reason, by),
            lambda: self.world.move(version, move, reason, by),
            ("stage", version.stage, MOVES[move][1]),
        )

    @rule(number=some, by=mostly("eve"))
    def delete(self, number: int, by: str) -> None:
        version = self.version(number)
        if len(self.oracle.versions) > 3:
            self.step(lambda: self.oracle.delete(version, by), lambda: self.world.delete(version, by))

    @rule(number=some, reason=st.sampled_from(("its data was wrong", "a leak")), by=mostly("cora", "max"))
    def quarantine(self, number: int, reason: str, by: str) -> None:
        version = self.version(number)
        self.step(
            lambda: self.oracle.quarantine(version, reason, by),
            lambda: self.world.quarantine(version, reason, by),
        )

    @rule(number=some, by=mostly("olga", "cora"))
    def lift(self, number: int, by: str) -> None:
        doubted = [version for version in self.oracle.versions if version.quarantines]
        version = doubted[number % len(doubted)] if doubted else self.version(number)
        self.step(lambda: self.oracle.lift(version, by), lambda: self.world.lift(version, by))

    # ---- past the actions

    @rule(number=some, to=st.sampled_from(STAGES))
    def force_stage(self, number: int, to: str) -> None:
        version = self.version(number)
        edge = (version.stage, to)
        # By SQL, those moves that need no promotion are held by the actions alone.
        if version.stage != to and (edge not in EDGES or to in ("staging", "production")):
            self._force("version", "stage", version, edge)

    @precondition(asked_already)
    @rule(number=some, to=st.sampled_from(STATES))
    def force_state(self, number: int, to: str) -> None:
        if promotion := self.promotion(number, ended=True):
            self.force_it(promotion, to)

    def force_it(self, promotion: Promotion, to: str) -> None:
        edge = (promotion.state, to)
        if promotion.state != to and (edge not in STATE_EDGES or to == "applied"):
            self._force("promotion", "state", promotion, edge)

    def _force(self, table: str, column: str, thing: Any, edge: tuple[str, str]) -> None:
        said = self.world.force(table, column, thing.key, edge[1])
        if said not in BY_TRIGGER:
            raise Broken(f"the database lets a {table} go from {edge[0]} to {edge[1]}: {said}")
        self.tally.steps += 1
        self.tally.forced["stage" if table == "version" else table, *edge] += 1
        self.holds.look([])
