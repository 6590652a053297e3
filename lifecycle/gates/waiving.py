"""What waivers do to findings: one that two people let stand is told as waived, with who, why and until when."""

from __future__ import annotations

from dataclasses import replace

from lifecycle.gates.kinds import Context, Finding, Verdict
from lifecycle.models import GateResult, Promotion, Waiver, WaiverDecision
from registry.artifacts.scan import told
from registry.models import Artifact, ModelVersion, Safety, ScanReport

WAIVABLE = frozenset({Verdict.FAIL, Verdict.ERROR, Verdict.PENDING})


def never_waived(gate: str, version: ModelVersion) -> str:
    """Why no waiver covers this gate of this version, in a sentence; "" when one may. The database holds it too."""
    if gate == "integrity_verified":
        return "Integrity is never waived: bytes that are not what their digest says are another model."
    if gate == "scan_clean" and (files := _malicious(version)):
        return f"A malicious file is never waived: {told(files)[0]}"
    return ""


def _malicious(version: ModelVersion) -> list[tuple[str, ScanReport]]:
    """The files that their newest report calls malicious."""
    reports = ScanReport.objects.filter(blob__artifacts__manifest=version.manifest_id)
    newest = reports.order_by("blob_id", "-scanned_at", "-id").distinct("blob_id")
    bad = {report.blob_id: report for report in newest if report.verdict == Safety.MALICIOUS}
    rows = Artifact.objects.filter(manifest=version.manifest_id, blob__in=bad).order_by("path")
    return [(row.path, bad[row.blob_id]) for row in rows]


def let_stand(context: Context, found: dict[str, tuple[str, Finding]]) -> dict[str, tuple[str, Finding]]:
    """The findings, those that a granted waiver covers told as waived."""
    if all(finding.verdict == Verdict.PASS for _, finding in found.values()):
        return found
    waivers = _granted(context)
    if not waivers:
        return found
    asked = parameters_of(context.promotion)
    return {
        key: (gate, _judged(context, gate, asked.get(key), finding, waivers))
        for key, (gate, finding) in found.items()
    }


def parameters_of(promotion: Promotion) -> dict[str, object]:
    """What the promotion's policy asks of each of its gates, by key."""
    return {listed["key"]: listed["parameters"] for listed in promotion.policy_snapshot["gates"]}


def covers(waiver: Waiver, *, gate: str, parameters: object, finding: Finding) -> bool:
    """Whether what was let stand is what the gate finds: the same gate, asked the same, on the same evidence.

    A gate that waited and whose time ran out has found nothing new; one that could not be evaluated has found nothing
    at all, and is let stand only as that.
    """
    result: GateResult = waiver.result
    return (
        result.gate == gate
        and result.evidence == finding.evidence
        and parameters_of(result.promotion).get(result.key) == parameters
        and (result.verdict == Verdict.ERROR) == (finding.verdict == Verdict.ERROR)
    )


def _granted(context: Context) -> list[Waiver]:
    rows = Waiver.objects.filter(
        decision__verdict=WaiverDecision.Verdict.GRANT,
        until__gt=context.now,
        result__promotion__version=context.version,
        result__promotion__target=context.promotion.target,
    )
    return list(rows.select_related("result__promotion", "by", "decision__by").order_by("-until", "pk"))


def _judged(
    context: Context, gate: str, parameters: object, finding: Finding, waivers: list[Waiver]
) -> Finding:
    if finding.verdict not in WAIVABLE or never_waived(gate, context.version):
        return finding
    for waiver in waivers:
        if covers(waiver, gate=gate, parameters=parameters, finding=finding):
            return replace(
                finding,
                verdict=Verdict.WAIVED,
                sentence=f"Waived until {waiver.until:%Y-%m-%d %H:%M} UTC, asked by {waiver.by.get_username()}, "
                f"granted by {waiver.decision.by.get_username()}: {waiver.reason.rstrip('.')}. "
                f"The gate says: {finding.sentence}",
                waiver=waiver,
                wanted=(),
            )
    return finding
