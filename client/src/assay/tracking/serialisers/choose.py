"""Chooses the adapter for a model: ours first, then those that other packages offer by entry point."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from assay.tracking.serialisers import boosted, canonical_skops, files, pickled, tensors

# An entry point of this group names an object with the attributes of Serialiser.
GROUP = "assay.serialisers"


class NotSerialisable(Exception):
    """No adapter takes the model, or the chosen one failed; the text says what can be done."""


@runtime_checkable
class Serialiser(Protocol):
    """An adapter. `format` is what the version is shown as."""

    name: str
    format: str

    def accepts(self, model: object) -> bool:
        """Whether it can write this model. Imports nothing to find out."""

    def write(self, model: Any, folder: Path) -> None:
        """Write the model into an empty folder. Equal models should give equal bytes."""


@dataclass(frozen=True)
class Written:
    """A model as files: `path` is a file or a folder; `note` is what people should know about it."""

    path: Path
    format: str
    note: str = ""


# Boosted trees before scikit-learn: their estimators are scikit-learn's too. Pickle is never chosen by itself.
OURS: tuple[Serialiser, ...] = (
    boosted.LightGBM(), boosted.XGBoost(), canonical_skops.Skops(), tensors.Safetensors(), files.Onnx(),
)  # fmt: skip
BY_REQUEST: tuple[Serialiser, ...] = (pickled.Joblib(),)


def serialise(model: object, folder: Path, serializer: str | None = None) -> Written:
    """Write a model into the empty folder given; a path is taken as it is. Raises NotSerialisable."""
    if isinstance(model, str | os.PathLike):
        path = Path(os.fsdecode(model))
        if not path.exists():
            raise NotSerialisable(f"There is no file or folder at {path}.")
        return Written(path, files.format_of(path), pickled.NOTE if files.format_of(path) == "pickle" else "")
    adapters = [*OURS, *_offered()]
    if serializer is not None:
        chosen = next((adapter for adapter in [*adapters, *BY_REQUEST] if adapter.name == serializer), None)
        if chosen is None:
            raise NotSerialisable(
                f"There is no serializer {serializer!r}; there are {_names([*adapters, *BY_REQUEST])}."
            )
    else:
        chosen = next((adapter for adapter in adapters if adapter.accepts(model)), None)
        if chosen is None:
            raise NotSerialisable(f"{_describe(model)} is nothing that can be written safely. {_choices()}")
    try:
        chosen.write(model, folder)
    except ImportError as error:
        raise NotSerialisable(
            f"To write {_describe(model)} as {chosen.name}, install {error.name}. {_choices()}"
        ) from error
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        raise NotSerialisable(
            f"{_describe(model)} could not be written as {chosen.name}: {error}. {_choices()}"
        ) from error
    return Written(folder, chosen.format, pickled.NOTE if chosen.format == "pickle" else "")


def _offered() -> list[Serialiser]:
    found = []
    for point in importlib.metadata.entry_points(group=GROUP):
        adapter = point.load()
        found.append(adapter() if isinstance(adapter, type) else adapter)
    return found


def _choices() -> str:
    return (
        "Return an estimator of scikit-learn, a LightGBM or XGBoost model, an array or a dictionary of arrays, ONNX, "
        'or the path of files that you wrote; or pass serializer="joblib", which is shown as a pickle.'
    )


def _names(adapters: Sequence[Serialiser]) -> str:
    return ", ".join(adapter.name for adapter in adapters)


def _describe(model: object) -> str:
    return f"A {type(model).__module__}.{type(model).__qualname__}"
