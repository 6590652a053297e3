"""A run: the record of one execution, and what is done inside it."""

from __future__ import annotations

import contextvars
import datetime as dt
import inspect
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from assay.answers import Version
from assay.client import Client
from assay.errors import AssayError, SettingsError
from assay.tracking import configuration, entry, observe, rehearsal, report
from assay.tracking.capture import Capture
from assay.tracking.outcome import number
from assay.tracking.redaction import Redactor
from assay.tracking.registering import Wanted, register
from assay.tracking.sending import Registry, Sender, is_away

_MOST_FAILURE = 2000
_current: contextvars.ContextVar[ActiveRun | None] = contextvars.ContextVar("assay_run", default=None)


@dataclass(frozen=True)
class Ended:
    """How a run ended: finished, failed or killed, and the failure in its own words."""

    status: str
    failure: str = ""


@dataclass(frozen=True)
class Options:
    """What a run is told when it is made. `on_unreachable` is raise, warn or keep; empty: ASSAY_ON_UNREACHABLE says.

    With keep the run goes on as if it had been created, and what it says is kept on disk until it can be sent.
    """

    namespace: str
    experiment: str = "default"
    name: str = ""
    datasets: Mapping[str, Any] | Sequence[Any] = field(default_factory=dict)
    config: str | os.PathLike[str] | None = None
    data_roots: Sequence[str | os.PathLike[str]] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    on_unreachable: str = ""
    client: Registry | None = None


def run(  # noqa: PLR0913 - one keyword for each thing that may be told
    *,
    namespace: str,
    experiment: str = "default",
    name: str = "",
    datasets: Mapping[str, Any] | Sequence[Any] = (),
    config: str | os.PathLike[str] | None = None,
    data_roots: Sequence[str | os.PathLike[str]] = (),
    tags: Mapping[str, str] | None = None,
    on_unreachable: str = "",
    client: Registry | None = None,
) -> ActiveRun:
    """Record what happens inside a `with` block as a run, its provenance captured.

    The repository of the calling file, its environment, the command line and the data files read inside the block
    are captured; `config` is a file whose values become parameters. Files under `data_roots` count as data beside
    those under the repository. `datasets` names some: `{"train": "data/train.csv"}`, `{"val": (frame, "validation")}`.

    A registry that cannot be reached when the run begins raises `assay.Unreachable` before any work is done; with
    `on_unreachable="warn"`, or ASSAY_ON_UNREACHABLE=warn, a warning is printed and nothing is recorded. A refusal
    always raises then. After that nothing about the registry raises: what could not be sent is kept, and it is said
    at the end.
    """
    caller = inspect.currentframe()
    options = Options(
        namespace=namespace, experiment=experiment, name=name, datasets=datasets, config=config, data_roots=data_roots,
        tags=tags or {}, on_unreachable=on_unreachable, client=client,
    )  # fmt: skip
    return ActiveRun(options, entry.of_frame(caller.f_back if caller is not None else None))


def current_run() -> ActiveRun | None:
    """The run that the calling code is inside of."""
    return _current.get()


class ActiveRun:
    """A run while it goes on. `id` is empty when nothing is recorded; `versions` are those registered from it."""

    def __init__(self, options: Options, entered: entry.Entry) -> None:
        self._options = options
        self._entry = entered
        self._capture: Capture | None = None
        self._sender: Sender | None = None
        self._client: Registry | None = None
        self._sent_parameters: dict[str, str] = {}
        self._steps: dict[str, int] = {}
        self._token: contextvars.Token[ActiveRun | None] | None = None
        self._started = ""
        self.id = ""
        self.namespace = options.namespace
        self.experiment = options.experiment
        self.status = ""
        self.versions: list[Version] = []

    @property
    def capture_state(self) -> str:
        """complete, incomplete or unknown so far; empty when nothing is recorded."""
        return self._capture.completeness.state if self._capture is not None else ""

    @property
    def capture_notes(self) -> list[str]:
        return self._capture.completeness.notes if self._capture is not None else []

    def log_parameter(self, key: str, value: object) -> None:
        """A setting of the run; written once. Values of settings whose names say secret are not sent."""
        self.log_parameters({key: value})

    def log_parameters(self, values: Mapping[str, object]) -> None:
        """Nested mappings become dotted keys."""
        if (capture := self._going_on()) is not None:
            capture.attempt("parameters", lambda: self._add_parameters(configuration.flatten(values)))

    def log_metric(self, key: str, value: object, step: int | None = None) -> None:
        """A measurement. Without a step, the steps of a metric are counted from 0."""
        self.log_metrics({key: value}, step)

    def log_metrics(self, values: Mapping[str, object], step: int | None = None) -> None:
        if (capture := self._going_on()) is not None:
            capture.attempt("metrics", lambda: self._add_metrics(values, step))

    def set_tag(self, key: str, value: object) -> None:
        capture, sender = self._going_on(), self._sender
        if capture is not None and sender is not None:
            sender.tag(key, capture.redactor.value(key, str(value)))

    def use_dataset(self, name: str, source: object, context: str = "training") -> None:
        """Name a file or a table that the run reads. `context` is training, validation, test, or what you like."""
        self._add_dataset(name, source, context, "input")

    def log_output(self, name: str, source: object) -> None:
        """Record a file or a table that the run made, for others to read."""
        self._add_dataset(name, source, "", "output")

    def log_model(
        self,
        model: object,
        name: str,
        *,
        serializer: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        base: Sequence[str] = (),
    ) -> Version | None:
        """Register a model, or the file or folder at a path, as the next version of `namespace/model`.

        Of a run that has ended too. None when it could not be done; why is printed, and if the registry could not
        be reached, the model's files are kept where it says.
        """
        capture, sender, client = self._capture, self._sender, self._client
        if capture is None or sender is None or client is None:
            return None
        with observe.paused():
            if self._going_on() is not None:  # a version takes its provenance over when it is registered
                self._send_datasets(capture, sender)
                sender.flush()
            wanted = Wanted(name, serializer, description, tags or {}, base)
            version = register(model, wanted, client, sender, capture)
            if version is not None and self._going_on() is None:
                known = version.get("completeness") or {**capture.completeness.facts(), "missing": []}
                report.say(report.missing(known["state"], known["missing"], known["notes"]))
        if version is not None:
            self.versions.append(version)
        return version

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(error)

    def begin(self, before: Callable[[Capture], None] | None = None) -> None:
        """Create the run. Raises AssayError, see `run`. `before` adds to what is captured before it is created."""
        wanted = self._options.on_unreachable or os.environ.get("ASSAY_ON_UNREACHABLE") or "raise"
        self._started = _now()
        try:
            with observe.paused():
                capture = self._new_capture()
                if self._options.config is not None:
                    capture.take_config(self._options.config)
                if before is not None:
                    before(capture)
                client = rehearsal.registry() or self._options.client or Client()
                sender = self._create(client, capture, keep=wanted == "keep")
        except AssayError as error:
            if wanted == "warn" and (is_away(error) or isinstance(error, SettingsError)):
                report.say("assay: registry not reachable, training goes on, nothing will be recorded")
                report.say(f"  {error.sentence}")
                return
            raise
        except Exception as error:  # noqa: BLE001 - our own mistake must not keep a training from starting
            report.say("assay: capture failed, training goes on, nothing will be recorded")
            report.say(f"  {Redactor().text(f'{type(error).__name__}: {error}')}")
            return
        self.id, self.status = sender.run, "running"
        self._client, self._capture, self._sender = client, capture, sender
        capture.take_declared(self._options.datasets)
        self._add_parameters(capture.parameters, redacted=True)
        for key, value in self._options.tags.items():
            self.set_tag(key, value)
        self._token = _current.set(self)
        capture.begin()

    def stop_capture(self) -> None:
        """The training is over: what is read from here on is not its data. Calling it twice does nothing."""
        if self._capture is not None:
            self._capture.end()

    def end(
        self, error: BaseException | None = None, *, quiet: bool = False, ended: Ended | None = None
    ) -> None:
        """Finish the run, as the error or `ended` says. Never raises.

        `quiet`: a line about what was registered follows.
        """
        capture, sender = self._going_on(), self._sender
        if self._token is not None:
            _current.reset(self._token)
            self._token = None
        if capture is None or sender is None:
            return
        self.stop_capture()
        with observe.paused():
            self._send_datasets(capture, sender)
            capture.close()
            sender.flush()
            self._note_refusals(capture, sender)
            told = ended or _ended(error)
            self.status = told.status
            self.id = sender.run  # one that could not be created at first may have been since
            # a clock that was set back must not make it end before it began
            facts: dict[str, Any] = {"status": self.status, "ended_at": max(_now(), self._started)}
            facts["capture"] = capture.outcome()
            if told.failure:
                failure = capture.redactor.text(told.failure)
                facts["failure"] = failure[-_MOST_FAILURE:] if ended else failure[:_MOST_FAILURE]
            sent = sender.finish(facts)
            self._say_how_it_ended(capture, sender, sent, quiet)

    def _new_capture(self) -> Capture:
        return Capture(self._entry, self._options.data_roots)

    def _create(self, client: Registry, capture: Capture, *, keep: bool) -> Sender:
        facts: dict[str, Any] = {
            "experiment": self.experiment,
            "name": self._options.name,
            "started_at": self._started,
            **capture.facts(),
        }
        # The answer may be lost where the call was not: whoever says it again, says it with the same key.
        key = str(uuid.uuid4())
        try:
            return Sender(client, str(client.create_run(self.namespace, idempotency_key=key, **facts)["id"]))
        except AssayError as error:
            if not (keep and is_away(error)):
                raise
            report.say(
                f"assay: registry not reachable, training goes on, the record is kept: {error.sentence}"
            )
            create = {"namespace": self.namespace, "idempotency_key": key, **facts}
            return Sender(client, f"local-{key}", create)

    def _going_on(self) -> Capture | None:
        return self._capture if self.status == "running" else None

    def _add_parameters(self, values: Mapping[str, str], *, redacted: bool = False) -> None:
        capture, sender = self._capture, self._sender
        if capture is None or sender is None:
            return
        for key, value in values.items():
            shown = value if redacted else capture.redactor.value(key, value)
            before = self._sent_parameters.setdefault(key, shown)
            if before is shown:
                sender.parameter(key, shown)
            elif before != shown:
                capture.completeness.incomplete(
                    f"The parameter `{key}` was set again to another value; the first is kept."
                )
        sender.flush_if_due()

    def _add_metrics(self, values: Mapping[str, object], step: int | None) -> None:
        capture, sender = self._capture, self._sender
        if capture is None or sender is None:
            return
        redactor = capture.redactor
        at = time.time_ns() // 1_000_000
        for key, value in values.items():
            found = number(value)
            if found is None:
                raise TypeError(f"the metric {key} is a {type(value).__name__}, not a number")
            taken = self._steps.get(key, 0) if step is None else step
            self._steps[key] = taken + 1
            sender.metric(redactor.text(key), found, taken, at)
        with observe.paused():
            sender.flush_if_due()

    def _add_dataset(self, name: str, source: object, context: str, role: str) -> None:
        capture = self._going_on()
        if capture is None:
            return
        shown = capture.redactor.text(name)
        with observe.paused():
            capture.attempt(
                f"the dataset `{shown}`",
                lambda: capture.datasets.use(shown, source, context=context, role=role),
            )

    def _send_datasets(self, capture: Capture, sender: Sender) -> None:
        found = capture.attempt("data files", capture.datasets.take) or []
        steps, joined = capture.join_pipeline(found, self.namespace)
        sender.steps(steps)
        sender.datasets(joined)

    def _note_refusals(self, capture: Capture, sender: Sender) -> None:
        for sentence in sender.refused:
            text = capture.redactor.text(sentence)
            report.say(f"assay: the registry refused a part of the record: {text}")
            capture.completeness.incomplete(f"The registry refused a part of the record: {text}")
        sender.refused.clear()

    def _say_how_it_ended(self, capture: Capture, sender: Sender, sent: bool, quiet: bool) -> None:
        for sentence in sender.refused:
            report.say(f"assay: the registry refused the end of the run: {capture.redactor.text(sentence)}")
        if not quiet:
            count = len(capture.environment.get("packages", {}))
            report.say(report.finished(self.id, self.status, capture.code, capture.datasets.inputs, count))
            report.say(report.missing(capture.completeness.state, capture.completeness.notes))
        if not sent:
            kept = sender.keep()
            where = f"it is kept in {kept}" if kept else "it could not be kept either"
            report.say(f"assay: the end of run {self.id} could not be sent ({sender.away}); {where}")
            if kept:
                report.say("  `assay send` sends it when the registry can be reached")


def _ended(error: BaseException | None) -> Ended:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return Ended("finished")
    status = "killed" if isinstance(error, KeyboardInterrupt) else "failed"
    return Ended(status, f"{type(error).__qualname__}: {error}")


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
