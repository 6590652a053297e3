"""The part of a pickle walker that knows nothing of danger: the stack, the memo, and what is only read."""

from __future__ import annotations

import pickle
import re
from typing import Any

from registry.artifacts.scanning.report import Malformed
from registry.artifacts.scanning.source import Stream
from registry.artifacts.scanning.values import MARK, NO_TEXT, SOMETHING, Mark, Table

# Text up to this length is remembered: names of globals, keys, types.
MOST_TEXT = 1000
# Only protocol 0 has lines, and writes long text in one. What merely may be a pickle is not searched so far.
MOST_LINE, MOST_GUESSED_LINE = 8 * 1024 * 1024, 64 * 1024


class Machine:
    """A stack and a memo of what is known, and the opcodes that put plain data on them. Raises Malformed."""

    def __init__(self, stream: Stream, most_line: int = MOST_LINE) -> None:
        self.stream, self.most_line = stream, most_line
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack or isinstance(self.stack[-1], Mark):
            raise Malformed("it takes from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack or isinstance(self.stack[-1], Mark):
            raise Malformed("it looks at an empty stack")
        return self.stack[-1]

    def to_mark(self) -> list[Any]:
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is MARK:
                found = self.stack[at + 1 :]
                del self.stack[at:]
                return found
        raise Malformed("it looks for a mark that is not there")

    # ---- opcodes that only read

    def text_line(self) -> bytes:
        return self.stream.line(self.most_line)

    def op_proto(self) -> None:
        if self.stream.read(1)[0] > pickle.HIGHEST_PROTOCOL:
            raise Malformed("its protocol is unknown")

    def op_int(self) -> None:
        line = self.text_line()
        if line in (b"00", b"01"):
            self.push(line == b"01")
        else:
            self.push(_integer(line))

    def op_long(self) -> None:
        self.push(_integer(self.text_line().removesuffix(b"L")))

    def op_float(self) -> None:
        self.text_line()
        self.push(NO_TEXT)

    def op_string(self) -> None:
        line = self.text_line().strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise Malformed("a string is not quoted")
        inner = line[1:-1]
        # Quoted by Python 2, escapes and all; decoded as ASCII unless the loader asks for something else.
        plain = len(inner) <= MOST_TEXT and b"\\" not in inner and inner.isascii()
        self.push(inner.decode("ascii") if plain else SOMETHING)

    def op_unicode(self) -> None:
        line = self.text_line()
        if len(line) > MOST_TEXT:
            self.push(SOMETHING)
            return
        try:
            self.push(line.decode("raw-unicode-escape"))
        except UnicodeDecodeError:
            raise Malformed("a text is damaged") from None

    def words(self, width: int) -> None:
        size = int.from_bytes(self.stream.read(width), "little")
        if size > MOST_TEXT:
            self.stream.skip(size)
            self.push(SOMETHING)
            return
        try:
            self.push(self.stream.read(size).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise Malformed("a text is not UTF-8") from None

    def blob(self, width: int, *, text: bool = False) -> None:
        """Bytes. Python 2's strings count as text: that is what they become where they can name a global."""
        size = int.from_bytes(self.stream.read(width), "little", signed=text and width == 4)
        if size < 0:
            raise Malformed("a length is negative")
        if text and size <= MOST_TEXT:
            found = self.stream.read(size)
            self.push(found.decode("ascii") if found.isascii() else SOMETHING)
            return
        self.stream.skip(size)
        self.push(SOMETHING if text else NO_TEXT)

    def small(self, width: int, *, signed: bool = False) -> None:
        self.push(int.from_bytes(self.stream.read(width), "little", signed=signed))

    def op_long1(self) -> None:
        self.small(self.stream.read(1)[0], signed=True)

    def op_long4(self) -> None:
        size = int.from_bytes(self.stream.read(4), "little", signed=True)
        if size < 0:
            raise Malformed("a length is negative")
        self.stream.skip(size)
        self.push(NO_TEXT)

    def skipped(self, count: int) -> None:
        self.stream.skip(count)
        self.push(NO_TEXT)

    def tuple_of(self, count: int) -> None:
        found = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(found)))

    def op_dict(self) -> None:
        found = self.to_mark()
        table = Table()
        for key, value in zip(found[::2], found[1::2], strict=False):
            table.put(key, value)
        self.push(table)

    def op_list(self) -> None:
        self.to_mark()
        self.push(NO_TEXT)

    def op_pop(self) -> None:
        if not self.stack:
            raise Malformed("it takes from an empty stack")
        self.stack.pop()

    def remember(self, at: int) -> None:
        if at < 0:
            raise Malformed("a place in the memo is negative")
        self.memo[at] = self.top()

    def recall(self, at: int) -> None:
        if at not in self.memo:
            raise Malformed("it asks the memo for what is not there")
        self.push(self.memo[at])

    def number(self) -> int:
        """A place in the memo, as protocol 0 writes it."""
        found = _integer(self.text_line())
        if not isinstance(found, int):
            raise Malformed("a place in the memo is no number")
        return found

    def unsigned(self, width: int) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.stream.read(width), "little")


def _integer(line: bytes) -> Any:
    text = line.strip()
    if not re.fullmatch(rb"[+-]?[0-9_]{1,4000}", text):
        if re.fullmatch(rb"[+-]?0[xXoObB]?[0-9a-fA-F_]+", text) or len(text) > 4000:
            return NO_TEXT
        raise Malformed("a number is none")
    return int(text) if len(text) < 30 and b"_" not in text else NO_TEXT
