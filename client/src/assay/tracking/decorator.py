"""`@assay.track`: a training function whose every call is a run, and whose result is a registered version."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from assay.references import Reference
from assay.tracking import entry, report
from assay.tracking.arguments import sort_out
from assay.tracking.capture import Capture
from assay.tracking.outcome import interpret
from assay.tracking.runs import ActiveRun, Options
from assay.tracking.sending import Registry

P = ParamSpec("P")
R = TypeVar("R")


def track(  # noqa: PLR0913 - one keyword for each thing that may be told
    model: str | None = None,
    *,
    experiment: str = "default",
    name: str = "",
    namespace: str | None = None,
    datasets: Mapping[str, Any] | Sequence[Any] = (),
    config: str | os.PathLike[str] | None = None,
    register: bool = True,
    serializer: str | None = None,
    data_roots: Sequence[str | os.PathLike[str]] = (),
    tags: Mapping[str, str] | None = None,
    description: str = "",
    base: Sequence[str] = (),
    on_unreachable: str = "",
    client: Registry | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make every call of a training function a run, and register the model it returns as a version of `model`.

    The function may return a model, metrics as a dictionary of numbers, or a tuple of both; its caller gets what
    it returned, unchanged. Arguments become parameters; arguments that are tables, arrays or files become datasets,
    a small YAML, JSON or TOML file the configuration. A dataset is for training unless its name says test or
    validation. The function that comes back has `last_run`, the run of its latest call, with its `versions`.

    `namespace` is the model's unless given. See `assay.run` for the rest and for what happens without a registry.
    """
    target = _target(model, register)
    options = Options(
        namespace=_namespace(target, namespace), experiment=experiment, name=name, datasets=datasets, config=config,
        data_roots=data_roots,
        tags=tags or {}, on_unreachable=on_unreachable, client=client,
    )  # fmt: skip

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise TypeError(
                f"{function.__qualname__} is a coroutine or a generator: use `with assay.run()` inside it"
            )

        @functools.wraps(function)
        def tracked(*args: P.args, **kwargs: P.kwargs) -> R:
            active = ActiveRun(options, entry.of_function(function))
            tracked.last_run = active  # type: ignore[attr-defined]

            def look_at_arguments(capture: Capture) -> None:
                found = capture.attempt("the arguments", lambda: sort_out(function, args, kwargs))
                if found is not None:
                    capture.take_arguments(found)

            active.begin(look_at_arguments)
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                active.end(error)
                raise
            active.stop_capture()
            if active.id:
                _record(active, result)
            return result

        def _record(active: ActiveRun, result: object) -> None:
            outcome = interpret(result)
            active.log_metrics(outcome.metrics)
            wanted = register and not active.versions
            active.end(
                quiet=wanted and not outcome.problem
            )  # first, so that the version knows all of its run
            if wanted and outcome.problem:
                report.say(f"assay: nothing was registered as {target}: {outcome.problem}")
            elif wanted:
                active.log_model(
                    outcome.model,
                    target,
                    serializer=serializer,
                    description=description,
                    tags=tags,
                    base=base,
                )

        return tracked

    return decorate


def _target(model: object, register: bool) -> str:
    """The model to register, "" for none."""
    if callable(model):
        raise TypeError('write @assay.track(model="namespace/name")')
    if register and model is None:
        raise TypeError(
            'say which model to register, model="namespace/name", or register=False and a namespace'
        )
    return str(model or "")


def _namespace(target: str, given: str | None) -> str:
    chosen = given or (Reference.parse(target).namespace if target else "")
    if not chosen:
        raise TypeError("say in which namespace the run is recorded: model= or namespace=")
    return chosen
