"""Registers a model from a run: written as files, pushed, said. A failure keeps the files and ends nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.answers import Version
from assay.errors import AssayError, TimedOut, Unreachable, VersionFailed
from assay.tracking import report
from assay.tracking.capture import Capture
from assay.tracking.sending import CHANGES, Registry, Sender
from assay.tracking.serialisers import NotSerialisable, Written, serialise


@dataclass(frozen=True)
class Wanted:
    """As what a model is to be registered. `name` is namespace/model; `base` are references."""

    name: str
    serializer: str | None = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    base: Sequence[str] = ()


def register(
    model: object, wanted: Wanted, client: Registry, sender: Sender, capture: Capture
) -> Version | None:
    """The version; None when it could not be done, and why is printed and noted. Never raises."""
    folder = Path(tempfile.mkdtemp(prefix="assay-model-"))
    try:
        files = folder / "files"
        files.mkdir()
        written = serialise(model, files, wanted.serializer)
        if written.note:
            report.say(f"assay: {written.note}")
        version = _push(written, signature(model), wanted, client, sender, capture.changes)
        _attach_changes(version, client, capture.changes)
        report.say(
            report.registered(
                version,
                sender.run,
                capture.code,
                capture.datasets.inputs,
                len(capture.environment.get("packages", {})),
            )
        )
        return version
    except TimedOut as error:
        report.say(f"assay: {wanted.name} was sent; {error.sentence}")
        return error.answer  # type: ignore[no-any-return]
    except (NotSerialisable, NotSent) as error:
        _say_why_not(capture, wanted, str(error))
    except Exception as error:  # noqa: BLE001 - a failure to register must not end the training
        _say_why_not(capture, wanted, sentence(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return None


def signature(model: object) -> dict[str, Any] | None:
    """What a scikit-learn estimator was fitted on: its inputs by name, its classes by number. None: not known."""
    names = getattr(model, "feature_names_in_", None)
    count = getattr(model, "n_features_in_", None)
    classes = getattr(model, "classes_", None)
    answer: dict[str, Any] = {}
    try:
        if names is not None:
            answer["inputs"] = [{"name": str(name)} for name in names]
        elif count is not None:
            answer["inputs"] = int(count)
        if classes is not None and getattr(classes, "ndim", 0) == 1:
            answer["classes"] = len(classes)
    except (TypeError, ValueError):
        return None
    return answer or None


def sentence(error: BaseException) -> str:
    text = error.sentence if isinstance(error, AssayError) else f"{type(error).__name__}: {error}"
    return text if text.endswith(".") else f"{text}."


class NotSent(Exception):
    """The model's files did not reach the registry; the text says why and where they are."""


def _push(
    written: Written,
    schema: dict[str, Any] | None,
    wanted: Wanted,
    client: Registry,
    sender: Sender,
    changes: str,
) -> Version:
    try:
        if not sender.created:
            raise Unreachable(sender.away or "the run is not known to the registry yet")
        return client.push(
            written.path, wanted.name, run=sender.run, tags=wanted.tags, description=wanted.description,
            format=written.format, schema=schema, base=wanted.base,
        )  # fmt: skip
    except (TimedOut, VersionFailed):  # the files are there
        raise
    except Exception as error:
        facts = {
            "name": wanted.name, "format": written.format, "schema": schema, "tags": dict(wanted.tags),
            "description": wanted.description, "base": list(wanted.base),
        }  # fmt: skip
        kept = sender.keep(written.path, facts, changes)
        where = f"its files are in {kept}" if kept else "its files could not be kept"
        raise NotSent(f"{sentence(error)} The model was not sent; {where}.") from error


def _attach_changes(version: Version, client: Registry, changes: str) -> None:
    """The uncommitted changes, secrets taken out, are kept with the version."""
    if not changes:
        return
    with tempfile.TemporaryDirectory(prefix="assay-diff-") as folder:
        file = Path(folder) / CHANGES
        file.write_text(changes, encoding="utf-8")
        try:
            client.attach(version["reference"], file, kind="code_diff")
        except AssayError as error:
            report.say(f"assay: the uncommitted changes were not kept with the version: {sentence(error)}")


def _say_why_not(capture: Capture, wanted: Wanted, why: str) -> None:
    why = capture.redactor.text(why)
    report.say(f"assay: {wanted.name} was not registered: {why}")
    capture.completeness.incomplete(f"A model was not registered as {wanted.name}: {why}")
