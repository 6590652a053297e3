"""STATES.md, made from the two tables of states."""

from __future__ import annotations

from lifecycle.models import STATE_EDGES, State
from lifecycle.stages import MOVES
from registry.models import EDGES, Stage
from registry.roles import ROLES


def render() -> str:
    """The page, as Markdown with two diagrams."""
    lines = [
        "# States",
        "",
        "Made from `registry/models/stages.py`, `lifecycle/stages.py` and `lifecycle/models/states.py` by",
        "`manage.py states > lifecycle/STATES.md`; a test compares.",
        "",
        "## Stages of a version",
        "",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {Stage.DEVELOPMENT}",
        *[f"    {a} --> {b}: {_name(a, b)}" for a, b in EDGES],
        "```",
        "",
        "| move | from | to | who | needs | event |",
        "|---|---|---|---|---|---|",
    ]
    for move in MOVES:
        who = "automatic"
        if move.permission:
            who = ", ".join(role.value for role, held in ROLES.items() if move.permission in held)
        start = ", ".join(move.sources)
        lines.append(f"| {move.name} | {start} | {move.target} | {who} | {move.needs} | `{move.event}` |")
    lines += [
        "",
        "## States of a promotion",
        "",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {State.EVALUATING}",
        *[f"    {a} --> {b}" for a, b in STATE_EDGES],
        "```",
        "",
    ]
    return "\n".join(lines)


def _name(source: Stage, target: Stage) -> str:
    return next(m.name for m in MOVES if source in m.sources and m.target == target)
