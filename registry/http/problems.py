"""Refusals as `application/problem+json`: a stable code, one sentence for people, the field, the reasons."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DataError, IntegrityError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from registry.errors import DomainError

logger = logging.getLogger(__name__)

# What a trigger or constraint of the database refused, in words. Everything the code checks first ends here
# too, when two callers race.
CONSTRAINTS: dict[str, tuple[str, str]] = {
    "append_only": ("record-is-append-only", "This record is history: it cannot be changed or deleted."),
    "sealed": ("version-is-sealed", "This is sealed: what it is and where it came from cannot change."),
    "never_deleted": ("never-deleted", "This is kept for ever."),
    "legal_edges": ("illegal-move", "It cannot go from the state it is in to that one."),
    "one_production": ("another-in-production", "Another version of this model is in production."),
    "promotion_required": (
        "promotion-required",
        "This stage is entered only by a promotion that its gates and approvals let through.",
    ),
    "promotion_unsatisfied": (
        "promotion-unsatisfied",
        "The promotion's gates or approvals are not complete.",
    ),
    "under_quarantine": (
        "under-quarantine",
        "The version is under quarantine: it enters neither staging nor production until somebody lifts that.",
    ),
    "never_waived": ("never-waived", "Integrity, and a malicious file, are never waived."),
    "not_waivable": ("not-waivable", "There is no result here that a waiver could let stand."),
    "not_waived": (
        "not-waived",
        "A result stands in spite of what it says only by a waiver that was granted.",
    ),
    "own_waiver": ("own-request", "Who asked for it or made the version does not decide on a waiver."),
    "own_quarantine": ("own-quarantine", "Who put a version under quarantine does not lift it."),
    "not_a_lifter": ("forbidden", "A quarantine is lifted by an active person who holds the right to."),
    "hold_not_lifted": ("hold-not-lifted", "A legal hold is lifted by who granted what somebody else asked."),
    "hold_lifted": ("hold-lifted", "This legal hold was lifted."),
    "one_lift_at_a_time": ("lift-open", "Somebody asks for this already, and waits for a decision."),
    "own_lift": ("own-request", "Who asked that a legal hold be lifted does not decide."),
    "operator_by_two": (
        "grant-takes-two",
        "The operator's role is asked for by one person and confirmed by another.",
    ),
    "not_granted": ("grant-takes-two", "A grant is confirmed by somebody else, once."),
    "own_grant": ("own-grant", "Who asked for a role, or receives it, does not confirm it."),
    "grant_expired": ("grant-over", "Nobody decided on this within its term: ask again."),
    "role_group_not_empty": ("conflict", "Somebody is in this group already."),
    "policy_not_frozen": ("policy-not-frozen", "A promotion carries all that its published policy asks for."),
    "own_policy": ("own-policy", "Who drafted a production policy does not publish it."),
    "not_a_publisher": (
        "forbidden",
        "A production policy is published by an active person who holds the right to.",
    ),
    "policy_not_drafted": ("policy-not-drafted", "A policy is drafted first, then published."),
    "policy_overtaken": (
        "policy-overtaken",
        "Another revision was published since it was drafted: draft it again.",
    ),
    "one_draft_at_a_time": ("policy-drafted", "A draft waits in this place already."),
    "not_a_decider": ("forbidden", "This is decided by an active person who holds the right to."),
    "own_redaction": ("own-redaction", "Who asked for a redaction cannot decide on it."),
    "redaction_not_approved": (
        "redaction-not-approved",
        "Nothing is redacted but what somebody else approved, once.",
    ),
    "alias_of_its_model": ("alias-of-another-model", "An alias points at a version of its own model."),
    "untrue_stage_change": ("illegal-move", "History is written of moves that happened."),
    "own_request": ("own-request", "Who asked for a promotion or made the version cannot decide on it."),
    "not_awaiting_approval": ("not-awaiting-approval", "This promotion does not wait for a decision."),
    "alias_is_protected": ("alias-is-protected", "This alias is moved by a promotion only."),
    "one_decision_per_person": ("already-decided", "You have decided on this promotion already."),
    "one_open_promotion": ("promotion-open", "A promotion of this version to this stage is open already."),
    "no_cycle": ("lineage-cycle", "This edge would make something its own ancestor."),
    "one_model_per_name": ("name-taken", "The namespace has a model of this name already."),
    "one_webhook_per_name": ("name-taken", "The namespace has a webhook of this name already."),
    "alias_is_not_reserved": ("reserved-name", "`latest` and `v<digits>` cannot be aliases."),
    "metric_is_finite": ("metric-not-finite", "A metric is a finite number: NaN and infinity are refused."),
    "one_move_at_a_time": ("bytes-on-the-move", "These bytes are being moved already; try again in a while."),
    "version_in_use": ("version-in-use", "Something refers to this version: it cannot be deleted."),
    "nothing_in_use_is_deleted": ("version-in-use", "A version in staging or production is not deleted."),
    "version_deleted": ("version-deleted", "The version was deleted: nothing new can refer to it."),
    "manifest_released": ("upload-closed", "What was made of this upload was deleted: begin another."),
    "one_value_per_parameter": ("parameter-is-written", "A parameter is written once, with one value."),
}


def problem(status: int, code: str, sentence: str, **more: Any) -> Response:
    """A problem document as a response."""
    body = {
        "type": f"/api/v1/problems/{code}",
        "title": code.replace("-", " "),
        "status": status,
        "code": code,
        "detail": sentence,
        **{key: value for key, value in more.items() if value},
    }
    return Response(body, status=status, content_type="application/problem+json")


def constraint_name(error: IntegrityError) -> str | None:
    """The database constraint or trigger behind an IntegrityError."""
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)


def answer(error: Exception) -> Response | None:  # noqa: PLR0911 - one case, one answer
    """The problem document for a refusal; None for what is nobody's refusal but our defect."""
    match error:
        case DomainError():
            response = problem(
                error.status, error.code, error.sentence, field=error.field, reasons=error.reasons
            )
            if error.retry_after is not None:
                response["Retry-After"] = str(error.retry_after)
            return response
        case IntegrityError():
            name = constraint_name(error)
            code, sentence = CONSTRAINTS.get(
                name or "",
                ("conflict", f"The database refused this: it would break {name or 'a constraint'}."),
            )
            return problem(409, code, sentence)
        case DataError():
            return problem(
                422, "invalid-input", "A value is too long, too large or of a kind that cannot be kept."
            )
        case OperationalError():
            logger.error("the database did not answer", exc_info=error)
            response = problem(503, "try-again", "The database did not answer in time; try again.")
            response["Retry-After"] = "2"
            return response
        case Http404() | exceptions.NotFound():
            return problem(404, "not-found", "There is nothing here that you can see.")
        case exceptions.ValidationError():
            return _invalid(error.detail)
        case ModelValidationError():
            return _invalid(error.message_dict if hasattr(error, "error_dict") else error.messages)
        case PermissionDenied():
            return problem(403, "forbidden", "You may not do this.")
        case exceptions.APIException():
            return _of_framework(error)
    return None


def _of_framework(error: exceptions.APIException) -> Response:
    response = problem(error.status_code, str(error.default_code).replace("_", "-"), str(error.detail))
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(int(wait) + 1)
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    return response


def _invalid(detail: Any) -> Response:
    reasons = list(_sentences(detail))
    first = reasons[0] if reasons else ("", "The request cannot be accepted.")
    told = [f"{field}: {sentence}" if field else sentence for field, sentence in reasons]
    return problem(
        422, "invalid-input", told[0] if told else first[1], field=first[0], reasons=told[1:] and told
    )


def _sentences(detail: Any, field: str = "") -> Any:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            if isinstance(name, int):
                yield from _sentences(inner, f"{field}[{name}]")
            elif name == "non_field_errors":
                yield from _sentences(inner, field)
            else:
                yield from _sentences(inner, f"{field}.{name}" if field else str(name))
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            yield from _sentences(inner, f"{field}[{position}]" if nested else field)
    else:
        yield field, str(detail)
