"""A run that is done over: what its code tells the registry is written to a folder, and nothing is registered.

`assay reproduce --run` names the folder in ASSAY_REPRODUCE. Each run is a folder in it with `record.json`; the models
that it registers are copied beside that.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from assay.answers import Attachment, Run, Version
from assay.digest import ManifestEntry, manifest_digest, scan, sha256_file

VARIABLE = "ASSAY_REPRODUCE"
RECORD = "record.json"


def registry() -> Rehearsal | None:
    """What takes the registry's place; None when nothing is done over."""
    folder = os.environ.get(VARIABLE, "")
    return Rehearsal(Path(folder)) if folder else None


def digest_of(path: Path) -> str:
    """The digest that a file or folder would have as a version. Raises PathRefused, OSError."""
    entries = [
        ManifestEntry(path=file.path, size=file.size, sha256=sha256_file(file.source)) for file in scan(path)
    ]
    return manifest_digest(entries)


class Rehearsal:
    """Answers like the client, as far as a run asks it."""

    url = "the folder of a reproduction"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: dict[str, dict[str, Any]] = {}

    def create_run(self, namespace: str, **facts: Any) -> Run:
        run = f"run-{uuid.uuid4()}"
        self._runs[run] = {
            "namespace": namespace, "entry_point": facts.get("entry_point", ""), "status": "running",
            "parameters": {}, "metrics": {}, "datasets": [], "models": [],
        }  # fmt: skip
        self._write(run)
        return cast("Run", {"id": run, "status": "running"})

    def update_run(self, run_id: str, **facts: Any) -> Run:
        self._runs[run_id] |= {key: facts[key] for key in ("status", "failure") if key in facts}
        self._write(run_id)
        return cast("Run", {"id": run_id})

    def log_run(
        self,
        run_id: str,
        *,
        parameters: Mapping[str, str] | None = None,
        metrics: Sequence[Mapping[str, Any]] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        held = self._runs[run_id]
        held["parameters"] |= dict(parameters or {})
        for metric in metrics:  # the newest stands, as in the registry
            told = [metric["step"], metric["timestamp"], metric["value"]]
            if told[:2] >= held["metrics"].get(metric["key"], told)[:2]:
                held["metrics"][metric["key"]] = told
        self._write(run_id)

    def log_datasets(self, run_id: str, datasets: Sequence[Mapping[str, Any]]) -> None:
        self._runs[run_id]["datasets"] += [dict(each) for each in datasets]
        self._write(run_id)

    def record_steps(self, namespace: str, **facts: Any) -> dict[str, Any]:
        return {"runs": {}, "new": {}}

    def attach(
        self, ref: str, path: str | os.PathLike[str], *, kind: str, name: str | None = None
    ) -> Attachment:
        return cast("Attachment", {"kind": kind})

    def push(
        self, path: str | os.PathLike[str], model: str, *, run: str | None = None, **facts: Any
    ) -> Version:
        digest = digest_of(Path(path))
        if run in self._runs:
            held = self._runs[run]
            target = self._folder / run / f"model-{len(held['models']) + 1}"
            target.mkdir(parents=True)
            if Path(path).is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True)
            else:
                shutil.copy2(path, target)
            held["models"].append({"name": model, "digest": digest, "files": str(target)})
            self._write(run)
        return cast("Version", {"reference": f"{model} (here only)", "digest": digest, "completeness": None})

    def _write(self, run: str) -> None:
        folder = self._folder / run
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD).write_text(json.dumps(self._runs[run], indent=2), encoding="utf-8")
