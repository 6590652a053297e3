"""Why two versions differ: the difference of their metrics beside what differs in what made them.

What differs is ranked by what most often explains a model: its data, the version it was trained from, its code,
its parameters, its configuration, its environment. No cause is claimed where several things differ, nor where
something was not recorded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lineage.completeness import Fact, State, Used, absent_facts, capture_of
from lineage.differences import KINDS, Difference, differences_between
from lineage.making import Making, makings_of
from registry.models import ModelVersion, Principal

# Facts without which a comparison has a gap.
COMPARED = frozenset({Fact.COMMIT, Fact.DATASETS, Fact.PACKAGES})
# Further differences of one kind are counted, not told, in the sentence.
TOLD = 3


def explain(a: ModelVersion, b: ModelVersion, principal: Principal) -> dict[str, Any]:
    """`{"a", "b", "metrics", "differences", "sentence"}`, the two versions being visible to the principal."""
    first, second = makings_of([a, b], principal)
    differences = differences_between(first, second)
    metrics = compare_metrics(first, second)
    return {
        "a": first.label,
        "b": second.label,
        "metrics": metrics,
        "differences": [
            {"kind": each.kind, "sentence": each.sentence, "a": each.a, "b": each.b} for each in differences
        ],
        "sentence": " ".join([_verdict(first, second, differences, metrics), *_reservations(first, second)]),
    }


def compare_metrics(a: Making, b: Making) -> list[dict[str, Any]]:
    """Metrics that were measured of both: by evaluation on the same data, else what the runs measured."""
    shared = sorted(set(a.evaluations) & set(b.evaluations))
    if shared:
        return [
            {
                "name": key[3],
                "dataset": b.evaluations[key][1],
                "dataset_digest": key[0],
                "split": key[1],
                "slice": key[2],
                **_pair(a.evaluations[key][0], b.evaluations[key][0]),
            }
            for key in shared
        ]
    return [
        {
            "name": name,
            "dataset": "",
            "dataset_digest": "",
            "split": "",
            "slice": "",
            **_pair(a.run_metrics[name], b.run_metrics[name]),
        }
        for name in sorted(set(a.run_metrics) & set(b.run_metrics))
    ]


def _pair(a: float, b: float) -> dict[str, float | None]:
    """Both values and b - a; null what is no finite number, as the difference of two that are may be."""
    return {"a": _finite(a), "b": _finite(b), "difference": _finite(b - a)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _verdict(
    a: Making, b: Making, differences: Sequence[Difference], metrics: Sequence[dict[str, Any]]
) -> str:
    if a.version.pk == b.version.pk:
        return f"{a.label} is one version: there is nothing to compare."
    kinds = [kind for kind in KINDS if any(each.kind == kind for each in differences)]
    if not kinds:
        return _nothing(a, b, metrics)
    if len(kinds) == 1:
        told = "; ".join(each.sentence for each in differences[:TOLD])
        more = f"; and {len(differences) - TOLD} more" if len(differences) > TOLD else ""
        only = "Of what is recorded, only" if _reservations(a, b) else "Only"
        return f"{only} {_subject(kinds[0], differences)}: {told}{more}."
    nouns = [KINDS[kind].noun for kind in kinds]
    return f"Several things differ, and any may be the cause: {', '.join(nouns[:-1])} and {nouns[-1]}."


def _subject(kind: str, differences: Sequence[Difference]) -> str:
    told = KINDS[kind]
    noun = told.noun
    if kind == "data" and not any(each.training for each in differences):
        noun = "the data that was not trained on"
    return f"{noun} {'differ' if told.plural else 'differs'}"


def _nothing(a: Making, b: Making, metrics: Sequence[dict[str, Any]]) -> str:
    alike = metrics and all(each["difference"] == 0 for each in metrics)
    digest = a.version.manifest.digest
    if digest and digest == b.version.manifest.digest:
        return f"{a.label} and {b.label} hold the same bytes, and nothing recorded differs between them."
    if alike:
        return f"{a.label} and {b.label} measure the same, and nothing recorded differs between them."
    return "Nothing recorded explains this."


def _reservations(a: Making, b: Making) -> list[str]:
    """What is not known, so that what is said is not taken for more than it is."""
    if a.version.pk == b.version.pk:
        return []
    told = []
    told += [
        f"{side.label} was bought from {side.supply.supplier}: what made it is the supplier's knowledge."
        for side in (a, b)
        if side.supply is not None
    ]
    without = [side.label for side in (a, b) if side.run is None and side.supply is None]
    if without:
        told.append(
            f"Registered without a run: {' and '.join(without)}; the data, code and environment "
            f"that made {'it' if len(without) == 1 else 'them'} are not recorded."
        )
    for side, other in ((a, b), (b, a)):
        if side.marks - other.marks:
            told.append(f"Some of what is recorded of {side.label} was redacted, so more may differ.")
    for side in (a, b):
        if side.run is None:
            continue
        absent = absent_facts(side.run, Used(len(side.inputs)))
        unknown = [words for fact, words in absent.items() if fact in COMPARED]
        if unknown:
            told.append(f"Not recorded of {side.label}: {'; '.join(unknown)}.")
        if capture_of(side.run).get("state") != State.COMPLETE:
            told.append(f"Not all that the making of {side.label} used was captured, so more may differ.")
    return told
