"""What gates keep beside their sentence: an approval is bound to it, and an auditor reads it years later."""

from __future__ import annotations

import hashlib
from typing import Any

from lifecycle.actions.incidents import open_incident
from lifecycle.actions.policies import report_check
from lifecycle.models import CheckReport, Incident
from registry.artifacts.scanning import SCANNER
from registry.models import Evaluation, ModelVersion, ScanReport
from tests.cast import Cast
from tests.factories import HELD_OUT, TRAINING, evaluate, fresh, promotion_at, ready_version
from tests.lifecycle.gates.asking import ask


def measured(cast: Cast, version: ModelVersion, value: float) -> dict[str, Any]:
    """The one measurement of a version, as it is kept."""
    return {
        "metric": "accuracy",
        "value": value,
        "dataset": "held-out.csv",
        "dataset_digest": HELD_OUT,
        "split": "test",
        "evaluation": str(Evaluation.objects.get(version=version).pk),
        "by": cast.user("ci").username,
    }


def test_of_measurements(cast: Cast) -> None:
    incumbent = promotion_at(cast, "applied", value=0.9).version
    version = ready_version(cast)
    evaluate(cast, version, 0.8, low=0.75, high=0.85)
    mine = {**measured(cast, version, 0.8), "low": 0.75, "high": 0.85}

    found = ask(cast, version, "metric_at_least", metric="accuracy", bound=0.7)
    assert (found.verdict, found.evidence) == ("pass", {**mine, "bound": 0.7})

    found = ask(cast, version, "no_regression", incumbent, metric="accuracy")
    production = {**measured(cast, incumbent, 0.9), "version": str(incumbent.pk)}
    assert found.verdict == "fail"
    assert found.evidence.items() >= {"mine": mine, "production": production}.items()

    found = ask(cast, version, "evaluated_on")
    trained_on = hashlib.sha256(TRAINING.encode()).hexdigest()
    wanted = {"dataset_digest": HELD_OUT, "evaluation": mine["evaluation"], "trained_on": trained_on}
    assert (found.verdict, found.evidence) == ("pass", wanted)


def test_of_what_cannot_be_compared(cast: Cast) -> None:
    incumbent = promotion_at(cast, "applied", value=0.9).version
    version = ready_version(cast)
    evaluate(cast, version, 0.8, digest=TRAINING)
    mine = {**measured(cast, version, 0.8), "dataset_digest": TRAINING}

    found = ask(cast, version, "no_regression", incumbent, metric="accuracy")
    assert found.verdict == "pending"
    assert found.evidence.items() >= {"mine": mine, "production": str(incumbent.pk)}.items()

    found = ask(cast, version, "evaluated_on")
    assert (found.verdict, found.evidence) == ("fail", {"evaluations": [mine["evaluation"]]})


def test_of_slices(cast: Cast) -> None:
    first = ready_version(cast)
    evaluate(cast, first, 0.9, part="country = DE")
    version = ready_version(cast)
    evaluate(cast, version, 0.95, part="country = DE")
    pair = {
        "slice": "country = DE",
        "mine": measured(cast, version, 0.95),
        "production": measured(cast, first, 0.9),
    }

    found = ask(cast, version, "slices_not_worse", first, metric="accuracy")
    assert found.verdict == "pass"
    (compared,) = found.evidence["compared"]
    assert compared.items() >= pair.items()
    assert found.evidence["production"] == str(first.pk)

    found = ask(cast, version, "slices_not_worse", first, metric="accuracy", slices=["country = PT"])
    assert (found.verdict, found.evidence) == ("fail", {"missing": ["country = PT"]})
    found = ask(cast, ready_version(cast), "slices_not_worse", first, metric="accuracy")
    assert (found.verdict, found.evidence) == ("fail", {"production": str(first.pk)})


def test_of_what_stands_behind_it(cast: Cast) -> None:
    version = ready_version(cast)
    bytes_read = {"digest": f"sha256:{version.manifest.digest}", "files": 1, "size": 100, "wrong": []}
    assert ask(cast, version, "integrity_verified").evidence == bytes_read
    assert ask(cast, version, "lineage_complete").evidence == {"state": "complete", "missing": []}

    report_check(version=version, name="smoke", passed=True, by=cast.principal("ci"))
    reported = {
        "report": str(CheckReport.objects.get(version=version).pk),
        "by": cast.user("ci").username,
        "passed": True,
    }
    assert ask(cast, version, "external_check", name="smoke").evidence == reported

    assert ask(cast, version, "no_open_incident").evidence == {"open": []}
    open_incident(
        model=version.model, version=version, severity="low", title="Odd scores.", by=cast.principal("ben")
    )
    opened = [str(Incident.objects.get(version=version).pk)]
    assert ask(cast, version, "no_open_incident").evidence == {"open": opened}


def test_of_what_is_inside(cast: Cast) -> None:
    version = ready_version(cast)
    blob = version.manifest.artifacts.get().blob
    finding = {"name": "os.system", "verdict": "suspicious", "where": "", "what": "GLOBAL imports os.system"}
    ScanReport.objects.create(
        blob=blob, scanner=SCANNER, format="pickle", verdict="suspicious", findings=[finding]
    )
    flagged = [{"path": "model.skops", "sha256": blob.pk, "verdict": "suspicious", "names": ["os.system"]}]
    found = ask(cast, fresh(version), "scan_clean")
    assert found.evidence == {"scanner": SCANNER, "files": 1, "flagged": flagged}


def test_of_a_card_and_of_tags(cast: Cast) -> None:
    version = ready_version(cast)
    found = ask(cast, version, "card_complete", sections=["Limits"])
    assert found.evidence.items() >= {"absent": ["Limits"], "short": [], "missing": []}.items()
    found = ask(cast, version, "metadata_valid", version={"ticket": ""})
    wrong = [f"{version.reference} has no tag ticket"]
    assert found.evidence == {"version": {"ticket": None}, "model": {}, "wrong": wrong}
