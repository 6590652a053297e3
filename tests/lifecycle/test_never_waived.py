"""What no two people let stand: integrity and malice, and nothing at all by writing it into the database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from lifecycle.actions.promotions import request_promotion
from lifecycle.actions.waivers import NeverWaived
from lifecycle.models import GateResult, Promotion, Waiver
from lifecycle.promotions import settle
from registry.artifacts.scanning import SCANNER
from registry.models import Blob, ModelVersion, ScanReport
from tests.cast import Cast
from tests.factories import a_waiver, evaluate, fresh, ready_version, results
from tests.lifecycle.waiving import WHY, asked_again, asking, granted, refused


def test_integrity_is_never_waived(cast: Cast) -> None:
    version = ready_version(cast)
    Blob.objects.filter(artifacts__manifest=version.manifest).update(quarantined_at=timezone.now())
    promotion = refused(cast, [], version)
    assert promotion.state == "gates_failed"
    with pytest.raises(NeverWaived, match="Integrity is never waived"):
        asking(cast, promotion, "integrity_verified")
    _never(cast, promotion, "integrity_verified")


def _never(cast: Cast, promotion: Promotion, gate: str) -> None:
    """Nor past the action: the database refuses the asking."""
    result = promotion.gate_results.filter(key=gate).latest("pk")
    with pytest.raises(IntegrityError, match="never waived"), transaction.atomic():
        Waiver.objects.create(
            result=result,
            reason=WHY,
            until=timezone.now() + timedelta(days=1),
            by=cast.user("eve"),
            at=timezone.now(),
        )


def scanned(version: ModelVersion, verdict: str, scanner: str = SCANNER) -> None:
    blob = version.manifest.artifacts.get().blob
    found = [{"where": "", "what": "imports os.system", "name": "os.system", "verdict": verdict}]
    ScanReport.objects.create(blob=blob, scanner=scanner, format="pickle", verdict=verdict, findings=found)


SCAN = {"gate": "scan_clean", "parameters": {}}


def test_a_malicious_file_is_never_waived(cast: Cast) -> None:
    version = ready_version(cast)
    scanned(version, "malicious")
    promotion = refused(cast, [SCAN], version)
    with pytest.raises(NeverWaived, match=r"A malicious file is never waived: model\.skops is malicious"):
        asking(cast, promotion, "scan_clean")
    _never(cast, promotion, "scan_clean")


def test_a_suspicious_file_is_until_it_is_found_malicious(cast: Cast) -> None:
    """A later release of the scanner sees more: what was granted before counts no more, and not for the database."""
    version = ready_version(cast)
    scanned(version, "suspicious", scanner="0")
    scanned(version, "suspicious")
    promotion = refused(cast, [SCAN], version)
    waiver = asking(cast, promotion, "scan_clean")
    granted(cast, waiver)
    again = asked_again(cast, waiver)
    assert again.state == "applied"

    other = ready_version(cast)
    scanned(other, "suspicious")
    promotion = refused(cast, [SCAN], other)
    waiver = asking(cast, promotion, "scan_clean")
    granted(cast, waiver)
    scanned(other, "malicious", scanner="999")
    second = asked_again(cast, waiver)
    assert (second.state, results(second)["scan_clean"][0]) == ("gates_failed", "fail")
    with pytest.raises(IntegrityError, match="never waived"), transaction.atomic():
        _waived_by_hand(second, waiver)


def _waived_by_hand(promotion: Promotion, waiver: Waiver) -> GateResult:
    result = promotion.gate_results.filter(key=waiver.result.key).latest("pk")
    return GateResult.objects.create(
        promotion=promotion, key=result.key, gate=result.gate, verdict="waived", sentence="so I say",
        evidence=result.evidence, waiver=waiver, at=timezone.now(),
    )  # fmt: skip


def test_the_database_asks_for_a_grant_that_covers_it(cast: Cast) -> None:
    waiver = a_waiver(cast)
    failed = waiver.result.promotion
    with pytest.raises(IntegrityError, match="no waiver that was granted"), transaction.atomic():
        _waived_by_hand(failed, waiver)
    granted(cast, waiver)
    other = ready_version(cast)
    evaluate(cast, other, 0.5)
    elsewhere = request_promotion(version=other, target="staging", by=cast.principal("eve"))
    settle(promotion_id=elsewhere.pk)
    with pytest.raises(IntegrityError, match="no waiver that was granted"), transaction.atomic():
        _waived_by_hand(elsewhere, waiver)
    _waived_by_hand(failed, waiver)


def test_the_database_applies_nothing_that_was_found_malicious_since(cast: Cast) -> None:
    """All else is there: the result is waived, and the approvals are none."""
    version = ready_version(cast)
    scanned(version, "suspicious")
    promotion = refused(cast, [SCAN], version)
    waiver = asking(cast, promotion, "scan_clean")
    granted(cast, waiver)
    again = request_promotion(version=fresh(version), target="staging", by=cast.principal("eve"))
    for result in promotion.gate_results.all():
        GateResult.objects.create(
            promotion=again, key=result.key, gate=result.gate, evidence=result.evidence, sentence="s",
            verdict="waived" if result.key == "scan_clean" else "pass", at=timezone.now(),
            waiver=waiver if result.key == "scan_clean" else None,
        )  # fmt: skip
    statement = "UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s"
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement, [again.pk])
        transaction.set_rollback(True)
    scanned(version, "malicious", scanner="999")
    with (
        pytest.raises(IntegrityError, match="gates are not passed: scan_clean"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, [again.pk])
