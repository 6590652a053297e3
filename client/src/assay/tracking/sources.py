"""What a reader is told to read: paths, patterns, folders and addresses, and what of them can be observed."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import observe

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_PATTERN = re.compile(r"[*?\[]")


@dataclass
class Call:
    """One call of a reader. `answer` is what it returned, None before it has."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    answer: Any = None

    def argument(self, keyword: str, position: int) -> Any:
        return self.kwargs.get(keyword, self.args[position] if len(self.args) > position else None)


# Tells an observer of a call.
Look = Callable[[observe.Observer, Call], None]


@dataclass(frozen=True)
class Reader:
    """A function that reads what its argument names: `module`, `attribute` (dotted for a method), which argument.

    `keyword` is that argument's name. `result` takes the files from what the call returned instead, or, for a
    method that makes an object, from the object. `before` and `after` look at a call in their own way instead.
    `change` may alter the arguments, a copy of its own. `sees_caller`: the function looks into the frame that called
    it, where DuckDB finds the variables that a statement names as tables.
    """

    module: str
    attribute: str
    keyword: str = ""
    position: int = 0
    result: str = ""
    before: Look | None = None
    after: Look | None = None
    change: Callable[[Call], None] | None = None
    sees_caller: bool = False


def texts(source: Any) -> list[str]:
    """The names in one or several paths; open files and what lies in memory have none."""
    items = source if isinstance(source, list | tuple | set | frozenset) else [source]
    return [os.fsdecode(item) for item in items if isinstance(item, str | bytes | os.PathLike)]


def address(name: str) -> str:
    """The scheme of an address that is not a file here, or empty."""
    found = _ADDRESS.match(name)
    return found[1] if found and found[1].lower() != "file" else ""


def is_pattern(name: str) -> bool:
    return bool(_PATTERN.search(name)) and not os.path.exists(name)


def files_of(name: str) -> Iterator[str]:
    """The files that a path, a pattern or a folder stands for; none when nothing is there."""
    path = name.removeprefix("file://")
    for found in sorted(glob.iglob(path, recursive=True)) if is_pattern(path) else [path]:
        if os.path.isdir(found):
            for top, _, names in os.walk(found):
                yield from (os.path.join(top, each) for each in sorted(names))
        elif os.path.isfile(found):
            yield found


def read(observer: observe.Observer, names: list[str], *, write: bool = False) -> None:
    """Something other than Python opens what is named. `write`: perhaps to change it."""
    for name in names:
        scheme = address(name)
        if scheme:
            observer.unobserved[
                f"Data was read from an address {scheme}://, which could not be observed."
            ] = None
        else:
            for path in files_of(name):
                observer.opened(path, write=write)


def check_found(observer: observe.Observer, call: Call, names: list[str]) -> None:
    """After a call that succeeded: what it was given must have been a file, or what it read is not known."""
    for name in names:
        if not address(name) and next(files_of(name), None) is None:
            shown = os.path.basename(name.rstrip(os.sep))
            observer.unobserved[
                f"`{call.name}` read `{shown}`, which is no file here; what it is, is not known."
            ] = None
