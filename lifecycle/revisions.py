"""What one revision of a policy says otherwise than another."""

from __future__ import annotations

from typing import Any

from lifecycle.approvals import groups_of
from lifecycle.gates import GATES
from lifecycle.models import Policy
from lifecycle.policies import with_floor
from registry.errors import InvalidInput

Gate = dict[str, Any]


def claim(gate: Gate) -> str:
    """What a policy's gate demands, in words; its bare name when this installation does not know it any more, or
    would not take these parameters today."""
    name = gate["gate"]
    known = GATES.get(name)
    try:
        return known.claim(known.checked(gate["parameters"], name)) if known else name
    except InvalidInput:
        return str(name)


def same(policy: Policy, gates: list[Gate], approvals: dict[str, Any]) -> bool:
    """Whether a revision says just this."""
    return bool(policy.gates == gates and policy.approvals == approvals)


def changes(
    before: Policy | None, target: str, gates: list[Gate], approvals: dict[str, Any]
) -> list[dict[str, Any]]:
    """What these gates and approvals, and the floor below them, change about a revision: what is no longer asked
    first.

    Each is {"what", "sentence"}: `what` is removed, changed, added, moved or approvals; of a gate also "gate", and
    where it changed "parameters", of each its value before and after.
    """
    old = with_floor(before.gates, target) if before else []
    new = with_floor(gates, target)
    removed, changed, added = _paired(old, new)
    told = [
        {"what": "removed", "gate": g["gate"], "sentence": f"No longer asked: {claim(g)}."} for g in removed
    ]
    told += [_changed(a, b) for a, b in changed]
    told += [{"what": "added", "gate": g["gate"], "sentence": f"Newly asked: {claim(g)}."} for g in added]
    if not told and old != new:
        told.append({"what": "moved", "sentence": "The same gates in another order."})
    asked = before.approvals if before else {}
    if asked != approvals:
        told.append(
            {
                "what": "approvals",
                "sentence": f"Approvals: {approvals_told(asked)} before; {approvals_told(approvals)} now.",
                "before": asked or None,
                "after": approvals,
            }
        )
    return told


def _paired(old: list[Gate], new: list[Gate]) -> tuple[list[Gate], list[tuple[Gate, Gate]], list[Gate]]:
    """Gates that went, that are of the same name with other parameters, and that came."""
    removed = [gate for gate in old if gate not in new]
    added = [gate for gate in new if gate not in old]
    changed = []
    for gate in list(removed):
        alike = [other for other in added if other["gate"] == gate["gate"]]
        if alike:
            nearest = max(alike, key=lambda other: _in_common(gate, other))
            removed.remove(gate)
            added.remove(nearest)
            changed.append((gate, nearest))
    return removed, changed, added


def _in_common(a: Gate, b: Gate) -> int:
    return sum(1 for name, value in a["parameters"].items() if b["parameters"].get(name) == value)


def _changed(a: Gate, b: Gate) -> dict[str, Any]:
    names = sorted({*a["parameters"], *b["parameters"]})
    values = {n: [a["parameters"].get(n), b["parameters"].get(n)] for n in names}
    return {
        "what": "changed",
        "gate": a["gate"],
        "sentence": f"Changed: {claim(b)}; before: {claim(a)}.",
        "parameters": {name: pair for name, pair in values.items() if pair[0] != pair[1]},
    }


def approvals_told(asked: dict[str, Any]) -> str:
    """How many approvals are asked, how many of them from which groups, as `2, 1 of risk`."""
    groups = "".join(f", {count} of {name}" for name, count in groups_of(asked).items())
    only = "" if asked.get("designated_reviewers", True) else "; designated reviewers do not count"
    return f"{asked.get('count', 0)}{groups}{only}"
