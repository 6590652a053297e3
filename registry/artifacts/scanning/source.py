"""Bytes to read: at any place, or from front to back; a file, a part of it, or what comes out of a decompressor."""

from __future__ import annotations

import bz2
import lzma
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from registry.artifacts.scanning.report import Malformed, Unscannable

MIB = 1024 * 1024
BLOCK = 256 * 1024
# What a decompressor may give, over all members of one file, and when its output is out of proportion.
MOST_INFLATED = 4 * 1024 * MIB
RATIO, RATIO_FROM = 500, 128 * MIB
# What is decompressed to be read at any place, which zips and the like need.
MOST_HELD = 128 * MIB
MOST_MEMBERS = 20_000
MOST_DEPTH = 6

Read = Callable[[int, int], bytes]


class Short(Malformed):
    """The bytes end before what they announce."""


@dataclass
class Budget:
    """What one file may cost. Raises Unscannable beyond it."""

    inflated: int = 0
    members: int = 0

    def spend(self, count: int) -> None:
        """So many bytes came out of a decompressor."""
        self.inflated += count
        if self.inflated > MOST_INFLATED:
            raise Unscannable(f"It holds more than {MOST_INFLATED // MIB} MiB when decompressed.")

    def member(self) -> None:
        """One more file inside."""
        self.members += 1
        if self.members > MOST_MEMBERS:
            raise Unscannable(f"It holds more than {MOST_MEMBERS} files.")


class Stream:
    """Bytes from front to back."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._at = 0
        self._before = 0

    @property
    def position(self) -> int:
        """How many bytes were taken."""
        return self._before + self._at

    def _more(self) -> bool:
        chunk = next(self._chunks, b"")
        if not chunk:
            return False
        self._before += self._at
        self._buffer = self._buffer[self._at :] + chunk
        self._at = 0
        return True

    def peek(self, count: int) -> bytes:
        """The next bytes, without taking them; fewer at the end."""
        while len(self._buffer) - self._at < count and self._more():
            pass
        return self._buffer[self._at : self._at + count]

    def read(self, count: int) -> bytes:
        """Exactly so many bytes, few enough to be held. Raises Short."""
        end = self._at + count
        if end > len(self._buffer):
            if count > MOST_HELD:
                raise Unscannable(f"It wants {count} bytes at once.")
            if len(self.peek(count)) < count:
                raise Short("it ends in the middle")
            end = self._at + count
        taken = self._buffer[self._at : end]
        self._at = end
        return taken

    def line(self, most: int) -> bytes:
        """Up to the next line feed, without it. Raises Short, Malformed."""
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            if len(self._buffer) - self._at > most:
                raise Malformed("a line is too long")
            if not self._more():
                raise Short("it ends in the middle of a line")
        taken = self._buffer[self._at : end]
        if len(taken) > most:
            raise Malformed("a line is too long")
        self._at = end + 1
        return taken

    def skip(self, count: int) -> None:
        """Pass over bytes. Raises Short."""
        while (here := len(self._buffer) - self._at) < count:
            count -= here
            self._at = len(self._buffer)
            if not self._more():
                raise Short("it ends in the middle")
        self._at += count

    def ended(self) -> bool:
        """Whether nothing is left."""
        return not self.peek(1)


class _WindowStream(Stream):
    """Bytes from front to back of what can be read at any place: what is skipped is never fetched."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._next = 0
        super().__init__(iter(()))

    def _more(self) -> bool:
        chunk = self._source.read(self._next, min(BLOCK, self._source.size - self._next))
        if not chunk:
            return False
        self._next += len(chunk)
        self._before += self._at
        self._buffer = self._buffer[self._at :] + chunk
        self._at = 0
        return True

    def skip(self, count: int) -> None:
        if (here := len(self._buffer) - self._at) >= count:
            self._at += count
            return
        if self._next + count - here > self._source.size:
            raise Short("it ends in the middle")
        self._next += count - here
        self._before = self._next
        self._buffer, self._at = b"", 0


class Input(ABC):
    """A file, or a file inside one. It can be read from the front again and again."""

    @abstractmethod
    def stream(self) -> Stream:
        """From the front."""

    @abstractmethod
    def held(self) -> Source:
        """The same, to be read at any place. Raises Unscannable when it is too large for that."""

    def head(self, count: int) -> bytes:
        """The first bytes."""
        return self.stream().peek(count)


class Source(Input):
    """Bytes that can be read at any place: a file, or a part of one."""

    def __init__(self, read: Read, size: int, start: int = 0) -> None:
        self._read, self.size, self._start = read, size, start

    @classmethod
    def of(cls, content: bytes) -> Source:
        """Bytes in memory."""
        return cls(lambda offset, length: content[offset : offset + length], len(content))

    def read(self, offset: int, length: int) -> bytes:
        """The bytes there; fewer at the end."""
        length = min(length, self.size - offset)
        return self._read(self._start + offset, length) if length > 0 and offset >= 0 else b""

    def exactly(self, offset: int, length: int) -> bytes:
        """The bytes there, all of them. Raises Short."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise Short("it ends in the middle")
        if length > MOST_HELD:
            raise Unscannable(f"It wants {length} bytes at once.")
        found = bytearray()
        while len(found) < length:
            found += self.read(offset + len(found), min(MIB, length - len(found)))
        return bytes(found)

    def part(self, start: int, length: int) -> Source:
        """A part of it. Raises Short."""
        if start < 0 or length < 0 or start + length > self.size:
            raise Short("it ends in the middle")
        return Source(self._read, length, self._start + start)

    def stream(self) -> Stream:
        return _WindowStream(self)

    def held(self) -> Source:
        return self


class Inflated(Input):
    """What comes out of a decompressor, started anew for every reading. `packed` is what goes in."""

    def __init__(self, kind: str, packed: Input, budget: Budget, size: int | None = None) -> None:
        self._kind, self._packed, self._budget, self._size = kind, packed, budget, size

    def stream(self) -> Stream:
        return Stream(self._chunks())

    def held(self) -> Source:
        content = bytearray()
        for chunk in self._chunks():
            content += chunk
            if len(content) > MOST_HELD:
                raise Unscannable(
                    f"Compressed inside, it has more than {MOST_HELD // MIB} MiB of a format read at many places."
                )
        return Source.of(bytes(content))

    def _chunks(self) -> Iterator[bytes]:
        given = 0
        taken = [0]
        for chunk in _decompressed(self._kind, self._packed.stream(), taken):
            given += len(chunk)
            self._budget.spend(len(chunk))
            if given > RATIO_FROM and given > RATIO * taken[0]:
                raise Unscannable(f"It grows to more than {RATIO} times its size when decompressed.")
            if self._size is not None and given > self._size:
                raise Malformed("it is longer than the archive says")
            yield chunk
        if self._size is not None and given != self._size:
            raise Malformed("it is shorter than the archive says")


class _Zlib:
    """zlib's decompressor with the interface of bz2's and lzma's."""

    def __init__(self, bits: int) -> None:
        self._inner = zlib.decompressobj(bits)

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, most)

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


_MAKERS: dict[str, Callable[[], object]] = {
    "deflate": lambda: _Zlib(-15),
    "zlib": lambda: _Zlib(15),
    "gzip": lambda: _Zlib(31),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=256 * MIB),
    "lzma": lambda: lzma.LZMADecompressor(memlimit=256 * MIB),
}


def _decompressed(kind: str, packed: Stream, taken: list[int]) -> Iterator[bytes]:
    """The bytes that come out. Several streams one after another are read as one, as loaders do.

    Raises Malformed for bytes that are none of the kind, or end early, or are followed by others.
    """
    make = _MAKERS[kind]
    while True:
        engine = make()
        while not engine.eof:  # type: ignore[attr-defined]
            data = b""
            if engine.needs_input:  # type: ignore[attr-defined]
                data = packed.peek(BLOCK)[:BLOCK]
                if not data:
                    raise Malformed("the compressed bytes end early")
                packed.skip(len(data))
                taken[0] += len(data)
            try:
                chunk = engine.decompress(data, BLOCK)  # type: ignore[attr-defined]
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
                raise Malformed(f"the compressed bytes are damaged ({type(error).__name__})") from None
            if chunk:
                yield chunk
        rest = engine.unused_data + packed.peek(1)  # type: ignore[attr-defined]
        if not rest:
            return
        if kind == "deflate":
            raise Malformed("bytes follow the compressed ones")
        packed = Stream(_first(engine.unused_data, packed))  # type: ignore[attr-defined]
        if kind in ("gzip", "xz") and not packed.peek(BLOCK).strip(b"\0") and len(packed.peek(BLOCK)) < BLOCK:
            return
        if kind in ("zlib", "lzma"):
            raise Malformed("bytes follow the compressed ones")


def _first(data: bytes, packed: Stream) -> Iterator[bytes]:
    if data:
        yield data
    while chunk := packed.peek(BLOCK):
        packed.skip(len(chunk))
        yield chunk
