"""Running a promotion's gates: every one of them, each to a verdict and a sentence; one that raises never passes."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

from django.db import OperationalError, transaction

from lifecycle.gates import BROKEN, GATES
from lifecycle.gates.kinds import Context, Finding, Verdict
from lifecycle.gates.waiving import let_stand
from lifecycle.models import GateResult, Promotion
from registry.models import ModelVersion, Stage

logger = logging.getLogger(__name__)


def context_of(promotion: Promotion, now: datetime) -> Context:
    """What the gates are asked about, read afresh: the version, and what is in production now."""
    rows = ModelVersion.objects.select_related("model__namespace", "manifest", "created_by")
    version = rows.get(pk=promotion.version_id)
    incumbent = rows.filter(model=version.model_id, stage=Stage.PRODUCTION).exclude(pk=version.pk).first()
    return Context(promotion=promotion, version=version, incumbent=incumbent, now=now)


def prepare(context: Context) -> None:
    """The work that gates need done before they look (bytes read again). May take minutes."""
    for listed in context.promotion.policy_snapshot["gates"]:
        if gate := GATES.get(listed["gate"]):
            gate.prepare(context)


def findings(context: Context) -> dict[str, tuple[str, Finding]]:
    """key -> (gate, finding), for every gate of the snapshot, waivers counted. Reads the database only."""
    found = {
        listed["key"]: (listed["gate"], _one(context, listed))
        for listed in context.promotion.policy_snapshot["gates"]
    }
    return let_stand(context, found)


def _one(context: Context, listed: dict[str, Any]) -> Finding:
    gate = GATES.get(listed["gate"])
    if gate is None:
        gone = f"This installation has no gate {listed['gate']!r} any more."
        return Finding(Verdict.ERROR, f"{BROKEN.get(listed['gate'], gone)} It does not pass.")
    try:
        # A savepoint, so that a statement which the database refuses is the gate's failure alone; the parameters
        # with their defaults, for those that have been added since the policy was published.
        with transaction.atomic():
            return _sound(gate.evaluate(context, gate.checked(listed["parameters"], listed["key"])))
    except OperationalError:
        raise  # the database is away or busy: nothing is known of the version, and the evaluation is repeated
    except Exception as error:
        logger.exception("gate %s raised on promotion %s", listed["key"], context.promotion.pk)
        return Finding(
            Verdict.ERROR, f"The gate could not be evaluated ({type(error).__name__}); it does not pass."
        )


_SAID = frozenset({Verdict.PASS, Verdict.FAIL, Verdict.ERROR, Verdict.PENDING})


def _sound(finding: Finding) -> Finding:
    """The finding, when it is one that can be kept. Raises TypeError or ValueError: then nothing was found."""
    if not isinstance(finding, Finding) or finding.verdict not in _SAID:
        raise TypeError("a gate answers with a Finding, whose verdict is pass, fail, error or pending")
    if not isinstance(finding.sentence, str) or not finding.sentence.strip():
        raise ValueError("a finding says why in a sentence")
    if finding.waiver is not None:
        raise ValueError("a waiver is granted by people, not found by a gate")
    json.dumps(finding.evidence, allow_nan=False)
    return finding


def keep(context: Context, found: dict[str, tuple[str, Finding]]) -> list[Finding]:
    """Write the results that say something new, and return these; a repeated evaluation of the same facts adds no
    row."""
    newest = latest_results(context.promotion)
    rows, new = [], []
    for key, (gate, finding) in found.items():
        old = newest.get(key)
        waiver_id = finding.waiver.pk if finding.waiver else None
        if old and (old.verdict, old.sentence, old.evidence, old.waiver_id) == (
            finding.verdict,
            finding.sentence,
            finding.evidence,
            waiver_id,
        ):
            continue
        new.append(finding)
        rows.append(
            GateResult(
                promotion=context.promotion,
                key=key,
                gate=gate,
                verdict=finding.verdict,
                sentence=finding.sentence,
                evidence=finding.evidence,
                waiver=finding.waiver,
                at=context.now,
            )
        )
    GateResult.objects.bulk_create(rows)
    return new


def latest_results(promotion: Promotion) -> dict[str, GateResult]:
    """The newest result per gate key, in the order of the snapshot."""
    newest: dict[str, GateResult] = {}
    for result in sorted(promotion.gate_results.all(), key=lambda row: row.pk):
        newest[result.key] = result
    order = [listed["key"] for listed in promotion.policy_snapshot["gates"]]
    return {key: newest[key] for key in order if key in newest}
