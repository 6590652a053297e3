"""Consumer of the journal: a report by the supplier has arrived, so what is missing of a purchase is told again."""

from __future__ import annotations

from lineage.provenance import completeness
from registry.models import Attachment, Event, ModelVersion


def retell_purchase(event: Event) -> None:
    """Called by the outbox drain, in its transaction."""
    if event.type != "attachment.added" or (event.after or {}).get("kind") != Attachment.Kind.SUPPLIER_REPORT:
        return
    version = ModelVersion.objects.filter(pk=event.subject_id, supply__isnull=False).first()
    if version is not None:
        ModelVersion.objects.filter(pk=version.pk).update(completeness=completeness(version))
