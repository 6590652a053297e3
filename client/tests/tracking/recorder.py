"""A registry that only remembers what it was told: for the tests of what capture sends, in this process and others.

It stands in for our own client, at our own boundary; the server is met in tests/journeys/test_capture.py.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.answers import Attachment, Run, Version


class Recorder:
    """Answers like the client. `fail` maps the name of a call to the error that it raises."""

    url = "http://registry.test"

    def __init__(self, fail: Mapping[str, BaseException] | None = None) -> None:
        self.fail = dict(fail or {})
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.pushed: dict[str, str] = {}

    def create_run(self, namespace: str, **facts: Any) -> Run:
        self._note("create_run", namespace=namespace, **facts)
        return {"id": "5f0c7a52-0000-4000-8000-000000000001", "status": "running"}  # type: ignore[typeddict-item]

    def update_run(self, run_id: str, **facts: Any) -> Run:
        self._note("update_run", **facts)
        return {"id": run_id}  # type: ignore[typeddict-item]

    def log_run(
        self,
        run_id: str,
        *,
        parameters: Mapping[str, str] | None = None,
        metrics: Sequence[Mapping[str, Any]] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._note("log_run", parameters=dict(parameters or {}), metrics=list(metrics), tags=dict(tags or {}))

    def log_datasets(self, run_id: str, datasets: Sequence[Mapping[str, Any]]) -> None:
        self._note("log_datasets", datasets=list(datasets))

    def record_steps(self, namespace: str, **facts: Any) -> dict[str, Any]:
        self._note("record_steps", namespace=namespace, **facts)
        return {"runs": {}, "new": {"steps": 0, "datasets": 0, "digests": 0}}

    def push(self, path: str | os.PathLike[str], model: str, **facts: Any) -> Version:
        self._note("push", model=model, **facts)
        top = Path(path)
        files = [top] if top.is_file() else sorted(file for file in top.rglob("*") if file.is_file())
        self.pushed = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        digest = hashlib.sha256(json.dumps(self.pushed).encode()).hexdigest()
        return {"reference": f"{model}:3", "digest": f"sha256:{digest}"}  # type: ignore[typeddict-item]

    def attach(
        self, ref: str, path: str | os.PathLike[str], *, kind: str, name: str | None = None
    ) -> Attachment:
        self._note("attach", ref=ref, kind=kind, text=Path(path).read_text())
        return {"kind": kind}  # type: ignore[typeddict-item]

    def _note(self, call: str, **facts: Any) -> None:
        json.dumps(facts, allow_nan=False)  # what cannot be sent is found here
        self.calls.append((call, facts))
        if call in self.fail:
            raise self.fail[call]

    def told(self, call: str) -> dict[str, Any]:
        """The facts of the only such call."""
        (facts,) = [facts for name, facts in self.calls if name == call]
        return facts

    @property
    def parameters(self) -> dict[str, str]:
        return {
            k: v for name, facts in self.calls if name == "log_run" for k, v in facts["parameters"].items()
        }

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return [metric for name, facts in self.calls if name == "log_run" for metric in facts["metrics"]]

    @property
    def tags(self) -> dict[str, str]:
        return {k: v for name, facts in self.calls if name == "log_run" for k, v in facts["tags"].items()}

    @property
    def datasets(self) -> dict[str, dict[str, Any]]:
        listed = [use for name, facts in self.calls if name == "log_datasets" for use in facts["datasets"]]
        named = {use["name"]: use for use in listed}
        assert len(named) == len(listed), f"a dataset was sent twice: {[use['name'] for use in listed]}"
        return named

    @property
    def capture(self) -> dict[str, Any]:
        found: dict[str, Any] = self.told("update_run")["capture"]
        return found

    def record(self) -> dict[str, Any]:
        """Everything, for the test that started this process."""
        return {
            "calls": self.calls, "parameters": self.parameters, "metrics": self.metrics, "tags": self.tags,
            "datasets": self.datasets, "pushed": self.pushed,
        }  # fmt: skip
