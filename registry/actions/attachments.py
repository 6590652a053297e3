"""Documents kept with a version, by whoever answers for it."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from registry.artifacts import attachments, signature_checks
from registry.artifacts.examples import Column, read_column
from registry.artifacts.streaming import Readable
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import OF_ITS_MAKERS, Attachment, ModelVersion, Principal
from registry.permissions import check_can
from registry.roles import Permission

MOST_ATTACHMENTS = 50
# Those that are counted together. Per-example results come with evaluations, of which there may be any number.
CROWDS = (OF_ITS_MAKERS, (Attachment.Kind.VALIDATION_REPORT,))
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
    if kind not in OF_ITS_MAKERS:
        raise InvalidInput(f"kind is one of {', '.join(OF_ITS_MAKERS)}.", field="kind")
    called = attachments.check_name(name)
    check_open(version)
    return keep_document(
        version=version, kind=kind, name=called, content=attachments.receive(kind, body, length), by=by
    )


def add_example_results(
    *, version: ModelVersion, body: Readable, length: int | None, by: Principal
) -> tuple[Attachment, Column]:
    """Keep per-example results, for an evaluation that is to name them by digest. The same again changes nothing.

    Raises Forbidden, InvalidInput (with the line), VersionIsClosed, AttachmentTooLarge, BytesRefused.
    """
    check_can(by, Permission.EVALUATION_CREATE, version.model.namespace)
    check_open(version)
    kind = Attachment.Kind.EXAMPLE_RESULTS
    content = attachments.receive(kind, body, length)
    column = read_column(content)
    return keep_document(version=version, kind=kind, name="results.csv", content=content, by=by), column


def keep_document(
    *, version: ModelVersion, kind: str, name: str, content: bytes, by: Principal
) -> Attachment:
    """Keep a document that the caller has been found to be allowed to. Raises TooManyAttachments."""
    # The object first, then the row that names it.
    kept = attachments.keep(content)
    with transaction.atomic():
        # Under the version's lock: publishing sees this signature, or this sees that it is published.
        row = ModelVersion.objects.select_for_update(of=("self",), no_key=True).get(pk=version.pk)
        there = Attachment.objects.filter(version=version)
        alike = there.filter(kind=kind, name=name, sha256=kept.sha256)
        # A report names documents of its own author.
        if kind == Attachment.Kind.VALIDATION_REPORT:
            alike = alike.filter(by=by.account)
        if same := alike.first():
            return same
        if any(
            kind in crowd and there.filter(kind__in=crowd).count() >= MOST_ATTACHMENTS for crowd in CROWDS
        ):
            raise TooManyAttachments(f"At most {MOST_ATTACHMENTS} documents are kept with a version.")
        made = Attachment.objects.create(
            version=version, kind=kind, name=name, sha256=kept.sha256, size=kept.size, by=by.account
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


def check_open(version: ModelVersion) -> None:
    """Raises VersionIsClosed for one that failed or was deleted."""
    if version.status in CLOSED:
        raise VersionIsClosed(f"{version.reference} is {version.status}: nothing more is kept with it.")


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
