"""The document as a page: one file without scripts and without anything from elsewhere, to read and to print."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.template.loader import render_to_string

from lifecycle.models import State
from registry.models import Stage

MOST_FILES = 50
# The shortest first, as a reader meets them.
WORDS = (
    ("version", "One state of a model: its files, which cannot change without its digest changing."),
    ("digest", "A fingerprint (SHA-256) of a file or a list of files. Other content has another digest."),
    ("stage", "Where a version stands: development, staging, production, archived or deprecated."),
    ("promotion", "A request to move a version to staging or production, under the policy of that moment."),
    ("gate", "A claim of the policy that was checked by the server, with its verdict and a sentence."),
    ("waiver", "Two people let one gate's verdict stand, for a reason and until a time."),
    ("approval", "A person's decision, bound to the digest of what they were shown; never by who asked."),
    ("deployment", "What a target reported to run. The registry does not look itself."),
    ("journal", "The entries written in the same moment as each change; nobody can edit them."),
)


def page_of(document: dict[str, Any]) -> str:
    """HTML. Whatever people wrote is text in it."""
    about = document["about"]
    return render_to_string(
        "evidence/document.html",
        {
            "document": document,
            "title": about.get("reference")
            or f"{about['namespace']}, {about['since'][:10]} to {about['until'][:10]}",
            "words": WORDS,
            "versions": [_shown(each) for each in document["versions"]],
            "moves": _moves(document) if about["kind"] == "period" else [],
            "events": document["journal"]["events"],
            "proven": _proven(document),
        },
    )


def _proven(document: dict[str, Any]) -> str:
    """How many of the entries the newest checkpoint was signed over."""
    proof, events = document["proof"], document["journal"]["events"]
    if proof["checkpoint"] is None:
        return "The journal has no signed checkpoint yet."
    name, size, _, number, _, at, *_ = proof["checkpoint"].split("\n")
    return (
        f"{len(proof['entries'])} of these {len(events)} entries are in {number} of {name}, which the server signed "
        f"over {size} entries {at.replace('T', ' ')[:19]} UTC; the rest came later."
    )


def _shown(told: dict[str, Any]) -> dict[str, Any]:
    return {
        **told,
        "first_files": told["files"][:MOST_FILES],
        "more_files": len(told["files"]) - MOST_FILES,
        "answers": _answers(told),
        "packages": sorted((_packages(told["lineage"]["run"])).items()),
    }


def _packages(run: dict[str, Any] | None) -> dict[str, Any]:
    packages = (run or {}).get("environment", {}).get("packages")
    return packages if isinstance(packages, dict) else {}


def _answers(told: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What an auditor asks first: (question, answer, mood)."""
    stage = told["version"]["stage"]
    applied = [
        p for p in told["promotions"] if p["target"] == Stage.PRODUCTION and p["state"] == State.APPLIED
    ]
    approvers = [a for p in applied for a in p["approvals"] if a["verdict"] == "approve"]
    where = stage.capitalize() if stage in (Stage.ARCHIVED, Stage.DEPRECATED) else f"In {stage}"
    here = [each for each in told["stages"] if each["to"] == stage]
    waived = sum(1 for p in applied for gate in p["gates"] if gate["verdict"] == "waived")
    open_incidents = sum(1 for each in told["incidents"] if each["state"] == "open")
    doubted = sum(1 for each in told["quarantines"] if not each["lifted_at"])
    runs = [each["target"] for each in told["deployments"] if not each["until"]]
    complete = told["version"]["completeness"]["state"]
    return [
        ("Where is it?", f"{where} since {_day(here[-1]['at'])}" if here else where, "calm"),
        (
            "Who allowed production?",
            ", ".join(dict.fromkeys(f"{a['by']} ({_day(a['at'])})" for a in approvers))
            or ("Nobody was asked: a rollback" if applied else "Nobody: it never entered production"),
            "good" if approvers else "calm",
        ),
        ("Was a gate waived?", f"{waived} for production" if waived else "No", "wait" if waived else "good"),
        ("Is what made it recorded?", complete.capitalize(), "good" if complete == "complete" else "wait"),
        (
            "Is anything wrong?",
            "; ".join(
                filter(
                    None,
                    (
                        f"{open_incidents} open incident{'s' * (open_incidents > 1)}"
                        if open_incidents
                        else "",
                        "under quarantine" if doubted else "",
                    ),
                )
            ).capitalize()
            or "No open incident, no quarantine",
            "bad" if open_incidents or doubted else "good",
        ),
        ("Where does it run?", ", ".join(runs) or "No target reports it", "calm"),
    ]


def _day(time: str) -> str:
    return f"{time[:10]} {time[11:16]}"


def _moves(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What entered and left production, and staging, in the period, oldest first."""
    about = document["about"]
    since, until = (datetime.fromisoformat(about[end]) for end in ("since", "until"))
    moves = [
        {**move, "reference": told["version"]["reference"]}
        for told in document["versions"]
        for move in told["stages"]
        if since <= datetime.fromisoformat(move["at"]) <= until
    ]
    return sorted(moves, key=lambda move: datetime.fromisoformat(move["at"]))
