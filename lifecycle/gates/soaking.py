"""Gates on time: a version that ran in staging long enough before it is let further."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict
from lifecycle.models import Deployment, DeploymentChange, Drift
from registry.errors import InvalidInput
from registry.models import ModelVersion, Stage, StageChange

MOST_HOURS = 24 * 366
_PATTERN = re.compile(r"[a-z0-9._*?-]{1,100}")
What = DeploymentChange.What


@dataclass
class Span:
    """A time in which a target is known to have run the version without interruption. `ended` says by what it was
    interrupted; "": it still runs, and was last heard of at `until`."""

    target: str
    began: datetime
    until: datetime
    ended: str = ""

    def from_(self, staged: datetime) -> Span:
        """The part of it in which the version was in staging."""
        return Span(self.target, max(self.began, staged), self.until, self.ended)

    @property
    def length(self) -> timedelta:
        return self.until - self.began


class Soaked(Gate):
    """It ran in staging, as what it is, for a time without interruption.

    A span that was long enough stays one: what becomes of the target afterwards voids no approval. The evidence names
    no target, as which of several was heard first would change it.
    """

    name = "soaked"
    parameters = (
        Parameter("hours", float, required=True, help="how many hours it must have run, such as 24"),
        Parameter("target", str, default="*", help="which targets count, as staging-*; by default all"),
        Parameter(
            "reported_by",
            str,
            default="others",
            choices=("others", "anyone"),
            help="whose reports count; by default not those of who asked, made or trained it",
        ),
    )

    def claim(self, given: dict[str, Any]) -> str:
        return (
            f"it was in staging, and ran on {_named(given['target'])}, for {_hours(given['hours'])} "
            "without interruption"
        )

    def checked(self, given: Any, where: str) -> dict[str, Any]:
        checked = super().checked(given, where)
        if not 0 < checked["hours"] <= MOST_HOURS:
            raise InvalidInput(f"hours is above 0 and at most {MOST_HOURS:,}.", field=f"{where}.hours")
        if not _PATTERN.fullmatch(checked["target"]):
            raise InvalidInput(
                "target is the name of a target, or a pattern such as staging-*: lower-case letters, digits, `.`, "
                "`_`, `-`, `*` and `?`.",
                field=f"{where}.target",
            )
        return checked

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        version, asked = context.version, timedelta(hours=given["hours"])
        staged = _in_staging_since(version)
        evidence: dict[str, Any] = {"hours": given["hours"], "target": given["target"]}
        if staged is None:
            return Finding(
                Verdict.FAIL,
                f"{version.reference} is in {version.stage}: it soaks in staging only, for {_hours(given['hours'])}.",
                evidence,
            )
        evidence |= {"staged_at": staged.isoformat(), "digest": f"sha256:{version.manifest.digest}"}
        excluded = context.interested() if given["reported_by"] == "others" else set()
        spans = [
            span.from_(staged)
            for row in _deployments(version, given["target"])
            for span in _spans(row, version, excluded, context.now)
        ]
        spans = sorted(
            (s for s in spans if s.until > s.began or not s.ended), key=lambda s: (s.began, s.target)
        )
        if done := [span for span in spans if span.length >= asked]:
            return Finding(
                Verdict.PASS,
                f"It ran on {done[0].target} for {_hours(given['hours'])} and more without interruption, from "
                f"{_time(done[0].began)} on, in staging since {_time(staged)}.",
                evidence,
            )
        if running := [span for span in spans if not span.ended]:
            return _soaking(context, running[0], asked, given, evidence)
        return Finding(Verdict.FAIL, self._refusal(version, spans, given, bool(excluded)), evidence)

    def _refusal(
        self, version: ModelVersion, spans: list[Span], given: dict[str, Any], excluding: bool
    ) -> str:
        hours, where = _hours(given["hours"]), _named(given["target"])
        if spans:
            best = max(spans, key=lambda span: span.length)
            return (
                f"It ran on {best.target} for {_hours(best.length / timedelta(hours=1))}, until it {best.ended}; "
                f"asked is {hours} without interruption, and it runs on {where} no more."
            )
        changes = DeploymentChange.objects.filter(version=version, what=What.DEPLOYED)
        rows = [row for row in changes.select_related("deployment") if _counts(row.deployment.target, given)]
        if other := [row for row in rows if row.digest != version.manifest.digest]:
            return (
                f"{other[-1].deployment.target} was reported to run sha256:{other[-1].digest[:12]}…, which is not "
                f"{version.reference} as it was published (sha256:{(version.manifest.digest or '')[:12]}…)."
            )
        if rows and excluding:
            return (
                f"Only who asked, made or trained {version.reference}, or an account of theirs, reported that it "
                f"runs on {where}; that does not count. Asked is {hours}, reported by another account."
            )
        return (
            f"Nothing reports that {version.reference} runs on {where}. Asked is {hours} of it, reported by what "
            f"runs it: assay deployed {version.reference} --target ... --stage staging."
        )


def _soaking(
    context: Context, span: Span, asked: timedelta, given: dict[str, Any], evidence: dict[str, Any]
) -> Finding:
    over, expires = span.began + asked, context.promotion.expires_at
    said = f"It runs on {span.target}, and has been in staging meanwhile, since {_time(span.began)}"
    if over >= expires:
        return Finding(
            Verdict.FAIL,
            f"{said}; {_hours(given['hours'])} are over at {_time(over)}, when this request will have expired "
            f"({_time(expires)}). Ask again then.",
            evidence,
        )
    return Finding(
        Verdict.PENDING,
        f"{said}; {_hours(given['hours'])} are over at {_time(over)}, and the first report after that shows it.",
        evidence,
    )


def _in_staging_since(version: ModelVersion) -> datetime | None:
    """When it last entered staging; None when it is not there now."""
    if version.stage != Stage.STAGING:
        return None
    entered = StageChange.objects.filter(version=version, to_stage=Stage.STAGING).order_by("-pk").first()
    return entered.at if entered else None


def _deployments(version: ModelVersion, pattern: str) -> list[Deployment]:
    rows = Deployment.objects.filter(model=version.model_id, changes__version=version).distinct()
    return [row for row in rows.order_by("target") if fnmatchcase(row.target, pattern)]


def _counts(target: str, given: dict[str, Any]) -> bool:
    return fnmatchcase(target, given["target"])


def _spans(row: Deployment, version: ModelVersion, excluded: set[Any], now: datetime) -> Iterator[Span]:
    """The times in which the target ran the version, by the history that nobody can change."""
    span: Span | None = None
    reporter: Any = None
    for change in row.changes.select_related("version").order_by("pk"):
        reporter = change.by_id if change.what == What.DEPLOYED else reporter
        wrong = _wrong(change, version, reporter in excluded)
        if span is not None and wrong:
            span.until, span.ended = (
                max(span.began, change.seen_before or change.at),
                f"{wrong} ({_time(change.at)})",
            )
            yield span
            span = None
        elif span is None and not wrong:
            span = Span(row.target, change.at, change.at)
    if span is not None:
        span.until = max(span.began, row.last_seen)
        if row.interval and now - row.last_seen > timedelta(seconds=row.interval):
            span.ended = "fell silent"
        yield span


def _wrong(change: DeploymentChange, version: ModelVersion, by_interested: bool) -> str:
    """Why the target does not count from this change on; "" when it does."""
    if change.what == What.UNDEPLOYED:
        return "was taken away"
    if change.version_id != version.pk:
        return f"was replaced by version {change.version.number}"
    if change.digest != version.manifest.digest:
        return "ran other bytes than were published"
    if by_interested:
        return "was reported by who asked, made or trained it, which does not count"
    return "fell silent" if Drift.SILENT in change.drift else ""


def _named(pattern: str) -> str:
    if pattern == "*":
        return "a target"
    return pattern if not set(pattern) & set("*?") else f"a target {pattern}"


def _hours(hours: float) -> str:
    return "1 hour" if hours == 1 else f"{hours:.3g} hours"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
