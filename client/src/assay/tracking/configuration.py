"""Configuration files: their digest, and their values as flat parameters."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.tracking.hashing import DigestCache, hash_file
from assay.tracking.redaction import Redactor

SUFFIXES = (".yaml", ".yml", ".json", ".toml")
# A larger file of these kinds is data.
MAX_BYTES = 1 << 20
MAX_VALUE = 1000


class NotReadable(Exception):
    """The file is no configuration that can be read; the text says why."""


@dataclass(frozen=True)
class Configuration:
    """A configuration file as it was when the run began. `problem` says why the values are not known."""

    path: Path
    digest: str
    values: dict[str, str]
    problem: str = ""

    def facts(self, shown_path: str, redactor: Redactor) -> dict[str, Any]:
        """The `config` of a run, as it is sent."""
        return {
            "path": redactor.text(shown_path),
            "digest": self.digest,
            "values": redactor.mapping(self.values),
        }


def looks_like_configuration(path: Path) -> bool:
    """By its suffix and size: a large JSON file is data."""
    try:
        return path.suffix.lower() in SUFFIXES and path.is_file() and path.stat().st_size <= MAX_BYTES
    except OSError:
        return False


def read(path: Path) -> Configuration:
    """Raises OSError."""
    digest = hash_file(str(path), DigestCache()).digest
    try:
        return Configuration(path, digest, flatten(_parse(path)))
    except NotReadable as error:
        return Configuration(path, digest, {}, str(error))


def flatten(values: Mapping[Any, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings as dotted keys, in the order they are written; lists as JSON, long values cut."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = shown(value)
    return flat


def shown(value: Any) -> str:
    """A value as a parameter: text as it is, the rest as Python or JSON writes it. Nothing is asked for its repr."""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, str):
        return _cut(value)
    if value is None or isinstance(value, bool | int | float | complex):
        return str(value)
    try:
        return _cut(json.dumps(value, ensure_ascii=False, default=_plain))
    except (TypeError, ValueError):
        return f"<{type(value).__module__}.{type(value).__qualname__}>"


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return value.item()
    if hasattr(value, "isoformat"):  # dates, which YAML and TOML know
        return value.isoformat()
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def _parse(path: Path) -> Mapping[Any, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        suffix = path.suffix.lower()
        if suffix == ".toml":
            values: Any = tomllib.loads(text)
        elif suffix == ".json":
            values = json.loads(text)
        elif suffix in (".yaml", ".yml"):
            values = _yaml().safe_load(text)
        else:
            raise NotReadable(f"a file ending in {suffix or 'nothing'} is not read as a configuration")
    except ImportError as error:
        raise NotReadable("PyYAML is not installed") from error
    except OSError as error:
        raise NotReadable(error.strerror or str(error)) from error
    except NotReadable:
        raise
    except Exception as error:  # a parser's own errors, YAML's among them
        raise NotReadable(f"it is not valid {path.suffix[1:].upper()}") from error
    if not isinstance(values, Mapping):
        raise NotReadable("it holds no mapping")
    return values


def _yaml() -> Any:
    return importlib.import_module("yaml")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
