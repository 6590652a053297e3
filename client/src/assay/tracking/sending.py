"""Sends what a run logs, in batches, and keeps what could not be sent. Nothing here raises after a run has begun."""

from __future__ import annotations

import functools
import json
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from assay.answers import Attachment, Run, Version
from assay.errors import AssayError, ServerFault, TooManyRequests, Unreachable
from assay.tracking.datasets import Use

T = TypeVar("T")

# The file of a diff, as it is kept here and with a version.
CHANGES = "changes.diff"
BATCH = 500
SECONDS_BETWEEN = 5.0
# While the registry is away the training is not made to wait for it at every step.
SECONDS_AFTER_FAILURE = 60.0
LONGEST_KEY = 250
_MOST_KEPT = 1_000_000
# Numbers that JSON cannot write, by name.
_UNWRITABLE = {math.inf: "Infinity", -math.inf: "-Infinity"}


class Registry(Protocol):
    """The calls of `assay.Client` that tracking makes."""

    url: str

    def create_run(self, namespace: str, *, idempotency_key: str | None = None, **facts: Any) -> Run: ...

    def update_run(self, run_id: str, **facts: Any) -> Run: ...

    def log_run(
        self,
        run_id: str,
        *,
        parameters: Mapping[str, str] | None = None,
        metrics: Sequence[Mapping[str, Any]] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None: ...

    def log_datasets(self, run_id: str, datasets: Sequence[Mapping[str, Any]]) -> None: ...

    def record_steps(self, namespace: str, **facts: Any) -> dict[str, Any]: ...

    def attach(
        self, ref: str, path: str | os.PathLike[str], *, kind: str, name: str | None = None
    ) -> Attachment: ...

    def push(  # noqa: PLR0913 - as the client has it
        self,
        path: str | os.PathLike[str],
        model: str,
        *,
        run: str | None = None,
        tags: Mapping[str, str] | None = None,
        description: str = "",
        format: str | None = None,
        schema: object = None,
        base: Sequence[str] = (),
        wait: bool = True,
        timeout: float = 900.0,
    ) -> Version: ...


def is_away(error: BaseException) -> bool:
    """Whether the registry may answer later. A refusal is an answer."""
    return isinstance(error, Unreachable | ServerFault | TooManyRequests)


class Sender:
    """The outbox of one run. With `create`, the facts of a run that could not be created yet, it is created first."""

    def __init__(self, client: Registry, run_id: str, create: Mapping[str, Any] | None = None) -> None:
        self._client = client
        self.run = run_id
        self.folder = run_id
        self._create = dict(create or {})
        self._lock = threading.RLock()
        self._parameters: dict[str, str] = {}
        self._metrics: list[dict[str, Any]] = []
        self._tags: dict[str, str] = {}
        self._datasets: list[dict[str, Any]] = []
        self._steps: list[dict[str, Any]] = []
        self._finish: dict[str, Any] = {}
        self._models: list[dict[str, Any]] = []
        self._not_before = time.monotonic() + SECONDS_BETWEEN
        self.refused: list[str] = []
        self.away: str = ""

    @property
    def created(self) -> bool:
        """Whether the registry knows the run."""
        return not self._create

    def parameter(self, key: str, value: str) -> None:
        with self._lock:
            self._parameters[key[:LONGEST_KEY]] = value

    def metric(self, key: str, value: float, step: int, timestamp: int) -> None:
        with self._lock:
            if len(self._metrics) < _MOST_KEPT:
                self._metrics.append(
                    {"key": key[:LONGEST_KEY], "value": writable(value), "step": step, "timestamp": timestamp}
                )

    def tag(self, key: str, value: str) -> None:
        with self._lock:
            self._tags[key[:LONGEST_KEY]] = value

    def datasets(self, uses: Sequence[Use]) -> None:
        with self._lock:
            self._datasets.extend(use.facts() for use in uses)

    def steps(self, calls: Sequence[dict[str, Any]]) -> None:
        """What other tools made of what the run read: told before the datasets that name it."""
        with self._lock:
            self._steps.extend(calls)

    def flush_if_due(self) -> None:
        now = time.monotonic()
        with self._lock:
            if now < self._not_before and len(self._metrics) < BATCH:
                return
            if self.away and now < self._not_before:
                return
            self.flush()

    def flush(self) -> bool:
        """Send what waits. False when some of it still waits."""
        with self._lock:
            self.away = ""
            if self._create and self._send(self._begin) and self._create:
                # refused: there is no run to which anything could be sent
                self.away = self.refused[-1] if self.refused else "the run could not be created"
            while not self.away and (self._parameters or self._metrics or self._tags):
                parameters = dict(list(self._parameters.items())[:BATCH])
                metrics, tags = self._metrics[:BATCH], dict(list(self._tags.items())[:BATCH])
                if self._log(parameters, metrics, tags):
                    for key in parameters:
                        del self._parameters[key]
                    for key in tags:
                        del self._tags[key]
                    del self._metrics[: len(metrics)]
            while not self.away and self._steps:
                call = self._steps[0]
                if self._send(lambda: self._client.record_steps(**call)):  # noqa: B023 - called at once
                    del self._steps[0]
            while not self.away and self._datasets:
                some = self._datasets[:BATCH]
                if self._send(lambda: self._client.log_datasets(self.run, some)):  # noqa: B023 - called at once
                    del self._datasets[: len(some)]
            self._not_before = time.monotonic() + (SECONDS_AFTER_FAILURE if self.away else SECONDS_BETWEEN)
            return not self.away

    def finish(self, facts: dict[str, Any]) -> bool:
        """Send what waits and how the run ended. False when the registry is away."""
        with self._lock:
            self._finish = facts
            if self.flush() and self._send(lambda: self._client.update_run(self.run, **facts)):
                self._finish = {}
            return not self.away

    def keep(
        self, model: Path | None = None, facts: Mapping[str, Any] | None = None, changes: str = ""
    ) -> Path | None:
        """Write what could not be sent where it is found again, and copy a model's files and a diff there.

        Answers the folder, of the model if one is given; None when that fails too.
        """
        try:
            folder = unsent_folder() / self.folder
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            target = folder
            if model is not None:
                target = folder / f"model-{len(self._models) + 1}"
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(model, target) if model.is_dir() else _copy(model, target)
                self._models.append({**(facts or {}), "files": target.name, "single": not model.is_dir()})
            if changes:
                (folder / CHANGES).write_text(changes, encoding="utf-8")
            record = {
                "run": self.run, "server": self._client.url, "create": self._create,
                "parameters": self._parameters, "metrics": self._metrics,
                "tags": self._tags, "steps": self._steps, "datasets": self._datasets, "finish": self._finish,
                "models": self._models,
            }  # fmt: skip
            (folder / "record.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        except OSError:
            return None
        return target

    def _begin(self) -> None:
        self.run = str(self._client.create_run(**self._create)["id"])
        self._create = {}

    def _log(self, parameters: dict[str, str], metrics: list[dict[str, Any]], tags: dict[str, str]) -> bool:
        """Send a batch; one that is refused is sent in its parts, so that one bad entry does not take others along."""
        refused = len(self.refused)
        done = self._send(
            lambda: self._client.log_run(self.run, parameters=parameters, metrics=metrics, tags=tags)
        )
        if done and len(self.refused) > refused and len(parameters) + bool(metrics) + bool(tags) > 1:
            del self.refused[refused:]
            parts: list[Callable[[], Any]] = [
                functools.partial(self._client.log_run, self.run, parameters={key: value})
                for key, value in parameters.items()
            ]
            if metrics:
                parts.append(functools.partial(self._client.log_run, self.run, metrics=metrics))
            if tags:
                parts.append(functools.partial(self._client.log_run, self.run, tags=tags))
            return all(self._send(part) for part in parts)
        return done

    def _send(self, call: Callable[[], Any]) -> bool:
        """True when it is done with, sent or refused; `away` is set when it is to be tried again."""
        try:
            call()
        except AssayError as error:
            if is_away(error):
                self.away = error.sentence
                return False
            self.refused.append(error.sentence)
        except Exception as error:  # noqa: BLE001 - a bug in sending must not end the training
            self.refused.append(f"{type(error).__name__}: {error}")
        return True


def writable(value: float) -> float | str:
    """A number as JSON can write it."""
    return value if math.isfinite(value) else _UNWRITABLE.get(value, "NaN")


def unsent_folder() -> Path:
    """`$XDG_STATE_HOME/assay/unsent`, by default under `~/.local/state`."""
    home = os.environ.get("XDG_STATE_HOME", "")
    state = Path(home) if os.path.isabs(home) else Path.home() / ".local" / "state"
    return state / "assay" / "unsent"


def _copy(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, folder / file.name)
