"""What was started: the entry point, its file, the command line, and whether Git holds the code that ran."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from assay.tracking.git import Repository

_NOT_PROJECT = re.compile(r"(?:^|/)(?:site-packages|dist-packages|\.venv|venv|node_modules|\.tox|\.nox)/")


@dataclass(frozen=True)
class Entry:
    """`name` is module:function, script.py:function, or a script; `file` is None in a notebook or a shell.

    `source` is the code where it is in no file: the cells of a notebook that were run so far.
    """

    name: str
    file: Path | None
    source: str = field(default="", repr=False)

    @property
    def folder(self) -> Path:
        """Where to look for the repository."""
        return self.file.parent if self.file is not None else Path.cwd()


def of_function(function: Callable[..., Any]) -> Entry:
    code = getattr(function, "__code__", None)
    file = _file(getattr(code, "co_filename", ""))
    module = function.__module__
    if module == "__main__":
        main = sys.modules.get("__main__")
        spec = getattr(main, "__spec__", None)
        module = spec.name if spec is not None else (file.name if file else _notebook(function.__globals__))
    return Entry(f"{module}:{function.__qualname__}", file, "" if file else _cells(function.__globals__))


def of_frame(frame: FrameType | None) -> Entry:
    file = _file(frame.f_code.co_filename if frame is not None else "")
    names = frame.f_globals if frame is not None else {}
    return Entry(file.name if file else _notebook(names), file, "" if file else _cells(names))


def source_digest(entry: Entry) -> str:
    """`sha256:<hex>` of the file that was started, or of the cells run so far; empty when neither is known.

    Raises OSError.
    """
    content = entry.file.read_bytes() if entry.file is not None else entry.source.encode()
    return f"sha256:{hashlib.sha256(content).hexdigest()}" if content else ""


def shown(entry: Entry, repository: Repository | None) -> str:
    """The entry point's name; a script by its path in the repository."""
    if entry.file is None or repository is None or not entry.name.startswith(entry.file.name):
        return entry.name
    try:
        inside = entry.file.resolve().relative_to(repository.root.resolve())
    except ValueError:
        return entry.name
    return inside.as_posix() + entry.name[len(entry.file.name) :]


def command() -> list[str]:
    """The command line of this process as it was typed, the interpreter by its name only."""
    arguments = list(getattr(sys, "orig_argv", None) or sys.argv)
    return [os.path.basename(arguments[0]), *arguments[1:]] if arguments else []


def not_in_git(entry: Entry, repository: Repository, ran: set[str]) -> Iterator[str]:
    """Code of the project that ran and that no commit holds, as paths in the repository."""
    root = os.path.realpath(repository.root) + os.sep
    files = ran | {str(entry.file or "")}
    folders: dict[str, str] = {}
    for file in sorted(file for file in files if file):
        folder, name = os.path.split(file)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        real = os.path.join(folders[folder], name)
        inside = real[len(root) :]
        if real.startswith(root) and not _NOT_PROJECT.search(inside) and inside not in repository.tracked:
            yield inside


def _file(name: str) -> Path | None:
    path = Path(name)
    return path.absolute() if name and not name.startswith("<") and path.is_file() else None


def _notebook(names: Mapping[str, Any]) -> str:
    """The notebook's file where the front end tells it: VS Code in a variable, Jupyter in the environment."""
    told = names.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME") or ""
    name = os.path.basename(str(told))
    return name if name.endswith(".ipynb") else "notebook"


def _cells(names: Mapping[str, Any]) -> str:
    """The cells of an IPython kernel, as they were run; `In` is its list of them."""
    cells = names.get("In")
    if not isinstance(cells, list) or not callable(names.get("get_ipython")):
        return ""
    return "\n\n".join(str(cell) for cell in cells if cell)
