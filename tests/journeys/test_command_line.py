"""The main job by the command line alone: train, publish, evaluate, promote, approve, compare, roll back."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import assay
from tests.cast import Cast
from tests.conftest import Live
from tests.journeys.conftest import Run

pytestmark = pytest.mark.django_db(transaction=True)
HELD_OUT = "sha256:" + "5e" * 32


def trained(cast: Cast, live: Live, folder: Path, commit: str, depth: int) -> str:
    """A finished run of ben's that read data, and a model in `folder`; the run's id."""
    with assay.Client(live.url, cast.token("ben")) as ben:
        now = datetime.now(UTC).isoformat()
        facts: dict[str, Any] = {
            "entry_point": "train.py",
            "command": ["python", "train.py"],
            "code": {"commit": commit * 40, "remote": "", "branch": "main", "dirty": False},
            "environment": {"python": "3.11", "packages": {"scikit-learn": "1.7.2"}},
        }
        run = ben.create_run(cast.namespace.name, experiment="card", started_at=now, **facts)
        ben.log_run(run["id"], parameters={"depth": str(depth)})
        data = {"name": "train.csv", "digest": "sha256:" + "da" * 32, "role": "input", "context": "training"}
        ben.log_datasets(run["id"], [data])
        ben.update_run(run["id"], status="finished", ended_at=now, capture={"state": "complete", "notes": []})
    folder.mkdir()
    (folder / "model.skops").write_bytes(os.urandom(2000))
    return run["id"]


def published(run: Run, cast: Cast, live: Live, folder: Path, commit: str, depth: int, accuracy: str) -> str:
    """A version with an evaluation and a check by ci, in staging."""
    model = f"{cast.namespace.name}/card"
    made_by = trained(cast, live, folder, commit, depth)
    pushed = run("ben", 0, "push", str(folder), model, "--run", made_by, "--format", "skops", "--json")
    reference = str(json.loads(pushed.stdout)["reference"])
    measured = ("--dataset", "holdout", "--digest", HELD_OUT, "-m", f"accuracy={accuracy}")
    run("ci", 0, "evaluate", reference, *measured)
    run("ci", 0, "check", reference, "integration", "pass", "-s", "42 of 42 requests answered.")
    assert "entered staging" in run("eve", 0, "promote", reference, "staging", "-r", "Candidate.").stdout
    return reference


def promoted(run: Run, reference: str) -> Result:
    """Into production, by eve's request and cora's approval."""
    asked = run("eve", 0, "promote", reference, "production", "-r", "Better.", "--json")
    promotion = json.loads(asked.stdout)
    assert promotion["state"] == "awaiting_approval"
    assert promotion["id"] in run("cora", 0, "promotions", "--state", "awaiting_approval").stdout
    run("eve", 1, "approve", promotion["id"])
    return run("cora", 0, "approve", promotion["id"], "--reason", "Evidence read.")


def test_the_main_job(run: Run, cast: Cast, live: Live, tmp_path: Path) -> None:
    model = f"{cast.namespace.name}/card"
    first = published(run, cast, live, tmp_path / "one", "a", 3, "0.91")
    assert f"{first} entered production." in promoted(run, first).stdout
    assert first in run("vera", 0, "show", model).stdout

    second = published(run, cast, live, tmp_path / "two", "b", 5, "0.94")
    assert f"{second} entered production" in promoted(run, second).stdout
    why = " ".join(run("vera", 0, "why", first, second).stdout.split())
    assert "parameters" in why
    assert "+0.03" in why
    assert "train.csv" in run("vera", 0, "trace", second).stdout
    assert second in run("vera", 0, "search", "stage = production and metric.accuracy >= 0.93").stdout
    compared = run("vera", 0, "compare", first, second).stdout
    assert "0.91" in compared
    assert "0.94" in compared

    worse = published(run, cast, live, tmp_path / "three", "c", 9, "0.85")
    refused = run("eve", 1, "promote", worse, "production", "-r", "Try.").stdout
    assert "1 of " in refused
    assert "no_regression" in refused
    assert "0.85" in refused

    rolled = " ".join(run("cora", 0, "rollback", model, "-r", "Complaints since noon.").stdout.split())
    assert f"{first} entered production in place of {second}" in rolled
    assert first in run("vera", 0, "show", model).stdout
    assert "is in production now" in run("cora", 0, "suspend", first, "-r", "Incident.").stdout
    run("vera", 1, "show", model)
    gone = " ".join(run("eve", 0, "delete", first, "-r", "Obsolete.", "--yes").stdout.split())
    assert f"{first} is deleted. This frees" in gone
    assert "Obsolete." in run("vera", 0, "show", first).stdout
    assert "was deleted on" in run("vera", 1, "pull", first, str(tmp_path / "out")).stderr
    told = " ".join(run("otto", 0, "log", cast.namespace.name, "--limit", "100").stdout.split())
    for words in ("promotion.approved by cora", "version.suspended by cora", "Complaints since noon."):
        assert words in told


def test_what_one_may_not_is_said_with_who_may(run: Run, cast: Cast, live: Live, tmp_path: Path) -> None:
    reference = published(run, cast, live, tmp_path / "one", "a", 3, "0.91")
    refused = run("ben", 1, "promote", reference, "production", "-r", "Mine.")
    assert refused.stdout == ""
    assert "ml_engineer" in " ".join(refused.stderr.split())
    assert "Refused: " in run("mallory", 1, "show", reference).stderr
