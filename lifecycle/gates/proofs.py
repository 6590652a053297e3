"""Gates on what stands behind a version: its provenance, its bytes, and what a pipeline reports."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict
from lifecycle.models import CheckReport
from lineage.completeness import Bought, Fact, State, completeness_of_purchase, named
from lineage.provenance import completeness, purchase_of
from registry.artifacts.integrity import integrity
from registry.artifacts.scrub import verify_blobs_of
from registry.errors import InvalidInput


class LineageComplete(Gate):
    """What made the version is recorded."""

    name = "lineage_complete"
    parameters = (
        Parameter("require", list, default=[], help="facts asked for beyond the usual, such as image_digest"),
        Parameter("accept_unknown", bool, default=False, help="accept readers that cannot be observed"),
    )

    def claim(self, given: dict[str, Any]) -> str:
        further = f", with {', '.join(map(named, given['require']))}" if given["require"] else ""
        return (
            "the run, code, data and environment that made it are recorded, or whom it was bought from and how"
            f"{further}"
        )

    def checked(self, given: Any, where: str) -> dict[str, Any]:
        checked = super().checked(given, where)
        unknown = [fact for fact in checked["require"] if fact not in list(Fact)]
        if unknown:
            raise InvalidInput(
                f"{unknown[0]!r} is not a fact of lineage; there are {', '.join(Fact)}.",
                field=f"{where}.require",
            )
        return checked

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        if bought := purchase_of(context.version):
            return _of_purchase(bought, given["require"])
        told = completeness(context.version, require=given["require"])
        evidence = {"state": told["state"], "missing": told["missing"]}
        unseen = told["state"] == State.UNKNOWN and not told["missing"]
        if told["state"] == State.COMPLETE or (unseen and given["accept_unknown"]):
            return Finding(
                Verdict.PASS, "The run, its code, its data and its environment are recorded.", evidence
            )
        said = "; ".join(told["missing"] or told["notes"])
        return Finding(Verdict.FAIL, f"What made it is not fully recorded: {said}.", evidence)


def _of_purchase(bought: Bought, require: list[str]) -> Finding:
    """Of what was bought, the purchase is to be recorded."""
    told = completeness_of_purchase(bought, require=require)
    evidence = {key: told[key] for key in ("state", "missing", "supply")}
    if told["state"] == State.COMPLETE:
        return Finding(Verdict.PASS, f"{bought.sentence}.", evidence)
    said = "; ".join(told["missing"])
    return Finding(Verdict.FAIL, f"{bought.sentence}, which is not fully recorded: {said}.", evidence)


class IntegrityVerified(Gate):
    """The bytes are there and are what the digest says, read again for this promotion."""

    name = "integrity_verified"

    def claim(self, given: dict[str, Any]) -> str:
        return "every file was read again and has the digest that was published"

    def prepare(self, context: Context) -> None:
        if not integrity(context.version, since=_since(context)).ok:
            verify_blobs_of(context.version.pk)

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        found = integrity(context.version, since=_since(context))
        verdict = Verdict.PASS if found.ok else Verdict.FAIL
        return Finding(verdict, found.sentence, found.evidence)


def _since(context: Context) -> datetime:
    """A reading counts for a day; measured from the request, so that waiting for an approval voids nothing."""
    return context.promotion.requested_at - timedelta(hours=24)


class ExternalCheck(Gate):
    """A pipeline reported that a named check passed: in time, where there is a deadline, and by one of those who may
    report it, where they are named. Pending until then, or until the promotion expires."""

    name = "external_check"
    parameters = (
        Parameter("name", str, required=True, help="the name of the check, such as integration"),
        Parameter(
            "reported_by",
            str,
            default="others",
            choices=("others", "anyone"),
            help="whose reports count; by default not those of who asked, made or trained it",
        ),
        Parameter("reporters", list, default=[], help="the accounts whose reports count; empty: any"),
        Parameter(
            "within_hours",
            float,
            least=0.01,
            most=720.0,
            help="how long after the request it may pass; empty: as long as the promotion is open",
        ),
    )

    def claim(self, given: dict[str, Any]) -> str:
        by = f", reported by {' or '.join(given['reporters'])}" if given["reporters"] else ""
        within = f", within {given['within_hours']:g} h" if given["within_hours"] else ""
        return f"the check {given['name']!r} passed{by}{within}"

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        rows = CheckReport.objects.filter(version=context.version, name=given["name"]).select_related("by")
        if given["reported_by"] == "others":
            rows = rows.exclude(by__in=context.interested())
        if given["reporters"]:
            rows = rows.filter(by__username__in=given["reporters"])
        report = rows.order_by("-at", "-pk").first()
        who = " or ".join(given["reporters"])
        ends = None
        if given["within_hours"]:
            ends = context.promotion.requested_at + timedelta(hours=given["within_hours"])
        if report is None:
            if ends and context.now > ends:
                return Finding(Verdict.FAIL, _too_late(given, who))
            nobody = (
                f"None of {', '.join(given['reporters'])} has" if given["reporters"] else "No pipeline has"
            )
            until = f" It has until {ends:%Y-%m-%d %H:%M} UTC." if ends else ""
            return Finding(Verdict.PENDING, f"{nobody} reported the check {given['name']!r} yet.{until}")
        evidence = {"report": str(report.pk), "by": report.by.get_username(), "passed": report.passed}
        said = f": {report.sentence}" if report.sentence else ""
        if not report.passed:
            sentence = f"{report.by.get_username()} reports that {given['name']!r} failed{said}"
            return Finding(Verdict.FAIL, sentence, evidence)
        # Passed once in time is passed in time, whatever has passed again since.
        if ends and not rows.filter(passed=True, at__lte=ends).exists():
            return Finding(Verdict.FAIL, _too_late(given, who), evidence)
        return Finding(
            Verdict.PASS, f"{report.by.get_username()} reports that {given['name']!r} passed{said}", evidence
        )


def _too_late(given: dict[str, Any], who: str) -> str:
    by = f" by {who}" if who else ""
    return (
        f"The check {given['name']!r} was not reported as passed{by} within {given['within_hours']:g} h of the "
        "request; report it, and ask again."
    )
