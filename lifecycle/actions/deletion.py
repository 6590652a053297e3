"""Deleting a version: its bytes are no longer kept for it; what it was, and where it came from, stays."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from lifecycle import promotions
from lifecycle.deletion import is_needed_otherwise, referrers
from registry.errors import DomainError, InvalidInput
from registry.journal import record
from registry.models import Manifest, ModelVersion, Principal
from registry.permissions import check_can
from registry.roles import Permission

LONGEST_REASON = 4000


class VersionInUse(DomainError):
    """Something refers to the version, or is being done with it; the reasons name each."""

    code = "version-in-use"


@transaction.atomic
def delete_version(*, version: ModelVersion, reason: str, by: Principal) -> ModelVersion:
    """Leave a tombstone. Its manifest is released when nothing else needs it: then its bytes go after the grace.

    A version that is deleted already stays as it is. Raises Forbidden, InvalidInput, VersionInUse.
    """
    check_can(by, Permission.VERSION_DELETE, version.model.namespace)
    if not reason.strip():
        raise InvalidInput("To delete a version needs a reason: it is what stays to be read.", field="reason")
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
    promotions.lock_model(version.pk)
    rows = ModelVersion.objects.select_related("model__namespace", "created_by")
    row = rows.select_for_update(no_key=True, of=("self",)).get(pk=version.pk)
    if row.status == ModelVersion.Status.DELETED:
        return row
    if reasons := referrers(row, by):
        many = "this stands" if len(reasons) == 1 else f"{len(reasons)} things stand"
        raise VersionInUse(f"{row.reference} cannot be deleted: {many} against it.", reasons=reasons)
    # Whoever makes another version of this manifest takes a share of this lock.
    manifest = Manifest.objects.select_for_update(no_key=True).get(pk=row.manifest_id)
    was, row.status = row.status, ModelVersion.Status.DELETED
    row.status_message, row.deleted_at = reason, timezone.now()
    row.save(update_fields=["status", "status_message", "deleted_at"])
    releases = not is_needed_otherwise(row)
    if releases and manifest.released_at is None:
        manifest.released_at = row.deleted_at
        manifest.save(update_fields=["released_at"])
    record(
        "version.deleted",
        subject=row,
        by=by,
        namespace=row.model.namespace,
        reason=reason,
        before={"status": was, "stage": row.stage},
        after={
            "status": row.status,
            "stage": row.stage,
            "digest": f"sha256:{manifest.digest}" if manifest.digest else None,
            "size": manifest.size,
            "files": manifest.files,
            "released": releases,
        },
        at=row.deleted_at,
    )
    return row
