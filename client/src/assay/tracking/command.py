"""A command line taken apart: the program, the script, and the script's arguments as parameters."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from assay.tracking import configuration
from assay.tracking.arguments import Arguments, existing_file
from assay.tracking.entry import Entry

_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)?t?)?(?:\.exe)?|pypy\d*")
# Options of the interpreter that take a value of their own.
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")
_NUMBER = re.compile(r"-(?:\d|\.\d)")
# Programs that start another and read no data for it.
LAUNCHERS = frozenset(
    {"env", "nice", "ionice", "nohup", "time", "timeout", "taskset", "numactl", "uv", "poetry", "pipenv", "pdm",
     "hatch", "conda", "mamba", "micromamba", "stdbuf", "setsid", "tini", "dumb-init"}
)  # fmt: skip


@dataclass(frozen=True)
class Command:
    """`entry` is what is trained; `arguments` are those given to it; `program` is the base name of what is started."""

    words: tuple[str, ...]
    program: str
    entry: Entry
    arguments: tuple[str, ...] = field(default=())

    @property
    def is_python(self) -> bool:
        return _PYTHON.fullmatch(self.program) is not None


def take_apart(words: list[str]) -> Command:
    """The script is the one that Python is given, also where another program starts Python."""
    program = os.path.basename(words[0])
    for position, word in enumerate(words):
        if _PYTHON.fullmatch(os.path.basename(word)) and (position == 0 or program in LAUNCHERS):
            entry, rest = _of_python(words[position + 1 :])
            return Command(tuple(words), program, entry, tuple(rest))
    found = shutil.which(words[0])
    file = Path(found).absolute() if found and os.sep in words[0] else None
    return Command(tuple(words), program, Entry(program, file), tuple(words[1:]))


def _of_python(words: list[str]) -> tuple[Entry, list[str]]:
    position = 0
    while position < len(words):
        word = words[position]
        if word == "-c":
            code = words[position + 1] if position + 1 < len(words) else ""
            return Entry("python -c", None, code), words[position + 2 :]
        if word == "-m":
            module = words[position + 1] if position + 1 < len(words) else ""
            return Entry(module, None), words[position + 2 :]
        if not word.startswith("-") or word == "-":
            path = Path(word)
            return Entry(path.name, path.absolute() if path.is_file() else None), words[position + 1 :]
        position += 2 if word in _WITH_VALUE else 1
    return Entry("python", None), []


def parameters(words: tuple[str, ...]) -> dict[str, str]:
    """`--lr 0.1`, `--lr=0.1` and `-l 0.1` by name without dashes, a switch as true, the others as arg1, arg2, ...

    What is given more than once is a list, as JSON.
    """
    found: dict[str, list[str]] = {}
    position, count = 0, 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--":
            continue
        if not word.startswith("-") or word == "-" or _NUMBER.match(word):
            count += 1
            found[f"arg{count}"] = [word]
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals:
            follows = words[position] if position < len(words) else "-"
            takes = not follows.startswith("-") or bool(_NUMBER.match(follows))
            value = follows if takes else "true"
            position += takes
        found.setdefault(name or word, []).append(value)
    return {name: values[0] if len(values) == 1 else json.dumps(values) for name, values in found.items()}


def arguments(words: tuple[str, ...]) -> Arguments:
    """The same, files among them told apart: a small YAML, JSON or TOML file is a configuration."""
    found = Arguments(parameters=parameters(words))
    for name, value in found.parameters.items():
        path = existing_file(value)
        if path is not None:
            kept = found.configurations if configuration.looks_like_configuration(path) else found.files
            kept[name] = path
    return found
