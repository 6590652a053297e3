"""What an approval is given to: one digest over version, policy, evidence and the version to be replaced."""

from __future__ import annotations

import hashlib
import json

from django.db.models import Q

from lifecycle.gates.kinds import Context, Finding
from lifecycle.models import OPEN, Promotion
from registry.journal.enqueue import enqueue
from registry.models import Event

# Events that may change what a gate says of the version they name, or of what is in production beside it.
EVALUATE_GATES = "lifecycle.evaluate_gates"
TELLING = frozenset(
    {
        "evaluation.recorded",
        "check.reported",
        "blob.quarantined",
        "blob.healed",
        "policy.published",
        "version.signature_checked",
        "key.revoked",
        "attachment.added",
        "version.scanned",
        "version.flagged",
        "version.edited",
        "version.revalidated",
        "model.edited",
        "waiver.granted",
        "incident.opened",
        "incident.closed",
        "deployment.reported",
    }
)


def binding_of(context: Context, found: dict[str, tuple[str, Finding]]) -> str:
    """sha256, hex, over what an approver is shown. Another digest means: this is not what was approved."""
    shown = {
        "manifest": context.version.manifest.digest,
        "version": str(context.version.pk),
        "policy": context.promotion.policy_snapshot,
        "replaces": str(context.incumbent.pk) if context.incumbent else None,
        "evidence": {
            key: [gate, f.verdict, f.evidence, *([str(f.waiver.pk)] if f.waiver else [])]
            for key, (gate, f) in found.items()
        },
    }
    return hashlib.sha256(json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def consider_event(event: Event) -> None:
    """Consumer of the journal: evidence has arrived, so the open promotions it may touch are looked at again."""
    if event.type not in TELLING or event.namespace_id is None:
        return
    touched = Promotion.objects.filter(version__model__namespace=event.namespace_id, state__in=OPEN)
    if event.subject_kind == "modelversion":
        touched = touched.filter(Q(version=event.subject_id) | Q(version__model__versions=event.subject_id))
    elif event.subject_kind == "registeredmodel":
        touched = touched.filter(version__model__pk=event.subject_id)
    for promotion_id in touched.values_list("pk", flat=True).distinct():
        enqueue(EVALUATE_GATES, promotion_id=str(promotion_id))
