"""Measured example by example, approved with a document, validated again: by the command line alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.cast import Cast
from tests.conftest import Live
from tests.factories import HELD_OUT, evaluate, promotion_at, ready_version, simple_policy
from tests.journeys.conftest import Run
from tests.lifecycle.validating import REPORT, yearly


@pytest.mark.django_db(transaction=True)
def test_it_works(run: Run, cast: Cast, live: Live, tmp_path: Path) -> None:
    simple_policy(cast, "production", [{"gate": "no_regression", "parameters": {"metric": "accuracy"}}])
    first = promotion_at(cast, "applied", value=0.9).version
    yearly(cast)
    report, paper = tmp_path / "report.json", tmp_path / "validation.pdf"
    report.write_text(json.dumps(REPORT))
    paper.write_bytes(b"%PDF-1.7 what was found")
    digest = hashlib.sha256(paper.read_bytes()).hexdigest()

    # Validated again, with a document, by who did not make it.
    written = ("--report", str(report), "--attach", str(paper))
    run("ben", 1, "revalidate", first.reference, "valid", *written)
    said = run("cora", 0, "revalidate", first.reference, "valid", *written).stdout
    assert f"{first.reference}: valid, by {cast.user('cora').username}" in said
    assert "Fewer cases from Portugal." in said
    assert f"with validation.pdf (23 bytes, sha256:{digest[:12]}…)" in said, said
    assert "its next validation" in " ".join(said.split())
    shown = " ".join(run("vera", 0, "show", first.reference).stdout.split())
    assert "last found valid on" in shown

    # Measured example by example.
    simple_policy(cast, "production", [{"gate": "no_regression", "parameters": {"metric": "accuracy"}}])
    version = ready_version(cast)
    evaluate(cast, version, 0.95)
    for ref, wrong in ((first.reference, 10), (version.reference, 4)):
        results = tmp_path / "results.csv"
        rows = [f"case-{n},{int(n >= wrong)}" for n in range(100)]
        results.write_text("\n".join(["id,value", *rows]))
        metric = ("-m", f"accuracy={1 - wrong / 100}", "--examples", f"accuracy={results}")
        run("ci", 0, "evaluate", ref, "--dataset", "held-out.csv", "--digest", HELD_OUT, *metric)
    run("eve", 0, "promote", version.reference, "staging", "-r", "Candidate.")
    asked = json.loads(
        run("eve", 0, "promote", version.reference, "production", "-r", "Better.", "--json").stdout
    )
    assert asked["state"] == "awaiting_approval", asked
    told = " ".join(run("cora", 0, "promotion", asked["id"]).stdout.split())
    assert "accuracy rose by 0.06 (95% interval 0.02 to 0.11, paired over 100 examples)" in told

    # Approved with a report and its document.
    assert run("cora", 2, "approve", asked["id"], "--attach", str(paper)).exit_code == 2
    done = run("cora", 0, "approve", asked["id"], "-r", "Read.", *written).stdout
    assert f"with validation.pdf (23 bytes, sha256:{digest[:12]}…)" in done
