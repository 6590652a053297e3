"""Enough of nginx's configuration language to ask our file what it answers to a request.

Only what deploy/proxy/nginx.conf uses: `map` with default, equal and regular-expression keys, and `if` with a
variable or `variable = value` that returns a status.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = re.compile(r"""#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{};]|[^\s{};"']+""")


@dataclass
class Directive:
    """One directive: its words, and the directives in its block."""

    words: list[str]
    block: list[Directive] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def arguments(self) -> list[str]:
        return self.words[1:]

    def all(self, name: str) -> list[Directive]:
        """The directives called `name` directly inside."""
        return [directive for directive in self.block if directive.name == name]

    def walk(self) -> Iterator[Directive]:
        """This directive and everything inside it."""
        yield self
        for directive in self.block:
            yield from directive.walk()


def parse(text: str) -> Directive:
    """The configuration as one directive that holds everything. Raises ValueError where it does not close."""
    root = Directive(["(file)"])
    stack = [root]
    words: list[str] = []
    for match in TOKEN.finditer(text):
        token = match[0]
        if token.startswith("#"):
            continue
        if token == ";":
            stack[-1].block.append(Directive(words))
            words = []
        elif token == "{":
            stack[-1].block.append(Directive(words))
            stack.append(stack[-1].block[-1])
            words = []
        elif token == "}":
            if words or len(stack) == 1:
                raise ValueError(f"unexpected }} after {words}")
            stack.pop()
        else:
            words.append(token[1:-1] if token[0] in "\"'" else token)
    if words or len(stack) != 1:
        raise ValueError("the file ends inside a block or a directive")
    return root


def mapped(table: Directive, value: str) -> str:
    """What a `map` gives: an equal key first, then the first expression that matches, then the default."""
    default = ""
    for entry in table.block:
        key, result = entry.words[0], entry.words[1]
        if key == "default":
            default = result
        elif not key.startswith("~") and key.lower() == value.lower():
            return result
    for entry in table.block:
        key, result = entry.words[0], entry.words[1]
        if key.startswith("~"):
            flags = re.IGNORECASE if key.startswith("~*") else 0
            if re.search(key.lstrip("~*"), value, flags):
                return result
    return default


class Configuration:
    """The file, asked about requests."""

    def __init__(self, path: Path) -> None:
        (self.http,) = parse(path.read_text()).all("http")

    def server(self, port: int) -> Directive:
        """The server that listens on `port`."""
        (found,) = [s for s in self.http.all("server") if s.all("listen")[0].arguments[0].endswith(str(port))]
        return found

    def location(self, port: int, path: str) -> Directive:
        """The location that takes `path`: the first expression that matches, else the longest prefix."""
        locations = self.server(port).all("location")
        for location in locations:
            if location.arguments[0] == "~" and re.search(location.arguments[1], path):
                return location
        prefixes = [x for x in locations if len(x.arguments) == 1 and path.startswith(x.arguments[0])]
        return max(prefixes, key=lambda x: len(x.arguments[0]))

    def value(self, variable: str, request: Mapping[str, str]) -> str:
        """A variable's value, for a request given as nginx's variables (`args`, `http_...`)."""
        for table in self.http.all("map"):
            if table.arguments[1] == f"${variable}":
                return mapped(table, self.value(table.arguments[0].removeprefix("$"), request))
        return request.get(variable, "")

    def answer(
        self,
        port: int,
        path: str,
        *,
        method: str = "GET",
        args: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> int | None:
        """The status nginx answers by itself, or None when the request is passed on."""
        request = {"args": args, "request_method": method}
        request |= {f"http_{name.lower().replace('-', '_')}": text for name, text in (headers or {}).items()}
        location = self.location(port, path)
        for directive in location.block:
            if directive.name == "return":
                return int(directive.arguments[0])
            if directive.name == "if":
                words = [word.strip("()") for word in directive.arguments]
                value = self.value(words[0].removeprefix("$"), request)
                holds = value == words[2] if len(words) == 3 else value not in {"", "0"}
                if holds:
                    return int(directive.all("return")[0].arguments[0])
        return None
