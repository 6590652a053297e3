"""The checkout as the architecture tests read it: its files, its modules, and their syntax trees."""

from __future__ import annotations

import ast
import functools
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
APPS = ("config", "console", "protocols", "lifecycle", "lineage", "registry")
OWN_PACKAGES = {*APPS, "assay", "tests"}
# Made by running things, not written by people.
NOT_OURS = {
    ".git",
    ".venv",
    ".assay",
    "wheelhouse",
    "build",
    "dist",
    "node_modules",
    "secrets",
    "__pycache__",
}


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file of the project, relative to its root."""
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(
            f
            for f in folders
            if f not in NOT_OURS and not f.endswith(("_cache", ".egg-info")) and f != ".hypothesis"
        )
        found += [(Path(folder) / name).relative_to(ROOT) for name in sorted(names) if name != ".env"]
    return tuple(found)


def modules(*tops: str) -> Iterator[Path]:
    """The Python files below `tops` (all when none is named), migrations left out."""
    for path in files():
        if path.suffix == ".py" and "migrations" not in path.parts and (not tops or path.parts[0] in tops):
            yield path


def source(path: Path) -> str:
    """The text of a project file."""
    return (ROOT / path).read_text()


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a project module."""
    return ast.parse(source(path), filename=str(path))


@functools.cache
def pyproject(path: str = "pyproject.toml") -> dict[str, Any]:
    """A pyproject file, parsed."""
    return tomllib.loads((ROOT / path).read_text())
