"""What a tracked function was called with: parameters, files, tables, a configuration file."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.tracking import configuration
from assay.tracking.frames import is_frame

_LONGEST_PATH = 4096
_SCALARS = (str, bool, int, float, complex)


@dataclass
class Arguments:
    """The bound arguments, sorted into what they are. Names of nested ones are dotted."""

    parameters: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    frames: dict[str, Any] = field(default_factory=dict)
    configurations: dict[str, Path] = field(default_factory=dict)


def sort_out(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Bind a call to its function and sort its arguments, defaults included. Raises TypeError as the call would."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    found = Arguments()
    for name, value in bound.arguments.items():
        kind = inspect.signature(function).parameters[name].kind
        if name in ("self", "cls") and "." in function.__qualname__:
            continue
        if kind is inspect.Parameter.VAR_KEYWORD:
            for key, item in value.items():
                _sort(found, key, item)
        else:
            _sort(found, name, value)
    return found


def _sort(found: Arguments, name: str, value: Any) -> None:
    if is_frame(value):
        found.frames[name] = value
        return
    path = existing_file(value)
    if path is not None:
        kept = found.configurations if configuration.looks_like_configuration(path) else found.files
        kept[name] = path
        found.parameters[name] = os.fsdecode(value)
        return
    nested = _fields(value)
    if nested is not None:
        for key, item in nested.items():
            _sort(found, f"{name}.{key}", item)
        return
    if isinstance(value, list | tuple) and any(is_frame(item) or existing_file(item) for item in value):
        for position, item in enumerate(value):
            _sort(found, f"{name}.{position}", item)
        return
    found.parameters[name] = _parameter(value)


def existing_file(value: object) -> Path | None:
    """The regular file that a text or path names, None when it names none."""
    if not isinstance(value, str | os.PathLike):
        return None
    try:
        text = os.fsdecode(value)
        if not text or len(text) > _LONGEST_PATH or "\n" in text or "\0" in text:
            return None
        return Path(text) if os.path.isfile(text) else None
    except (OSError, TypeError, ValueError):
        return None


def _fields(value: Any) -> Mapping[Any, Any] | None:
    """What a mapping, a dataclass or a parsed command line holds."""
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, argparse.Namespace | types.SimpleNamespace):
        return vars(value)
    return None


def _parameter(value: Any) -> str:
    """A value that is none of the above. Of an object only its type is told: its repr may hold anything."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, type) or inspect.isroutine(value):
        return f"{value.__module__}.{value.__qualname__}"
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        value = value.item()
    if (
        value is None
        or isinstance(value, (*_SCALARS, list, tuple, set, frozenset))
        or hasattr(value, "value")
    ):
        return configuration.shown(value)
    return f"<{type(value).__module__}.{type(value).__qualname__}>"
