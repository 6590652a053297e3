"""Without a registry: said loudly before the training, never in its way after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client.tests.tracking.conftest import Project

BODY = """
import numpy as np
from assay.errors import Unreachable, Forbidden
AWAY = Unreachable("http://registry.test cannot be reached: refused.")
NO = Forbidden("You may not do this.", status=403)
recorder.fail = {fail}
@assay.track(model="fraud/scorer", client=recorder{options})
def train():
    print("training")
    run = assay.current_run()
    if run is not None:
        run.log_metric("loss", 0.5)
    return {{"w": np.zeros(2)}}
print(sorted(train()))
"""


def test_by_default_it_is_refused_before_any_work(project: Project) -> None:
    told = project.train(BODY.format(fail="{'create_run': AWAY}", options=""), fails=True)
    assert "training" not in told.output
    assert "cannot be reached" in told.errors


@pytest.mark.parametrize("options", [", on_unreachable='warn'", ""])
def test_with_warn_the_training_goes_on_and_nothing_is_recorded(project: Project, options: str) -> None:
    if not options:
        project.environment["ASSAY_ON_UNREACHABLE"] = "warn"
    told = project.train(BODY.format(fail="{'create_run': AWAY}", options=options))
    assert told.output.split() == ["training", "['w']"]
    assert told.errors.startswith(
        "assay: registry not reachable, training goes on, nothing will be recorded\n"
    )
    assert [name for name, _ in told.calls] == ["create_run"]


def test_a_refusal_raises_before_any_work_also_with_warn(project: Project) -> None:
    told = project.train(
        BODY.format(fail="{'create_run': NO}", options=", on_unreachable='warn'"), fails=True
    )
    assert "training" not in told.output
    assert "You may not do this." in told.errors


def test_a_registry_that_goes_away_loses_nothing(project: Project, tmp_path: Path) -> None:
    fail = "{name: AWAY for name in ('log_run', 'log_datasets', 'update_run', 'push')}"
    told = project.train(BODY.format(fail=fail, options=""))
    assert told.output.split() == ["training", "['w']"]
    kept = tmp_path / "state" / "assay" / "unsent" / "5f0c7a52-0000-4000-8000-000000000001"
    record = json.loads((kept / "record.json").read_text())
    assert [metric["key"] for metric in record["metrics"]] == ["loss"]
    assert record["finish"]["status"] == "finished"
    assert [model["name"] for model in record["models"]] == ["fraud/scorer"]
    assert (kept / record["models"][0]["files"] / "model.safetensors").is_file()
    assert str(kept) in told.errors


@pytest.mark.parametrize("call", ["log_run", "push", "update_run"])
def test_a_refusal_at_the_end_is_said_and_does_not_raise(project: Project, call: str) -> None:
    told = project.train(BODY.format(fail=f"{{{call!r}: NO}}", options=""))
    assert told.output.split() == ["training", "['w']"]
    assert "You may not do this." in told.errors
    if call == "log_run":
        assert told.state == "incomplete"


def test_the_training_is_not_made_to_wait_at_every_step(project: Project) -> None:
    body = """
from assay.errors import Unreachable
recorder.fail = {'log_run': Unreachable('away')}
with assay.run(namespace='fraud', client=recorder) as run:
    for step in range(3000):
        run.log_metric('loss', step)
    before = len([name for name, _ in recorder.calls if name == 'log_run'])
    recorder.fail = {}
    print(before)
"""
    told = project.train(body)
    assert told.output.strip() == "1"


def test_no_server_known_at_all(project: Project) -> None:
    body = "@assay.track(model='fraud/scorer', on_unreachable='warn')\ndef train():\n    print('training')\ntrain()\n"
    told = project.train(body)
    assert told.output.strip() == "training"
    assert "nothing will be recorded" in told.errors
