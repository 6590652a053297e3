"""The approvals desk: what waits, one page to decide on, and the decision."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from lifecycle.actions.promotions import decide_promotion
from lifecycle.approvals import tally
from lifecycle.dossier.inbox import count_waiting, inbox
from lifecycle.dossier.promotions import dossier
from lifecycle.freezes import held
from lifecycle.models import Promotion, State
from lifecycle.reports import report_of_lines
from registry.errors import DomainError, InvalidInput
from registry.http.admin_site import site
from registry.http.authentication import principal_of
from registry.http.readable import NUL


def waiting_badge(request: HttpRequest) -> str:
    """The number beside the desk in the navigation; empty when nothing waits."""
    return str(count_waiting(principal_of(request)) or "")


def desk(request: HttpRequest) -> HttpResponse:
    """The inbox."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET"])
    return _page(request, "admin/desk/inbox.html", "Approvals", {"inbox": inbox(principal_of(request))})


def desk_promotion(request: HttpRequest, id: UUID) -> HttpResponse:
    """One promotion: read it, decide on it."""
    principal = principal_of(request)
    try:
        found = dossier(id, principal)
    except Promotion.DoesNotExist:
        raise Http404 from None
    if request.method == "POST":
        return _decide(request, found.promotion)
    return _page(request, "admin/desk/decision.html", "Approvals", {"dossier": found})


def _decide(request: HttpRequest, promotion: Promotion) -> HttpResponse:
    """Make the decision that was sent; what came of it, or why it was refused, is told in plain words."""
    reason = request.POST.get("reason", "")
    try:
        if NUL in reason:
            raise InvalidInput("The reason holds a NUL character.", field="reason")
        written = (request.POST.get(name, "") for name in ("summary", "findings", "conditions"))
        decided = decide_promotion(
            promotion=promotion,
            verdict=request.POST.get("verdict", ""),
            reason=reason,
            report=report_of_lines(*written),
            by=principal_of(request),
        )
    except DomainError as refusal:
        for sentence in (refusal.sentence, *refusal.reasons):
            messages.error(request, sentence)
        return HttpResponseRedirect(reverse("admin:desk-promotion", args=[promotion.pk]))
    reference = promotion.version.reference
    match decided.state:
        case State.APPLIED:
            messages.success(request, f"Approved: {reference} is in {decided.target}.")
        case State.REJECTED:
            messages.success(request, f"Rejected: {reference} stays where it is, and your reason is told.")
        case State.AWAITING_APPROVAL:
            window = None if not tally(decided).complete else held(decided, timezone.now())
            waits = (
                f"it takes effect when the freeze is over, {window.ends_at:%Y-%m-%d %H:%M} UTC"
                if window
                else ""
            )
            messages.success(
                request, f"Your approval of {reference} is kept; {waits or 'it waits for another one'}."
            )
        case _:
            messages.warning(request, f"Nothing was decided: {decided.outcome}.")
            return HttpResponseRedirect(reverse("admin:desk-promotion", args=[promotion.pk]))
    return HttpResponseRedirect(reverse("admin:desk"))


def _page(request: HttpRequest, template: str, title: str, more: dict[str, Any]) -> HttpResponse:
    return TemplateResponse(request, template, {**site().each_context(request), "title": title, **more})


site().add_page("desk/", desk, "desk")
site().add_page("desk/<uuid:id>/", desk_promotion, "desk-promotion")
