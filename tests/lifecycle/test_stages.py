"""The table of moves is total: every legal edge is made by one move, and STATES.md says what the table says."""

from __future__ import annotations

from pathlib import Path

from lifecycle.models import OPEN, STATE_EDGES, State
from lifecycle.stages import MOVES, move_for
from lifecycle.states_page import render
from registry.models import EDGES, Stage, StageChange
from registry.models.stages import sources
from registry.roles import ROLES

PAGE = Path(__file__).resolve().parents[2] / "lifecycle" / "STATES.md"


def test_every_legal_edge_is_made_by_exactly_one_move() -> None:
    made = [(source, move.target) for move in MOVES for source in move.sources]

    assert sorted(made) == sorted(EDGES)
    assert len(set(made)) == len(made)


def test_every_stage_is_left_and_reached() -> None:
    for stage in Stage:
        assert sources(stage), f"nothing leads to {stage}"
        assert any(stage == source for source, _ in EDGES), f"nothing leads out of {stage}"


def test_production_is_entered_only_by_promotion() -> None:
    into = [move for move in MOVES if move.target in (Stage.PRODUCTION, Stage.STAGING)]

    assert into
    assert all(move.by_promotion for move in into)


def test_every_move_that_is_asked_for_is_somebodys_right() -> None:
    for move in MOVES:
        if move.permission is not None:
            assert any(move.permission in held for held in ROLES.values()), move.name


def test_moves_fit_where_they_are_written_down() -> None:
    longest = StageChange._meta.get_field("move").max_length
    assert longest is not None
    assert all(len(move.name) <= longest for move in MOVES)


def test_an_edge_that_is_not_there_is_no_move() -> None:
    assert move_for(Stage.DEVELOPMENT, Stage.PRODUCTION) is None
    assert move_for(Stage.DEPRECATED, Stage.PRODUCTION) is None


def test_promotions_that_ended_stay_ended() -> None:
    left = {source for source, _ in STATE_EDGES}

    assert left == set(OPEN)
    assert {target for _, target in STATE_EDGES} | {State.EVALUATING} == set(State)


def test_the_page_of_states_is_the_table() -> None:
    assert PAGE.read_text() == render(), "run: manage.py states > lifecycle/STATES.md"
