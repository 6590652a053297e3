"""The gate on periodic re-validation, and the clock of a model's reviews that it goes by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict
from lifecycle.models import Approval, Revalidation, State
from registry.errors import InvalidInput
from registry.models import ModelVersion, RegisteredModel, Stage, StageChange

MOST_DAYS = 3660


@dataclass(frozen=True)
class Clock:
    """When the review of a model that is in production is due. `last` tells what the clock started at."""

    version: ModelVersion
    since: datetime
    last: str
    due_at: datetime
    blocks_at: datetime

    def state(self, now: datetime) -> str:
        """current, overdue (it is told), or blocked (nothing is promoted)."""
        if now < self.due_at:
            return "current"
        return "overdue" if now < self.blocks_at else "blocked"

    def sentence(self, now: datetime) -> str:
        """Where the review of the model stands. It changes with the state, and with no other clock."""
        model = self.version.model
        match self.state(now):
            case "current":
                return f"{model} was {self.last}; its next validation is due by {_day(self.due_at)}."
            case "overdue":
                return (
                    f"The validation of {model} is overdue since {_day(self.due_at)} (it was {self.last}); from "
                    f"{_day(self.blocks_at)} on no version of it is promoted until somebody validates "
                    f"{self.version.reference} again."
                )
        return (
            f"The validation of {model} is overdue since {_day(self.due_at)} (it was {self.last}): no version of it is "
            f"promoted until somebody who neither made nor trained {self.version.reference}, which is in production, "
            f"validates it again: assay revalidate {self.version.reference} valid --report report.json"
        )


def clock_of(model: RegisteredModel, given: dict[str, Any]) -> Clock | None:
    """The clock by the gate's parameters; None while nothing is in production, as then there is nothing to review.

    It starts when somebody last wrote a validation report: on a version in production that was found valid, or with
    the approval by which one went there; where that is longer ago, when production was last entered from nothing.
    """
    version = ModelVersion.objects.filter(model=model, stage=Stage.PRODUCTION).first()
    if version is None:
        return None
    version.model = model
    began = _began(model)
    starts = [(began, f"never found valid since it went into production on {_day(began)}")] if began else []
    reports = Revalidation.objects.filter(version__model=model, verdict=Revalidation.Verdict.VALID)
    if newest := reports.select_related("by", "version").order_by("-at").first():
        starts.append((newest.at, _told(newest.at, newest.by.get_username(), newest.version)))
    approvals = Approval.objects.filter(
        promotion__version__model=model,
        promotion__target=Stage.PRODUCTION,
        promotion__state=State.APPLIED,
        verdict=Approval.Verdict.APPROVE,
        report__isnull=False,
    ).select_related("by", "promotion__version")
    if approved := approvals.order_by("-at").first():
        who, what = approved.by.get_username(), approved.promotion.version
        starts.append((approved.at, _told(approved.at, who, what)))
    since, last = max(starts, key=lambda each: each[0])
    due = since + timedelta(days=given["every_days"])
    return Clock(version, since, last, due, due + timedelta(days=given["grace_days"]))


def _began(model: RegisteredModel) -> datetime | None:
    """When production was last entered while nothing was there."""
    moves = StageChange.objects.filter(version__model=model)
    moves = moves.filter(from_stage=Stage.PRODUCTION) | moves.filter(to_stage=Stage.PRODUCTION)
    began: datetime | None = None
    left: datetime | None = None
    for to_stage, at in moves.order_by("pk").values_list("to_stage", "at"):
        if to_stage != Stage.PRODUCTION:
            left = at
        # What is replaced leaves in the same moment, and is written first.
        elif began is None or left != at:
            began = at
    return began


class ReviewNotOverdue(Gate):
    """The model's periodic validation is not overdue for longer than the grace.

    Until then it is told and does no more. It asks about what is in production and never takes that away. Put into the
    production policy of a risk tier, it gives the tier its period.
    """

    name = "review_not_overdue"
    parameters = (
        Parameter(
            "every_days", int, required=True, help="how many days a validation is good for, such as 365"
        ),
        Parameter("grace_days", int, default=30, help="how many days it may be overdue before it blocks"),
    )

    def checked(self, given: Any, where: str) -> dict[str, Any]:
        checked = super().checked(given, where)
        for name, least in (("every_days", 1), ("grace_days", 0)):
            if not least <= (checked[name] or 0) <= MOST_DAYS:
                raise InvalidInput(f"{name} is from {least} to {MOST_DAYS}.", field=f"{where}.{name}")
        return checked

    def claim(self, given: dict[str, Any]) -> str:
        return (
            f"what is in production of the model was validated in the last {_days(given['every_days'])}, or that is "
            f"overdue for at most {_days(given['grace_days'])}"
        )

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        clock = clock_of(context.version.model, given)
        if clock is None:
            return Finding(Verdict.PASS, "Nothing is in production yet: there is nothing to validate again.")
        blocked = clock.state(context.now) == "blocked"
        evidence = {
            "production": str(clock.version.pk),
            "since": clock.since.isoformat(),
            "due_at": clock.due_at.isoformat(),
            "blocks_at": clock.blocks_at.isoformat(),
        }
        return Finding(Verdict.FAIL if blocked else Verdict.PASS, clock.sentence(context.now), evidence)


def _told(at: datetime, who: str, version: ModelVersion) -> str:
    return f"last found valid on {_day(at)} by {who}, as version {version.number}"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
