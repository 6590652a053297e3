"""Documents kept with a version, by whoever answers for it."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from registry.artifacts import attachments, signature_checks
from registry.artifacts.streaming import Readable
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import Attachment, ModelVersion, Principal
from registry.permissions import check_can
from registry.roles import Permission

MOST_ATTACHMENTS = 50
CLOSED = frozenset({ModelVersion.Status.FAILED, ModelVersion.Status.DELETED})


class VersionIsClosed(DomainError):
    """The version failed or was deleted: nothing is kept with it any more."""

    code = "version-is-closed"


class TooManyAttachments(DomainError):
    """There is a bound to the documents of one version."""

    code = "too-many-attachments"


def add_attachment(
    *, version: ModelVersion, kind: str, name: str, body: Readable, length: int | None, by: Principal
) -> Attachment:
    """Keep a document with a version; a signature is verified next. The same again changes nothing.

    Raises Forbidden, InvalidInput, PathRefused, VersionIsClosed, TooManyAttachments, AttachmentTooLarge,
    BytesRefused.
    """
    check_own(version, by)
    if kind not in Attachment.Kind.values:
        raise InvalidInput(f"kind is one of {', '.join(Attachment.Kind.values)}.", field="kind")
    called = attachments.check_name(name)
    if version.status in CLOSED:
        raise VersionIsClosed(f"{version.reference} is {version.status}: nothing more is kept with it.")
    # The object first, then the row that names it.
    kept = attachments.keep(attachments.receive(kind, body, length))
    with transaction.atomic():
        # Under the version's lock: publishing sees this signature, or this sees that it is published.
        row = ModelVersion.objects.select_for_update(of=("self",), no_key=True).get(pk=version.pk)
        there = Attachment.objects.filter(version=version)
        if same := there.filter(kind=kind, name=called, sha256=kept.sha256).first():
            return same
        if there.count() >= MOST_ATTACHMENTS:
            raise TooManyAttachments(f"At most {MOST_ATTACHMENTS} documents are kept with a version.")
        made = Attachment.objects.create(
            version=version, kind=kind, name=called, sha256=kept.sha256, size=kept.size, by=by.account
        )
        record(
            "attachment.added",
            subject=version,
            by=by,
            namespace=version.model.namespace,
            after={"attachment": str(made.pk), **told(made)},
        )
        if row.status == ModelVersion.Status.READY:
            signature_checks.ask(row)
    return made


def check_own(version: ModelVersion, by: Principal) -> None:
    """That a version is the caller's own: registered by the account, by the person who answers for it, or by a
    service account that it answers for. What others attach could spoil it. Raises NotVisible, Forbidden."""
    check_can(by, Permission.VERSION_CREATE, version.model.namespace)
    user, maker = by.user, version.created_by
    if user is None or user.is_superuser or maker.pk in (user.pk, user.owner_id) or maker.owner_id == user.pk:
        return
    raise Forbidden(
        f"{version.reference} is {maker.get_username()}'s: only that account, the person who answers for it and "
        "its service accounts attach documents to it."
    )


def told(attachment: Attachment) -> dict[str, Any]:
    """For the journal."""
    return {
        "kind": attachment.kind,
        "name": attachment.name,
        "sha256": attachment.sha256,
        "size": attachment.size,
    }
