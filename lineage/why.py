"""Why two versions differ: the difference of their metrics beside what differs in what made them.

What differs is ranked by what most often explains a model: its data and how that was split, the version it was
trained from, its code, its settings and seeds, where it was made. What is but a consequence of another difference is
told with it. No cause is claimed where several things differ, nor where something was not recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lineage.completeness import Fact, State, Used, absent_facts, capture_of
from lineage.differences import KINDS, Difference, causes, compare_metrics, differences_between
from lineage.differences.metrics import within_intervals
from lineage.making import Making, makings_of
from registry.models import ModelVersion, Principal

# Facts without which a comparison has a gap.
COMPARED = frozenset({Fact.COMMIT, Fact.DATASETS, Fact.PACKAGES})
# Further differences of one kind are counted, not told, in the sentence.
TOLD = 3


def explain(a: ModelVersion, b: ModelVersion, principal: Principal) -> dict[str, Any]:
    """`{"a", "b", "cause", "metrics", "differences", "sentence", "verdict", "reservations"}`, the two versions being
    visible to the principal. `cause` is the one kind that differs; null where none does, or several do. The sentence is
    the verdict and behind it the reservations: what is not known."""
    first, second = makings_of([a, b], principal)
    differences = differences_between(first, second)
    metrics = compare_metrics(first, second)
    kinds = causes(differences)
    verdict, reservations = _verdict(first, second, differences, metrics), _reservations(first, second)
    return {
        "a": first.label,
        "b": second.label,
        "cause": kinds[0] if len(kinds) == 1 else None,
        "metrics": metrics,
        "differences": [each.json() for each in differences],
        "sentence": " ".join([verdict, *reservations]),
        "verdict": verdict,
        "reservations": reservations,
    }


def _verdict(
    a: Making, b: Making, differences: Sequence[Difference], metrics: Sequence[dict[str, Any]]
) -> str:
    if a.version.pk == b.version.pk:
        return f"{a.label} is one version: there is nothing to compare."
    kinds = causes(differences)
    if not kinds:
        return _nothing(a, b, metrics)
    same = f" {a.label} and {b.label} hold the same bytes all the same." if _same_bytes(a, b) else ""
    if len(kinds) == 1:
        own = [each.sentence for each in differences if not each.follows]
        with_it = [each.what for each in differences if each.follows]
        only = "Of what is recorded, only" if _reservations(a, b) else "Only"
        following = f". With it changed: {_listed(with_it)}" if with_it else ""
        differ = "differ" if KINDS[kinds[0]].plural else "differs"
        return f"{only} {_noun(kinds[0], differences)} {differ}: {_listed(own)}{following}.{same}"
    nouns = [_noun(kind, differences) for kind in kinds]
    return f"Several things differ, and any may be the cause: {', '.join(nouns[:-1])} and {nouns[-1]}.{same}"


def _listed(sentences: Sequence[str]) -> str:
    more = f"; and {len(sentences) - TOLD} more" if len(sentences) > TOLD else ""
    return "; ".join(sentences[:TOLD]) + more


def _noun(kind: str, differences: Sequence[Difference]) -> str:
    if kind == "data" and not any(each.training for each in differences if each.kind == "data"):
        return "the data that was not trained on"
    return KINDS[kind].noun


def _same_bytes(a: Making, b: Making) -> bool:
    digest = a.version.manifest.digest
    return bool(digest) and digest == b.version.manifest.digest


def _nothing(a: Making, b: Making, metrics: Sequence[dict[str, Any]]) -> str:
    if _same_bytes(a, b):
        return f"{a.label} and {b.label} hold the same bytes, and nothing recorded differs between them."
    if metrics and all(each["difference"] == 0 for each in metrics):
        return f"{a.label} and {b.label} measure the same, and nothing recorded differs between them."
    if within_intervals(metrics):
        return (
            "Nothing recorded explains this; no metric differs by more than the intervals given for it allow."
        )
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
