"""Running the machine: by chance, and on a tour of every edge."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.lifecycle.machine.steering import Steered
from tests.lifecycle.machine.tally import Tally
from tests.lifecycle.machine.things import STAGES, STATES


def machine() -> type[Steered]:
    """The machine, with a tally of its own."""
    return type("Machine", (Steered,), {"tally": Tally()})


def by_chance(run: type[Steered], *, examples: int, rules: int, derandomize: bool = True) -> None:
    """So many namespaces, so many rules in each. Raises Broken, with the rules that led there.

    No deadline, as the processors are shared; nothing is shrunk, as every step tells what it expected.
    """
    run_state_machine_as_test(
        run,
        settings=settings(
            max_examples=examples,
            stateful_step_count=rules,
            derandomize=derandomize,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )


def tour(run: type[Steered]) -> None:
    """From each stage to each stage, and from each state of a promotion to each state; and everybody decides on what
    they asked for, made, or answer for. Raises Broken."""
    stages, states = run(), run()
    stages.most_versions = states.most_versions = 40
    for source in STAGES:
        for to in STAGES:
            stages.along(0, source, to)
    for source in STATES:
        for to in STATES:
            states.through(0, source, to)
    for asker, maker in (("max", "ben"), ("eve", "max"), ("ada", "bot")):
        stages.everybody_decides(asker, maker)
    for there in (stages, states):
        there.teardown()
