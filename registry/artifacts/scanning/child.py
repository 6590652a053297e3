"""The scanning process: `python -I -S -B -c BOOT`, started by `registry.artifacts.sandbox`.

It talks to its parent through its standard input and output, in little-endian numbers, until its input ends:

    parent -> child   u64 size of the file in bytes, u32 seconds of CPU: for the first file
    child  -> parent  "H" u32 length, JSON: how it is shut out
    parent -> child   u64 size of the file in bytes, u32 nothing: for each further one
    child  -> parent  "R" u64 offset, u32 length: bytes wanted; the parent answers with exactly these
    child  -> parent  "D" u32 length, JSON: the report
"""

from __future__ import annotations

import codecs
import json
import os
import struct
import unicodedata
from collections.abc import Callable
from typing import Any

from registry.artifacts.scanning.confine import limit, shut_out
from registry.artifacts.scanning.judging import scan
from registry.artifacts.scanning.report import UNSCANNABLE, Report
from registry.artifacts.scanning.source import Source

LEAST, MOST = 64 * 1024, 1024 * 1024
KEPT = 4
# Nothing can be opened later: what Python would only import when it is first used is used here.
CODECS = ("utf-8", "ascii", "latin-1", "raw-unicode-escape", "unicode-escape")
UNICODE = unicodedata.unidata_version


class Ahead:
    """The file, in pieces that grow while it is read from front to back. At most four pieces are kept."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch, self._size = fetch, size
        self._pieces: list[tuple[int, bytes]] = []
        self._next, self._step = -1, LEAST

    def read(self, offset: int, length: int) -> bytes:
        """The bytes there; fewer at the end."""
        length = min(length, self._size - offset)
        for begins, piece in reversed(self._pieces):
            if begins <= offset and offset + length <= begins + len(piece):
                return piece[offset - begins : offset - begins + length]
        going_on = self._next - MOST <= offset <= self._next
        self._step = min(self._step * 2, MOST) if going_on else LEAST
        piece = self._fetch(offset, min(max(length, self._step), self._size - offset))
        self._next = offset + len(piece)
        self._pieces = [*self._pieces[-(KEPT - 1) :], (offset, piece)]
        return piece[:length]


def _receive(count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        chunk = os.read(0, count - len(found))
        if not chunk:
            os._exit(3)
        found += chunk
    return bytes(found)


def _send(content: bytes) -> None:
    while content:
        content = content[os.write(1, content) :]


def _tell(kind: bytes, told: dict[str, Any]) -> None:
    content = json.dumps(told).encode()
    _send(kind + struct.pack("<I", len(content)) + content)


def _fetch(offset: int, length: int) -> bytes:
    _send(b"R" + struct.pack("<QI", offset, length))
    return _receive(length)


def main() -> None:
    """Scan one file after another, shut out of everything else."""
    for name in CODECS:
        codecs.lookup(name)
    machine = os.uname().machine
    size, cpu_seconds = struct.unpack("<QI", _receive(12))
    limit(cpu_seconds)
    shut = shut_out(machine)
    _tell(b"H", {"shut_out": shut})
    if not shut:
        return
    while True:
        _tell(b"D", judged(Source(Ahead(_fetch, size).read, size)))
        size, _ = struct.unpack("<QI", _receive(12))


def judged(source: Source) -> dict[str, Any]:
    """The report on a file. Whatever goes wrong is told, and never clean."""
    report = Report()
    try:
        report = scan(source)
    except MemoryError:
        report.add(UNSCANNABLE, "", "it needs more memory to be looked at than a scan may have")
    except Exception as error:  # noqa: BLE001 - a fault of ours says nothing for the file
        report.add(UNSCANNABLE, "", f"the scanner failed on it ({type(error).__name__})")
    return {"format": report.format, "verdict": report.verdict, "findings": report.findings}
