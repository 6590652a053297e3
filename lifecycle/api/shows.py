"""Promotions, policies and checks as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.utils import timezone

from lifecycle.approvals import Tally, approver_of, groups_of, tally, told_apart
from lifecycle.freezes import told
from lifecycle.gates.evaluate import latest_results
from lifecycle.models import (
    OPEN,
    Approval,
    BreakGlass,
    CheckReport,
    FreezeWindow,
    GateResult,
    Policy,
    Promotion,
    State,
    Waiver,
)
from lifecycle.revisions import claim

WAIVER_STATES = ("asked", "granted", "refused", "expired")


def promotion_rows() -> QuerySet[Promotion]:
    """Promotions with all that `promotion_json` shows, in a constant number of queries."""
    results = GateResult.objects.select_related("waiver__by", "waiver__decision__by").prefetch_related(
        Prefetch("waivers", Waiver.objects.select_related("by", "decision__by").order_by("at", "pk"))
    )
    frozen = FreezeWindow.objects.standing(timezone.now()).over(
        namespace=OuterRef("version__model__namespace"),
        model=OuterRef("version__model"),
        target=OuterRef("target"),
    )
    window = JSONObject(
        id="pk", ends_at="ends_at", reason="reason", namespace="namespace__name", model="model__name"
    )
    return (
        Promotion.objects.annotate(frozen=Subquery(frozen.order_by("-ends_at").values(told=window)[:1]))
        .select_related(
            "version__model__namespace",
            "replaces__model__namespace",
            "requested_by",
            "break_glass__by",
            "break_glass__reviewed_by",
        )
        .prefetch_related(
            Prefetch("gate_results", results), Prefetch("approvals", told_apart(Approval.objects.all()))
        )
    )


def promotion_json(promotion: Promotion) -> dict[str, Any]:
    """The promotion as REST answers it; `reasons` are the sentences of the gates that do not pass."""
    snapshot = promotion.policy_snapshot
    newest = latest_results(promotion)
    gates = [_gate(listed, newest.get(listed["key"])) for listed in snapshot["gates"]]
    groups = groups_of(snapshot["approvals"])
    given = sorted(promotion.approvals.all(), key=lambda approval: approval.pk)
    return {
        "id": str(promotion.pk),
        "version": promotion.version.reference,
        "namespace": promotion.version.model.namespace.name,
        "target": promotion.target,
        "kind": promotion.kind,
        "state": promotion.state,
        "reason": promotion.reason,
        "requested_by": promotion.requested_by.get_username(),
        "requested_at": promotion.requested_at,
        "expires_at": promotion.expires_at,
        "decided_at": promotion.decided_at,
        "policy": {key: snapshot[key] for key in ("name", "revision", "target")},
        "gates": gates,
        "approvals": [
            {
                "by": a.by.get_username(),
                # Those of the groups asked for that they are in now.
                "groups": [name for name in groups if name in approver_of(a).groups],
                "verdict": a.verdict,
                "reason": a.reason,
                "report": a.report,
                "at": a.at,
            }
            for a in given
        ],
        "approvals_required": snapshot["approvals"]["count"],
        "approvals_groups": [{"group": name, "count": count} for name, count in groups.items()],
        "approvals_wanted": _wanted(tally(promotion, given))
        if promotion.state == State.AWAITING_APPROVAL
        else None,
        # The freeze that keeps it from taking effect, while it is open.
        "held": _held(promotion),
        "break_glass": _of_glass(promotion.break_glass) if hasattr(promotion, "break_glass") else None,
        "replaces": promotion.replaces.reference if promotion.replaces else None,
        "binding": promotion.binding,
        "reasons": [gate["sentence"] for gate in gates if gate["verdict"] in ("fail", "error")],
        "outcome": promotion.outcome,
        "url": f"{settings.PUBLIC_URL}/promotions/{promotion.pk}",
    }


def _held(promotion: Any) -> dict[str, Any] | None:
    """The freeze that keeps an open promotion from taking effect, and what is said of it."""
    window = promotion.frozen
    if not window or promotion.state not in OPEN or promotion.kind == Promotion.Kind.ROLLBACK:
        return None
    ends_at = datetime.fromisoformat(window["ends_at"]).astimezone(UTC)
    about = "/".join(filter(None, (window["namespace"], window["model"]))) or "everywhere"
    return {
        "freeze": window["id"],
        "until": ends_at,
        "sentence": f"{told(promotion.target, about, ends_at, window['reason'])}. What is approved takes effect then.",
    }


def glass_json(row: BreakGlass) -> dict[str, Any]:
    """Broken glass, with the promotion that it was broken for."""
    version = row.promotion.version
    return {
        "promotion": str(row.promotion_id),
        "version": version.reference,
        "namespace": version.model.namespace.name,
        "target": row.promotion.target,
        **_of_glass(row),
    }


def _of_glass(row: BreakGlass) -> dict[str, Any]:
    late = row.reviewed_at is None and row.due_at <= timezone.now()
    return {
        "id": str(row.pk),
        "by": row.by.get_username(),
        "at": row.at,
        "reason": row.reason,
        "overrode": row.overrode,
        "due_at": row.due_at,
        "state": "reviewed" if row.reviewed_at else ("overdue" if late else "waiting"),
        "verdict": row.verdict or None,
        "sentence": row.sentence,
        "reviewed_by": row.reviewed_by.get_username() if row.reviewed_by else None,
        "reviewed_at": row.reviewed_at,
    }


def _wanted(found: Tally) -> dict[str, Any]:
    """What is missing of a promotion that waits: as "1 of 2; still wanted: risk (1)"."""
    return {
        "given": found.given,
        "asked": found.asked,
        "groups": [{"group": name, "count": count} for name, count in found.wanted],
        "sentence": found.sentence,
    }


def _gate(listed: dict[str, Any], result: GateResult | None) -> dict[str, Any]:
    asked = list(result.waivers.all())[-1:] if result else []
    waiver = result.waiver if result and result.waiver else next(iter(asked), None)
    return {
        "key": listed["key"],
        "gate": listed["gate"],
        "claim": claim(listed),
        "verdict": result.verdict if result else GateResult.Verdict.PENDING.value,
        "sentence": result.sentence if result else "Not evaluated yet.",
        "evidence": result.evidence if result else {},
        # By which it stands, or which is asked for what it says.
        "waiver": _of_waiver(waiver) if waiver else None,
        "at": result.at if result else None,
    }


def waiver_json(waiver: Waiver) -> dict[str, Any]:
    """A waiver, with the result that it is about."""
    result = waiver.result
    return {
        "promotion": str(result.promotion_id),
        "version": result.promotion.version.reference,
        "namespace": result.promotion.version.model.namespace.name,
        "target": result.promotion.target,
        "gate": result.key,
        "verdict": result.verdict,
        "sentence": result.sentence,
        **_of_waiver(waiver),
    }


def _of_waiver(waiver: Waiver) -> dict[str, Any]:
    decision = getattr(waiver, "decision", None)
    state = {None: "asked", "grant": "granted", "refuse": "refused"}[decision.verdict if decision else None]
    return {
        "id": str(waiver.pk),
        "state": "expired" if state != "refused" and waiver.until <= timezone.now() else state,
        "reason": waiver.reason,
        "until": waiver.until,
        "asked_by": waiver.by.get_username(),
        "asked_at": waiver.at,
        "decided_by": decision.by.get_username() if decision else None,
        "decided_at": decision.at if decision else None,
        "decided_reason": decision.reason if decision else "",
    }


def policy_json(policy: Policy) -> dict[str, Any]:
    """A revision, each gate with its claim in words. `state` is draft, published or withdrawn."""
    return {
        "id": str(policy.pk),
        "namespace": policy.namespace.name,
        "model": policy.model.name if policy.model else None,
        "risk_tier": policy.risk_tier,
        "target": policy.target,
        "revision": policy.revision,
        "state": policy.state,
        "gates": [{**gate, "claim": claim(gate)} for gate in policy.gates],
        "approvals": policy.approvals,
        "reason": policy.reason,
        "replaces": policy.replaces.revision if policy.replaces else None,
        "drafted_at": policy.created_at,
        "drafted_by": policy.created_by.get_username() if policy.created_by else "assay",
        "published_at": policy.published_at,
        "published_by": _publisher(policy),
    }


def _publisher(policy: Policy) -> str | None:
    if policy.state != Policy.State.PUBLISHED:
        return None
    # The first revisions of a namespace come with it.
    return policy.published_by.get_username() if policy.published_by else "assay"


def check_json(report: CheckReport) -> dict[str, Any]:
    """What a pipeline reported."""
    return {
        "id": str(report.pk),
        "name": report.name,
        "verdict": "pass" if report.passed else "fail",
        "sentence": report.sentence,
        "url": report.url,
        "by": report.by.get_username(),
        "at": report.at,
    }
