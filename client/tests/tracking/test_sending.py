"""The outbox of a run: batches, refusals, numbers that JSON cannot write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assay.errors import Invalid, Unreachable
from assay.tracking.sending import BATCH, Sender
from client.tests.tracking.recorder import Recorder


class Picky(Recorder):
    """Refuses a batch that holds the parameter `bad`, as the server refuses a whole call."""

    def log_run(
        self,
        run_id: str,
        *,
        parameters: Mapping[str, str] | None = None,
        metrics: Sequence[Mapping[str, Any]] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        if parameters and "bad" in parameters:
            raise Invalid("The parameter bad is refused.", status=422)
        super().log_run(run_id, parameters=parameters, metrics=metrics, tags=tags)


def test_one_refused_entry_does_not_take_others_along() -> None:
    picky = Picky()
    sender = Sender(picky, "1")
    for key in ("a", "bad", "z"):
        sender.parameter(key, "1")
    sender.metric("loss", 0.5, 0, 1)
    sender.tag("team", "risk")
    assert sender.flush()
    assert (set(picky.parameters), len(picky.metrics), picky.tags) == ({"a", "z"}, 1, {"team": "risk"})
    assert sender.refused == ["The parameter bad is refused."]


def test_large_batches_are_parted() -> None:
    recorder = Recorder()
    sender = Sender(recorder, "1")
    for step in range(2 * BATCH + 1):
        sender.metric("loss", 0.5, step, 1)
    assert sender.flush()
    assert [len(facts["metrics"]) for _, facts in recorder.calls] == [BATCH, BATCH, 1]


def test_what_is_not_finite_is_sent_by_name() -> None:
    recorder = Recorder()
    sender = Sender(recorder, "1")
    for step, value in enumerate((float("nan"), float("inf"), float("-inf"))):
        sender.metric("loss", value, step, 1)
    assert sender.flush()
    assert [metric["value"] for metric in recorder.metrics] == ["NaN", "Infinity", "-Infinity"]


def test_what_could_not_be_sent_is_sent_later_and_once() -> None:
    recorder = Recorder({"log_run": Unreachable("away")})
    sender = Sender(recorder, "1")
    sender.metric("loss", 0.5, 0, 1)
    assert not sender.flush()
    recorder.fail.clear()
    recorder.calls.clear()
    assert sender.flush()
    assert sender.flush()
    assert len(recorder.metrics) == 1
