"""Sends what was kept when the registry was away: the run, what it logged, how it ended, its models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.errors import AssayError, ReferenceInvalid
from assay.tracking.sending import BATCH, CHANGES, Registry, is_away, unsent_folder

RECORD = "record.json"


@dataclass(frozen=True)
class Sent:
    """What came of one kept record. `problem` is empty when all of it was sent, and its folder is gone then."""

    folder: Path
    run: str
    versions: tuple[str, ...] = ()
    problem: str = ""


def kept_folders() -> list[Path]:
    """The folders of kept records, the oldest first."""
    try:
        found = [folder for folder in unsent_folder().iterdir() if (folder / RECORD).is_file()]
    except OSError:
        return []
    return sorted(found, key=lambda folder: (folder / RECORD).stat().st_mtime)


def server_of(folder: Path) -> str:
    """The registry that a record was made for. Raises OSError, ValueError."""
    return str(json.loads((folder / RECORD).read_text(encoding="utf-8"))["server"])


def send(client: Registry, folders: list[Path]) -> Iterator[Sent]:
    """Send each; one that fails keeps the others from nothing. What was sent is taken off its record at once."""
    for folder in folders:
        yield _Record(client, folder).send()


class _Record:
    def __init__(self, client: Registry, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._held: dict[str, Any] = {}
        self._versions: list[str] = []

    def send(self) -> Sent:
        try:
            self._held = json.loads((self._folder / RECORD).read_text(encoding="utf-8"))
            self._send()
        except (AssayError, OSError, ValueError, KeyError) as error:
            away = isinstance(error, AssayError) and is_away(error)
            words = error.sentence if isinstance(error, AssayError) else f"{type(error).__name__}: {error}"
            problem = f"not reachable: {words}" if away else words
            return Sent(self._folder, str(self._held.get("run", "")), tuple(self._versions), problem)
        shutil.rmtree(self._folder, ignore_errors=True)
        return Sent(self._folder, self._held["run"], tuple(self._versions))

    def _send(self) -> None:
        held, client = self._held, self._client
        if held.get("create"):
            held["run"] = str(client.create_run(**held["create"])["id"])
            self._done("create")
        run = held["run"]
        parameters, metrics, tags = (
            list(held["parameters"].items()),
            held["metrics"],
            list(held["tags"].items()),
        )
        # all of it may be said again: the registry takes the same for the same
        for at in range(0, max(len(parameters), len(metrics), len(tags)), BATCH):
            client.log_run(
                run, parameters=dict(parameters[at : at + BATCH]), metrics=metrics[at : at + BATCH],
                tags=dict(tags[at : at + BATCH]),
            )  # fmt: skip
        for name in ("parameters", "metrics", "tags"):
            self._done(name)
        for call in held.get("steps", []):
            client.record_steps(**call)
        for at in range(0, len(held["datasets"]), BATCH):
            client.log_datasets(run, held["datasets"][at : at + BATCH])
        self._done("datasets")
        if held["finish"]:
            client.update_run(run, **held["finish"])
            self._done("finish")
        while held["models"]:
            self._push(held["models"][0])
            held["models"].pop(0)
            self._write()

    def _push(self, model: dict[str, Any]) -> None:
        path = self._folder / model["files"]
        if path.is_dir() and model.get("single"):
            (path,) = path.iterdir()
        elif not path.is_dir():
            raise ReferenceInvalid(f"The files of {model['name']} are not in {self._folder} any more.")
        version = self._client.push(
            path, model["name"], run=self._held["run"], tags=model["tags"], description=model["description"],
            format=model["format"], schema=model["schema"], base=model["base"],
        )  # fmt: skip
        self._versions.append(version["reference"])
        if (self._folder / CHANGES).is_file():
            self._client.attach(version["reference"], self._folder / CHANGES, kind="code_diff")

    def _done(self, name: str) -> None:
        self._held[name] = type(self._held[name])()
        self._write()

    def _write(self) -> None:
        file = self._folder / f"{RECORD}.new"
        file.write_text(json.dumps(self._held, indent=2), encoding="utf-8")
        file.replace(self._folder / RECORD)
