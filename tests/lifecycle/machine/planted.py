"""Bugs that are planted to be found: in the code, or in the triggers as the owner would replace them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import psycopg

from lifecycle import promotions, stages
from lifecycle.actions import promotions as actions
from registry.models import Stage
from tests.lifecycle.machine.holds import Broken
from tests.lifecycle.machine.running import machine, tour

Planted = Callable[[], AbstractContextManager[Any]]


@contextmanager
def trigger(table: str, name: str, change: Callable[[str], str]) -> Iterator[None]:
    """The function of a table's trigger, changed while the block runs. Nobody else works on this database."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as owner:
        row = owner.execute(
            "SELECT pg_get_functiondef(tgfoid) FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname LIKE %s",
            [table, f"pgtrigger_{name}_%"],
        ).fetchone()
        assert row, f"{table} has no trigger {name}"
        changed = change(row[0])
        assert changed != row[0], f"nothing of {name} was changed"
        owner.execute(changed)
        try:
            yield
        finally:
            owner.execute(row[0])


def an_edge_in_the_table() -> AbstractContextManager[Any]:
    """From development straight to production, in the table of moves."""
    leap = [
        replace(move, sources=(*move.sources, Stage.DEVELOPMENT)) if move.name == "produce" else move
        for move in stages.MOVES
    ]
    return mock.patch.object(stages, "MOVES", tuple(leap))


def an_edge_in_the_trigger() -> AbstractContextManager[Any]:
    """From production back to development, in the database only."""
    more = "(OLD.stage, NEW.stage) NOT IN (('production','development'), "
    return trigger(
        "registry_modelversion",
        "legal_stage",
        lambda source: source.replace("(OLD.stage, NEW.stage) NOT IN (", more),
    )


def an_approval_of_anything() -> AbstractContextManager[Any]:
    """An approval is bound to no digests: what was approved stays approved, whatever it becomes."""
    return mock.patch.object(promotions, "binding_of", return_value="0" * 64)


def an_alias_that_stays() -> AbstractContextManager[Any]:
    """The stage changes, and the alias goes on pointing where it did."""
    return mock.patch.object(promotions, "_point_alias")


def an_event_told_twice() -> AbstractContextManager[Any]:
    """A promotion's end is written down twice."""
    once = promotions.note

    def twice(promotion: Any, type_: str, **more: Any) -> None:
        for _ in range(2 if type_ == "promotion.applied" else 1):
            once(promotion, type_, **more)

    return mock.patch.object(promotions, "note", twice)


@contextmanager
def one_s_own_approval() -> Iterator[None]:
    """Who asked may decide: neither the action nor the triggers look at who it is."""

    def anybody(by: Any, promotion: Any) -> None:
        try:
            checked(by, promotion)
        except actions.OwnRequest:
            return

    checked = actions.check_can_decide
    with (
        mock.patch.object(actions, "check_can_decide", anybody),
        trigger("lifecycle_approval", "approval_by_another", _lenient),
    ):
        yield


def _lenient(source: str) -> str:
    return source.replace("WHERE u.id = NEW.by_id\n", "WHERE false AND u.id = NEW.by_id\n")


PLANTED: dict[str, Planted] = {
    "an edge added to the table": an_edge_in_the_table,
    "an edge added to the trigger": an_edge_in_the_trigger,
    "an approval bound to nothing": an_approval_of_anything,
    "an alias that is not moved": an_alias_that_stays,
    "an event told twice": an_event_told_twice,
    "one's own approval": one_s_own_approval,
}


def found(name: str) -> str:
    """What the machine says on its tour when that bug is planted; "" when it finds nothing."""
    run = machine()
    with PLANTED[name]():
        try:
            tour(run)
        except Exception as broken:
            said = str(broken).partition("\n")[0]
            told = said if isinstance(broken, Broken) else f"{type(broken).__name__}: {said}"
            return f"after {run.tally.steps} steps: {told}"
    return ""
