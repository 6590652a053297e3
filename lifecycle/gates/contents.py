"""Gates on what is inside the bytes: what a scan found in a version's files."""

from __future__ import annotations

from typing import Any

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict
from registry.artifacts.scan import conclude, reports_of, scan_files_of, told
from registry.artifacts.scanning import SCANNER
from registry.errors import InvalidInput
from registry.models import Safety, ScanReport

# What a policy may accept beside clean. Code that runs when a model is loaded is not for a policy to allow.
ALLOWABLE = (Safety.SUSPICIOUS.value, Safety.UNSCANNABLE.value)


class ScanClean(Gate):
    """Nothing in the files may run code when the model is loaded, as far as the newest scanner can tell."""

    name = "scan_clean"
    parameters = (
        Parameter("allow", list, default=[], help="verdicts accepted beside clean: suspicious, unscannable"),
    )

    def claim(self, given: dict[str, Any]) -> str:
        further = "".join(f" or {verdict}" for verdict in given["allow"])
        return f"the newest scan found every file clean{further}"

    def checked(self, given: Any, where: str) -> dict[str, Any]:
        checked = super().checked(given, where)
        for verdict in checked["allow"]:
            if verdict == Safety.MALICIOUS:
                raise InvalidInput(
                    "No policy accepts malicious files; suspicious and unscannable ones can be allowed.",
                    field=f"{where}.allow",
                )
            if verdict not in ALLOWABLE:
                raise InvalidInput(
                    f"{verdict!r} cannot be allowed; {' and '.join(ALLOWABLE)} can.", field=f"{where}.allow"
                )
        return checked

    def prepare(self, context: Context) -> None:
        if scan_files_of(context.version.pk):
            conclude(context.version.pk)

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        files = reports_of(context.version)
        evidence = {
            "scanner": SCANNER,
            "files": len(files),
            "flagged": [_evidence(path, r) for path, r in files if r and r.verdict != Safety.CLEAN][:50],
        }
        if missing := [path for path, report in files if report is None]:
            return Finding(
                Verdict.PENDING, f"{missing[0]} has not been scanned by release {SCANNER} yet.", evidence
            )
        refused = [(path, r) for path, r in files if r and r.verdict not in ("clean", *given["allow"])]
        if refused:
            more = f" {len(refused) - 1} more files are not clean either." if refused[1:] else ""
            return Finding(Verdict.FAIL, told(refused)[0] + more, evidence)
        if evidence["flagged"]:
            return Finding(
                Verdict.PASS,
                f"No file is worse than the policy allows: {told(files)[0]}",
                evidence,
            )
        said = "Its one file is" if len(files) == 1 else f"All {len(files)} files are"
        return Finding(Verdict.PASS, f"{said} clean by release {SCANNER} of the scanner.", evidence)


def _evidence(path: str, report: ScanReport) -> dict[str, Any]:
    names = sorted({found["name"] for found in report.findings if found["name"]})
    return {"path": path, "sha256": report.blob_id, "verdict": report.verdict, "names": names[:20]}
