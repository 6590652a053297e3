"""Registering versions, and having their bytes read again."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from registry.actions.models import ensure_model
from registry.actions.uploads import check_own
from registry.artifacts import attachments
from registry.artifacts.uploads import UploadClosed, check_open
from registry.errors import DomainError, InvalidInput, NotVisible
from registry.journal import record
from registry.journal.enqueue import enqueue
from registry.models import (
    Attachment,
    Manifest,
    ModelVersion,
    Namespace,
    Principal,
    RegisteredModel,
    Upload,
    UploadFile,
)
from registry.permissions import check_can
from registry.references import check_not_deleted
from registry.roles import Permission
from registry.tasks.artifacts import publish_version, verify_version

MOST_TAGS = 100
# What a signature is called that came with the registration.
SIGNATURE = "model.sig"


class UploadIncomplete(DomainError):
    """Files of the upload have not arrived yet."""

    code = "upload-incomplete"


class VersionNotReady(DomainError):
    """What was asked for needs a version whose bytes have been verified."""

    code = "version-not-ready"


@transaction.atomic
def create_version(  # noqa: PLR0913 - a version is made of this much
    *,
    namespace: Namespace,
    name: str,
    upload: Upload,
    by: Principal,
    run_id: Any = None,
    parameters: dict[str, Any] | None = None,
    description: str = "",
    tags: dict[str, str] | None = None,
    format: str = "",
    schema: Any = None,
    completeness: dict[str, Any] | None = None,
    signature: str | None = None,
) -> ModelVersion:
    """A new version of the model (made when it is not there), `verifying` until its bytes are proven.

    `signature` is the text of a model_signing signature: kept with it, and verified once it is ready. Raises
    UploadIncomplete, UploadClosed, InvalidInput, Forbidden, NotVisible, StoreUnavailable.
    """
    check_can(by, Permission.VERSION_CREATE, namespace)
    if upload.namespace_id != namespace.pk:
        raise NotVisible(f"There is no upload {upload.pk} in {namespace.name}.")
    check_own(upload, by)
    # Before anything is locked: the object is there before a row names it.
    kept = attachments.keep(signature.encode()) if signature else None
    model = _locked_model(namespace, name, by)
    number = model.next_number
    model.next_number = number + 1
    model.save(update_fields=["next_number"])
    version = ModelVersion.objects.create(
        model=model,
        number=number,
        status=ModelVersion.Status.VERIFYING,
        manifest=_manifest_of(upload),
        format=format,
        schema=schema,
        parameters=parameters or {},
        description=description,
        tags=_checked_tags(tags or {}),
        run_id=run_id,
        completeness=completeness or {},
        created_by=by.account,
    )
    if kept:
        Attachment.objects.create(
            version=version,
            kind=Attachment.Kind.SIGNATURE,
            name=SIGNATURE,
            sha256=kept.sha256,
            size=kept.size,
            by=by.account,
        )
    record(
        "version.registered",
        subject=version,
        by=by,
        namespace=namespace,
        after={
            "model": model.name,
            "number": number,
            "run": str(run_id) if run_id else None,
            "upload": str(upload.pk),
            "tags": version.tags,
            **({"signature": kept.sha256} if kept else {}),
        },
    )
    enqueue(publish_version.name, version_id=str(version.pk))
    return version


def _locked_model(namespace: Namespace, name: str, by: Principal) -> RegisteredModel:
    """The model of that name, made when it is not there, locked until the transaction ends."""
    model, _ = ensure_model(namespace=namespace, name=name, by=by)
    rows = RegisteredModel.objects.select_for_update(no_key=True, of=("self",)).select_related("namespace")
    return rows.get(pk=model.pk)


def _manifest_of(upload: Upload) -> Manifest:
    """The manifest that publishing fills: the upload's own, or a new one when the last attempt failed.

    Raises UploadIncomplete, UploadClosed.
    """
    row = Upload.objects.select_for_update().get(pk=upload.pk)
    if row.state != Upload.State.COMPLETED:
        check_open(row)
    wanted = list(row.files.filter(status=UploadFile.Status.WANTED).values_list("path", flat=True)[:20])
    if wanted:
        raise UploadIncomplete(
            f"{wanted[0]} has not arrived yet: send every file before registering the version.",
            field="upload",
            reasons=[f"{path} has not arrived." for path in wanted],
        )
    in_use = row.manifest
    if in_use and in_use.state == Manifest.State.SEALED:
        # Shared until the transaction ends with whoever deletes the last version made of it.
        kept: Manifest = Manifest.objects.select_for_update(no_key=True).get(pk=in_use.pk)
        if kept.released_at is not None:
            raise UploadClosed("What was made of this upload was deleted: begin another.")
        return kept
    ended = (ModelVersion.Status.FAILED, ModelVersion.Status.DELETED)
    if in_use and not in_use.versions.filter(status__in=ended).exists():
        return in_use
    row.manifest = Manifest.objects.create(namespace_id=row.namespace_id)
    row.save(update_fields=["manifest"])
    return row.manifest


def _checked_tags(tags: dict[str, Any]) -> dict[str, str]:
    if len(tags) > MOST_TAGS:
        raise InvalidInput(f"A version has at most {MOST_TAGS} tags.", field="tags")
    for key, value in tags.items():
        if not isinstance(key, str) or not 1 <= len(key) <= 250 or not key.isprintable():
            raise InvalidInput("The name of a tag has 1 to 250 printable characters.", field="tags")
        if not isinstance(value, str) or len(value) > 8000:
            raise InvalidInput(f"The value of tag {key!r} is text of at most 8000 characters.", field="tags")
    return dict(tags)


@transaction.atomic
def request_verification(*, version: ModelVersion, by: Principal) -> ModelVersion:
    """Ask that every byte of a version be read and hashed again. Raises Forbidden, VersionNotReady."""
    check_can(by, Permission.VERSION_VERIFY, version.model.namespace)
    row = (
        ModelVersion.objects.select_for_update(of=("self",))
        .select_related("model__namespace")
        .get(pk=version.pk)
    )
    check_not_deleted(row)
    if row.status != ModelVersion.Status.READY:
        raise VersionNotReady(f"{row.reference} is {row.status}: there are no published bytes to verify.")
    row.verify_requested_at = timezone.now()
    row.save(update_fields=["verify_requested_at"])
    enqueue(verify_version.name, version_id=str(row.pk))
    return row
