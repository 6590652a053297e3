"""The gate scan_clean: what passes, what fails and why, and what no policy can allow."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from lifecycle.actions.promotions import request_promotion
from lifecycle.gates.contents import ScanClean
from lifecycle.gates.kinds import Context
from lifecycle.models import Promotion
from lifecycle.promotions import settle
from lifecycle.tasks.promotions import evaluate_gates
from registry.artifacts.scanning import SCANNER
from registry.errors import InvalidInput
from registry.models import ModelVersion, ScanReport
from tests.cast import Cast
from tests.factories import fresh, ready_version, results, simple_policy
from tests.registry.artifacts.scanning.building import call
from tests.registry.artifacts.sending import events, published

FOUND = {"where": "", "what": "GLOBAL imports os.system", "name": "os.system", "verdict": "malicious"}


def asked(version: ModelVersion, **given: Any) -> Any:
    gate = ScanClean()
    context = Context(promotion=Promotion(), version=version, incumbent=None, now=timezone.now())
    return gate.evaluate(context, gate.checked(given, "parameters"))


def reported(version: ModelVersion, verdict: str, scanner: str = SCANNER) -> None:
    """A scan has found this."""
    blob = version.manifest.artifacts.get().blob
    findings = [] if verdict == "clean" else [{**FOUND, "verdict": verdict}]
    ScanReport.objects.create(blob=blob, scanner=scanner, format="pickle", verdict=verdict, findings=findings)


@pytest.mark.parametrize(
    ("found", "allow", "verdict", "told"),
    [
        ("clean", [], "pass", "Its one file is clean"),
        ("suspicious", [], "fail", "model.skops is suspicious: GLOBAL imports os.system."),
        ("suspicious", ["unscannable"], "fail", "model.skops is suspicious"),
        ("suspicious", ["suspicious"], "pass", "No file is worse than the policy allows: model.skops"),
        ("unscannable", [], "fail", "model.skops is unscannable"),
        (
            "malicious",
            ["suspicious", "unscannable"],
            "fail",
            "model.skops is malicious: GLOBAL imports os.system.",
        ),
    ],
)
def test_what_it_says(cast: Cast, found: str, allow: list[str], verdict: str, told: str) -> None:
    version = ready_version(cast)
    reported(version, found)
    finding = asked(version, allow=allow)
    assert finding.verdict == verdict
    assert finding.sentence.startswith(told)
    flagged = finding.evidence["flagged"]
    assert finding.evidence["scanner"] == SCANNER
    assert [each["names"] for each in flagged] == ([] if found == "clean" else [["os.system"]])


def test_an_older_scan_does_not_count(cast: Cast) -> None:
    version = ready_version(cast)
    reported(version, "clean", scanner="0")
    finding = asked(version)
    assert finding.verdict == "pending"
    assert finding.sentence == f"model.skops has not been scanned by release {SCANNER} yet."


@pytest.mark.parametrize("allow", [["malicious"], ["clean"], ["x"], [1], "suspicious"])
def test_what_no_policy_allows(cast: Cast, allow: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        simple_policy(cast, "staging", [{"gate": "scan_clean", "parameters": {"allow": allow}}])
    assert refused.value.field == "gates[0].parameters.allow"
    if allow == ["malicious"]:
        assert "No policy accepts malicious files" in refused.value.sentence


@pytest.mark.django_db(transaction=True)
def test_a_promotion_has_the_version_scanned_and_is_refused(cast: Cast) -> None:
    simple_policy(cast, "staging", [{"gate": "scan_clean", "parameters": {}}], approvals=0)
    version = published(cast, {"model.pkl": call("os", "system", cast.namespace.name)})
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    evaluate_gates(promotion_id=str(promotion.pk))
    promotion.refresh_from_db()
    assert promotion.state == "gates_failed"
    assert results(promotion)["scan_clean"] == (
        "fail",
        "model.pkl is malicious: GLOBAL imports os.system, which can run code when the file is loaded.",
    )
    assert fresh(version).safety == "malicious"
    assert len(events(cast, "version.flagged")) == 1


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_a_scan_that_cannot_be_made(cast: Cast) -> None:
    simple_policy(cast, "staging", [{"gate": "scan_clean", "parameters": {}}], approvals=0)
    version = ready_version(cast)
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    settle(promotion_id=promotion.pk)
    assert results(promotion)["scan_clean"][0] == "pending"
