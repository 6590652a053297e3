"""The paired bootstrap: how sure the difference between two versions is that were measured on the same examples."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle.models import PairedComparison
from registry.artifacts import attachments
from registry.artifacts.attachments import AttachmentDamaged, AttachmentRedacted
from registry.artifacts.examples import Column, read_column
from registry.models import EvaluationMetric, ExampleResults

logger = logging.getLogger(__name__)
RESAMPLES = 10_000
LEVEL = 0.95
# Of fewer examples the bootstrap's interval is too narrow to be believed.
FEWEST = 30
# More examples than these are put into so many groups at random, and the groups are resampled: 10,000 resamples of
# 10,000 take about a second, and the interval is as wide, to within a hundredth or so of itself.
MOST_GROUPS = 10_000
_AT_ONCE = 100


@dataclass(frozen=True)
class Interval:
    """The mean difference, new minus old, with its 95% interval, and how that was found."""

    difference: float
    low: float
    high: float
    groups: int
    resamples: int
    seed: int


def bootstrap(new: npt.NDArray[np.float64], old: npt.NDArray[np.float64], seed: int) -> Interval:
    """The percentile interval of the mean of `new - old`, example by example. The same for the same seed."""
    chance = np.random.default_rng(seed)
    differences = new - old
    mean = float(differences.mean())
    apart = differences - mean
    count = len(apart)
    groups = min(count, MOST_GROUPS)
    if groups < count:
        # What a group of equal ones, or of one more, adds to the mean, as if there were no other.
        starts = np.arange(groups) * count // groups
        apart = np.add.reduceat(chance.permutation(apart), starts) * (groups / count)
    means = np.empty(RESAMPLES)
    for start in range(0, RESAMPLES, _AT_ONCE):
        drawn = chance.integers(0, groups, size=(_AT_ONCE, groups), dtype=np.int32)
        means[start : start + _AT_ONCE] = apart[drawn].mean(axis=1)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, mean + float(low), mean + float(high), groups, RESAMPLES, seed)


def seed_of(new: ExampleResults, old: ExampleResults) -> int:
    """Made of what is compared, so that nobody chooses it."""
    pair = f"{new.attachment.sha256} {old.attachment.sha256}"
    return int.from_bytes(hashlib.sha256(pair.encode()).digest()[:8], "big") >> 1


def why_not_paired(new: EvaluationMetric, old: EvaluationMetric) -> str:
    """Why two measurements cannot be compared example by example, as a half sentence; "" when they can."""
    mine, theirs = results_of(new), results_of(old)
    if mine is None or theirs is None:
        whose = "neither" if mine is theirs else ("this version" if mine is None else "production")
        return f"{whose} has {'' if whose == 'neither' else 'no '}per-example results"
    if (mine.count, mine.ids_digest) != (theirs.count, theirs.ids_digest):
        return "their per-example results are not of the same examples"
    if mine.count < FEWEST:
        return f"{mine.count} examples are too few to compare one by one, {FEWEST} would do"
    return ""


def results_of(row: EvaluationMetric) -> ExampleResults | None:
    """The results that a measurement is the mean of. From rows that were selected with `examples__attachment`."""
    found: ExampleResults | None = getattr(row, "examples", None)
    return found


def comparison_of(new: EvaluationMetric, old: EvaluationMetric) -> PairedComparison | None:
    """What came of comparing them, if they have been."""
    rows = PairedComparison.objects.select_related("new__attachment", "old__attachment")
    return rows.filter(new__metric=new, old__metric=old).first()


def compare(new: EvaluationMetric, old: EvaluationMetric, now: datetime) -> None:
    """Compare two measurements that can be paired, and keep what came of it. Done once; takes about a second.

    Results that were taken out, or are damaged, leave nothing. Raises StoreUnavailable.
    """
    mine, theirs = results_of(new), results_of(old)
    if mine is None or theirs is None or comparison_of(new, old) is not None:
        return
    try:
        columns = [_column(mine), _column(theirs)]
    except (AttachmentRedacted, AttachmentDamaged) as error:
        logger.warning("measurements %s and %s are not compared: %s", new.pk, old.pk, error)
        return
    found = bootstrap(columns[0].values, columns[1].values, seed_of(mine, theirs))
    PairedComparison.objects.bulk_create(
        [PairedComparison(new=mine, old=theirs, count=mine.count, at=now, **_columns(found))],
        # Another worker came to the same.
        ignore_conflicts=True,
    )


def _column(results: ExampleResults) -> Column:
    return read_column(attachments.content_of(results.attachment))


def _columns(found: Interval) -> dict[str, Any]:
    return {
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "groups": found.groups,
        "resamples": found.resamples,
        "seed": found.seed,
    }


def told(compared: PairedComparison) -> dict[str, Any]:
    """A comparison as evidence: with this, and the two documents, anybody can repeat it."""
    return {
        "examples": compared.count,
        "difference": compared.difference,
        "low": compared.low,
        "high": compared.high,
        "level": LEVEL,
        "resamples": compared.resamples,
        "groups": compared.groups,
        "seed": compared.seed,
        "mine": f"sha256:{compared.new.attachment.sha256}",
        "production": f"sha256:{compared.old.attachment.sha256}",
    }
