"""Writing down that evidence was taken out."""

from __future__ import annotations

from django.db import models, transaction

from registry.journal import record
from registry.models import Namespace, Principal
from registry.permissions import check_can
from registry.roles import Permission


@transaction.atomic
def note_export(
    *, subject: models.Model, namespace: Namespace, digest: str, versions: list[str], by: Principal
) -> None:
    """Who took the document of this digest, about these versions: so that whoever holds one can have it confirmed.

    Raises Forbidden.
    """
    check_can(by, Permission.JOURNAL_VERIFY, namespace)
    record(
        "evidence.exported",
        subject=subject,
        by=by,
        namespace=namespace,
        after={"digest": digest, "versions": versions},
    )
