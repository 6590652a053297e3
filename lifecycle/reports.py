"""A validation report: what somebody who decides found, kept with their decision for ever."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from lifecycle.models import Severity
from registry.errors import InvalidInput
from registry.models import Attachment, ModelVersion, Principal

LONGEST_SUMMARY = 4000
LONGEST_TEXT = 2000
MOST = 50
MOST_DOCUMENTS = 10
NUL = "\x00"


def checked_report(given: Any) -> dict[str, Any] | None:
    """`{"summary": text, "findings": [{"severity", "text"}], "conditions": [text], "attachments": [id]}`, or None for
    none; without attachments, none is named.

    Raises InvalidInput that points at what is wrong.
    """
    if given is None:
        return None
    known = ("summary", "findings", "conditions", "attachments")
    if not isinstance(given, dict) or (unknown := sorted(set(map(str, given)) - set(known))):
        at = f"report.{unknown[0]}" if isinstance(given, dict) else "report"
        raise InvalidInput(f"A report is an object of {', '.join(known)}.", field=at)
    summary = _text(given.get("summary"), "report.summary", LONGEST_SUMMARY)
    findings = [_finding(item, f"report.findings[{n}]") for n, item in enumerate(_list(given, "findings"))]
    conditions = [
        _text(item, f"report.conditions[{n}]", LONGEST_TEXT)
        for n, item in enumerate(_list(given, "conditions"))
    ]
    documents = _documents(given)
    return {
        "summary": summary,
        "findings": findings,
        "conditions": conditions,
        **({"attachments": documents} if documents else {}),
    }


def with_documents(report: dict[str, Any], version: ModelVersion, by: Principal) -> dict[str, Any]:
    """The report with its attachments as `{"id", "name", "sha256", "size"}`: documents that the same person sent for
    reports on this version. Raises InvalidInput that points at one that is none."""
    if "attachments" not in report:
        return report
    kept = Attachment.objects.filter(
        version=version, kind=Attachment.Kind.VALIDATION_REPORT, by=by.account
    ).in_bulk(report["attachments"])
    told = []
    for position, wanted in enumerate(report["attachments"]):
        if (document := kept.get(wanted)) is None:
            raise InvalidInput(
                f"There is no document {wanted} that you sent for a report on {version.reference}; send it first, to "
                "its report-attachments.",
                field=f"report.attachments[{position}]",
            )
        told.append(
            {
                "id": str(document.pk),
                "name": document.name,
                "sha256": document.sha256,
                "size": document.size,
            }
        )
    return {**report, "attachments": told}


def report_of_lines(summary: str, findings: str, conditions: str) -> dict[str, Any] | None:
    """A report as it is written in a form: a finding a line, as `high: two slices lack data`, a condition a line.
    None when nothing is written. Not checked yet."""
    lines = [line.partition(":") for line in findings.splitlines() if line.strip()]
    asked = [line.strip() for line in conditions.splitlines() if line.strip()]
    if not (summary.strip() or lines or asked):
        return None
    return {
        "summary": summary.strip(),
        "findings": [
            {"severity": severity.strip().lower(), "text": text.strip()} for severity, _, text in lines
        ],
        "conditions": asked,
    }


def _list(given: dict[str, Any], name: str) -> list[Any]:
    found = given.get(name, [])
    if not isinstance(found, list) or len(found) > MOST:
        raise InvalidInput(f"{name} is a list of at most {MOST}.", field=f"report.{name}")
    return found


def _documents(given: dict[str, Any]) -> list[UUID]:
    found = given.get("attachments", [])
    if not isinstance(found, list) or len(found) > MOST_DOCUMENTS:
        raise InvalidInput(f"attachments is a list of at most {MOST_DOCUMENTS}.", field="report.attachments")
    ids: list[UUID] = []
    for position, item in enumerate(found):
        try:
            ids.append(UUID(item))
        except (ValueError, TypeError, AttributeError):
            raise InvalidInput(
                "An attachment is named by its id, as it was answered when it was sent.",
                field=f"report.attachments[{position}]",
            ) from None
    if len(set(ids)) != len(ids):
        raise InvalidInput("An attachment is named once.", field="report.attachments")
    return ids


def _finding(item: Any, where: str) -> dict[str, str]:
    if not isinstance(item, dict) or set(item) != {"severity", "text"}:
        raise InvalidInput('A finding is {"severity": ..., "text": ...}.', field=where)
    if item["severity"] not in Severity.values:
        raise InvalidInput(
            f"The severity of a finding is one of {', '.join(Severity.values)}.", field=f"{where}.severity"
        )
    return {"severity": item["severity"], "text": _text(item["text"], f"{where}.text", LONGEST_TEXT)}


def _text(given: Any, where: str, longest: int) -> str:
    if not isinstance(given, str) or not given.strip() or len(given) > longest or NUL in given:
        raise InvalidInput(f"{where.rpartition('.')[2]} is a text of 1 to {longest} characters.", field=where)
    return given.strip()
