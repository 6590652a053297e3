"""Verifying the signatures of versions, and verifying again when a key is added: what is kept of each."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from registry.artifacts import attachments
from registry.artifacts.attachments import AttachmentDamaged
from registry.artifacts.download import entries_of
from registry.artifacts.signatures import Judged, judge
from registry.journal import record
from registry.journal.enqueue import enqueue
from registry.models import SYSTEM, Attachment, ModelVersion, Namespace, SignatureCheck, SigningKey

logger = logging.getLogger(__name__)
VERIFY = "registry.verify_signatures"
ATTEMPTS = 5


def ask(version: ModelVersion) -> None:
    """Have the version's signatures verified, if it has any, once this transaction is committed."""
    if version.attachments.filter(kind=Attachment.Kind.SIGNATURE).exists():
        enqueue(VERIFY, version_id=str(version.pk))


def due() -> QuerySet[Attachment]:
    """Signatures of ready versions that nobody verified, or that a key added since may be the key of."""
    latest = SignatureCheck.objects.filter(attachment=OuterRef("pk")).order_by("-pk")
    newer = SigningKey.objects.filter(
        namespace=OuterRef("version__model__namespace"), revoked_at=None, added_at__gt=OuterRef("checked_at")
    )
    rows = Attachment.objects.filter(
        kind=Attachment.Kind.SIGNATURE, version__status=ModelVersion.Status.READY
    ).annotate(checked_at=Subquery(latest.values("at")[:1]), said=Subquery(latest.values("verdict")[:1]))
    unknown = Q(said=SignatureCheck.Verdict.UNKNOWN_KEY) & Q(Exists(newer))
    return rows.filter(Q(checked_at=None) | unknown)


def verify(version_id: UUID) -> None:
    """Verify what is due of one version's signatures. Raises StoreUnavailable: to be tried again."""
    rows = due().filter(version=version_id).select_related("version__model__namespace", "version__manifest")
    for attachment in rows.order_by("at", "pk"):
        _verify(attachment)


def _verify(attachment: Attachment) -> None:
    version = attachment.version
    namespace = version.model.namespace
    try:
        bundle = attachments.content_of(attachment)
    except AttachmentDamaged as damaged:
        # Says nothing of what was signed: attached again, it is verified.
        logger.error("a signature of %s was not verified: %s", version, damaged.sentence)  # noqa: TRY400
        return
    entries = entries_of(version.manifest)
    for _ in range(ATTEMPTS):
        keys = _keys(namespace)
        if _keep(attachment, judge(bundle, keys, entries), keys):
            return


def _keys(namespace: Namespace) -> list[SigningKey]:
    return list(SigningKey.objects.filter(namespace=namespace).order_by("added_at", "pk"))


@transaction.atomic
def _keep(attachment: Attachment, judged: Judged, keys: list[SigningKey]) -> bool:
    """Write what came of it, unless somebody did meanwhile. False when the keys are others now: judge again.

    Under the lock that a key is added and revoked under, so that no key is missed.
    """
    version = attachment.version
    namespace = Namespace.objects.select_for_update(no_key=True).get(pk=version.model.namespace_id)
    if not due().filter(pk=attachment.pk).exists():
        return True
    if _told(keys) != _told(_keys(namespace)):
        return False
    SignatureCheck.objects.create(
        attachment=attachment, key=judged.key, verdict=judged.verdict, sentence=judged.sentence
    )
    record(
        "version.signature_checked",
        subject=version,
        by=SYSTEM,
        namespace=namespace,
        reason=judged.sentence,
        after={
            "verdict": str(judged.verdict),
            "attachment": str(attachment.pk),
            "sha256": attachment.sha256,
            "key": judged.key.name if judged.key else None,
        },
    )
    return True


def _told(keys: list[SigningKey]) -> list[tuple[UUID, bool]]:
    return [(key.pk, key.revoked_at is None) for key in keys]


def believed(version: ModelVersion, key: str = "") -> SignatureCheck | None:
    """The newest check that found a signature valid by a key that is not revoked; `key`: by the key of that name."""
    rows = SignatureCheck.objects.filter(
        attachment__version=version, verdict=SignatureCheck.Verdict.VALID, key__revoked_at=None
    ).annotate(by_name=F("key__name"))
    if key:
        rows = rows.filter(by_name=key)
    return rows.select_related("key__added_by", "attachment").order_by("-pk").first()


def doubted(version: ModelVersion) -> SignatureCheck | None:
    """The newest check of a version's signatures, whatever it says."""
    rows = SignatureCheck.objects.filter(attachment__version=version)
    return rows.select_related("key", "attachment").order_by("-pk").first()
