"""Validation reports: the documents that go with one, and validating again what is in production."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from lifecycle import promotions
from lifecycle.approvals import may_decide
from lifecycle.models import OPEN, Promotion, Revalidation
from lifecycle.reports import checked_report, with_documents
from lineage.provenance import trainers_of
from registry.actions.attachments import check_open, keep_document
from registry.artifacts import attachments
from registry.artifacts.streaming import Readable
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import Attachment, ModelVersion, Principal, Stage
from registry.permissions import accounts_of, can, check_can, is_designated_reviewer
from registry.roles import Permission


class NotInProduction(DomainError):
    """Only what is in production is validated again."""

    code = "not-in-production"


class OwnVersion(Forbidden):
    """Who made or trained a version does not validate it."""

    code = "own-version"


def attach_to_report(
    *, version: ModelVersion, name: str, body: Readable, length: int | None, by: Principal
) -> Attachment:
    """Keep a document for a validation report of one's own, which then names it by id. The same again changes nothing.

    Raises Forbidden, PathRefused, VersionIsClosed, TooManyAttachments, AttachmentTooLarge, BytesRefused.
    """
    check_can_report(by, version)
    called = attachments.check_name(name)
    check_open(version)
    kind = Attachment.Kind.VALIDATION_REPORT
    content = attachments.receive(kind, body, length)
    return keep_document(version=version, kind=kind, name=called, content=content, by=by)


@transaction.atomic
def revalidate_version(*, version: ModelVersion, verdict: str, report: Any, by: Principal) -> Revalidation:
    """Write down that a version in production was validated again, and what was found. `valid` counts as the model's
    review; `not_valid` is kept and told, and leaves the clock running. It moves nothing: an operator does.

    Raises Forbidden, OwnVersion, NotInProduction, InvalidInput.
    """
    check_can_revalidate(by, version)
    if verdict not in Revalidation.Verdict.values:
        raise InvalidInput(f"A validation finds {' or '.join(Revalidation.Verdict.values)}.", field="verdict")
    checked = checked_report(report)
    if checked is None:
        raise InvalidInput("A validation is a report: give its summary.", field="report")
    # Under the lock: what is replaced meanwhile is not in production.
    promotions.lock_registered(version.model_id)
    version = ModelVersion.objects.select_related("model__namespace").get(pk=version.pk)
    if version.stage != Stage.PRODUCTION:
        raise NotInProduction(
            f"{version.reference} is in {version.stage}: only what is in production is validated again. A report on a "
            "version that is asked for goes with the decision on it."
        )
    found = with_documents(checked, version, by)
    now = timezone.now()
    row = Revalidation.objects.create(version=version, verdict=verdict, report=found, by=by.account, at=now)
    record(
        "version.revalidated",
        subject=version,
        by=by,
        namespace=version.model.namespace,
        reason=found["summary"],
        after={
            "revalidation": str(row.pk),
            "verdict": verdict,
            "findings": len(found["findings"]),
            "conditions": len(found["conditions"]),
            "attachments": [f"sha256:{each['sha256']}" for each in found.get("attachments", [])],
        },
        at=now,
    )
    return row


def check_can_revalidate(by: Principal, version: ModelVersion) -> None:
    """Raises NotVisible, Forbidden or OwnVersion, with the reason in words."""
    model = version.model
    if not is_designated_reviewer(by, model):
        check_can(by, Permission.PROMOTION_DECIDE, model.namespace)
    if by.account.is_service:
        raise Forbidden("A version is validated by a person, not by a service account.")
    if by.account.pk in accounts_of({version.created_by_id} | trainers_of(version)):
        raise OwnVersion("You trained or registered this version, so somebody else must validate it.")


def may_report(by: Principal, version: ModelVersion) -> bool:
    """Whether they may decide on a promotion of the version, or could: they are designated on its model."""
    if can(by, Permission.PROMOTION_DECIDE, version.model.namespace_id) or is_designated_reviewer(
        by, version.model
    ):
        return True
    open_ones = Promotion.objects.filter(version=version, state__in=OPEN).select_related("version__model")
    return any(may_decide(by, promotion) for promotion in open_ones)


def check_can_report(by: Principal, version: ModelVersion) -> None:
    """Raises NotVisible or Forbidden when they may not."""
    if not may_report(by, version):
        check_can(by, Permission.PROMOTION_DECIDE, version.model.namespace)
