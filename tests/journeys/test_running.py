"""What runs where, by the command line: deployed, drifted, rolled back, and told for any time; and how fast that is."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

import assay
from tests.cast import Cast
from tests.conftest import Live
from tests.figures import print_figure
from tests.journeys.conftest import Run
from tests.journeys.test_command_line import promoted, published

pytestmark = pytest.mark.django_db(transaction=True)
OTHER = "sha256:" + "7" * 64


def folded(text: str) -> str:
    return " ".join(text.split())


def test_a_rollback_and_what_ran_meanwhile(run: Run, cast: Cast, live: Live, tmp_path: Path) -> None:
    model = f"{cast.namespace.name}/card"
    first = published(run, cast, live, tmp_path / "one", "a", 3, "0.91")
    promoted(run, first)
    told = folded(run("cora", 0, "deployed", model, "--target", "eu-1", "--every", "60").stdout)
    assert told.startswith(f"eu-1 runs {first} since")
    assert told.endswith("as approved.")
    assert "deployment.report" in run("ben", 1, "deployed", first, "--target", "eu-1").stderr

    second = published(run, cast, live, tmp_path / "two", "b", 5, "0.94")
    promoted(run, second)
    behind = folded(run("cora", 0, "deployed", first, "--target", "eu-1").stdout)
    assert "That is not what is in production." in behind
    run("cora", 0, "deployed", second, "--target", "eu-1")
    wrong = folded(run("cora", 0, "deployed", second, "--target", "us-1", "--digest", OTHER).stdout)
    assert f"us-1 says that it runs {second}, but its bytes are sha256:777777777777…" in wrong
    shown = folded(run("vera", 0, "show", second).stdout)
    assert "runs at eu-1 since" in shown
    assert "us-1 says that it runs" in shown
    between = datetime.now(UTC).isoformat()

    began = time.monotonic()
    run("cora", 0, "rollback", model, "-r", "Complaints since noon.")
    with assay.Client(live.url, cast.token("vera")) as vera:
        digest, answered = vera.version(f"{model}@production"), time.monotonic() - began
    assert digest["reference"] == first
    print_figure("rollback_2_kb_to_alias", ours=round(answered, 3), unit="s", n=1, reference=5.0)

    now = folded(run("vera", 0, "production", model).stdout)
    assert f"{first} is in production since" in now
    assert "rolled back by" in now
    assert f"eu-1 runs {second}" in now
    then = json.loads(run("otto", 0, "production", model, "--at", between, "--json").stdout)
    assert then["version"]["reference"] == second
    assert [each["reason"] for each in then["approved_by"]] == ["Evidence read."]
    assert {each["target"]: each["drift"] for each in then["running"]} == {
        "eu-1": [],
        "us-1": ["other_bytes"],
    }

    done = run("cora", 0, "undeployed", model, "--target", "us-1", "-r", "Taken off the net.").stdout
    assert folded(done) == f"{model} does not run at us-1 any more."
    assert "was ever reported to run" in folded(run("cora", 1, "undeployed", model, "-t", "moon").stderr)
    run("cora", 0, "suspend", first, "-r", "Incident.")
    assert f"Nothing of {model} is in production since" in folded(run("vera", 0, "production", model).stdout)
    run("cora", 0, "deployed", first, "--target", "eu-1")
    loud = folded(run("vera", 0, "show", first).stdout)
    assert f"eu-1 still runs {first}, which was suspended by" in loud
    log = folded(run("otto", 0, "log", cast.namespace.name, "--type", "deployment.drifted").stdout)
    assert f"{model} at us-1: us-1 says that it runs" in log
