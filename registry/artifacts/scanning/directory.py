"""The directory of a zip archive, read so that no two readers could see another archive than we do.

Python, PyTorch (miniz), libzip and Java differ on archives that contradict themselves; each contradiction is a
finding, whoever would profit from it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from registry.artifacts.scanning.report import Malformed, Unscannable
from registry.artifacts.scanning.source import MOST_MEMBERS, Source

END, END64, LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
CENTRAL, LOCAL, DESCRIPTOR = b"PK\x01\x02", b"PK\x03\x04", b"PK\x07\x08"
TAIL = 22 + 65535
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF
MOST_DIRECTORY = 64 * 1024 * 1024
ENCRYPTED, DESCRIBED_AFTER, PATCHED, STRONG, MASKED = 0x1, 0x8, 0x20, 0x40, 0x2000
KINDS = {0: "stored", 8: "deflate"}


@dataclass
class Member:
    """One file of an archive, as both of its headers tell it."""

    name: str
    method: int
    flags: int
    packed: int
    size: int
    header_at: int
    data_at: int
    mode: int

    @property
    def ends(self) -> int:
        return self.data_at + self.packed


def end_records(source: Source) -> list[int]:
    """Where end records begin that close the file exactly, the last one first. One is right; readers differ on two."""
    at = max(source.size - TAIL, 0)
    tail = source.exactly(at, source.size - at)
    records: list[int] = []
    found = len(tail)
    while (found := tail.rfind(END, 0, found)) >= 0:
        if len(tail) - found >= 22:
            (comment,) = struct.unpack_from("<H", tail, found + 20)
            if found + 22 + comment == len(tail):
                records.append(at + found)
    return records


def any_end_record(source: Source) -> bool:
    """Whether an end record with a directory before it lies near the end: a reader that searches finds it."""
    at = max(source.size - TAIL, 0)
    tail = source.exactly(at, source.size - at)
    found = len(tail)
    while (found := tail.rfind(END, 0, found)) >= 0:
        if len(tail) - found >= 22:
            size, _, comment = struct.unpack_from("<IIH", tail, found + 12)
            begins = at + found - size
            fits = found + 22 + comment <= len(tail) and begins >= 0
            if fits and (size == 0 or source.read(begins, 4) in (CENTRAL, END64)):
                return True
    return False


class Directory:
    """The members of an archive, and in `doubts` every contradiction. Raises Malformed, Unscannable."""

    def __init__(self, source: Source, end_at: int) -> None:
        self.source = source
        self.doubts: list[str] = []
        self.members: list[Member] = []
        count, size, start, closes = self._end(end_at)
        if start + size != closes:
            self.doubts.append("its directory is not where it says: bytes were put before it, or inside it")
            start = closes - size
        if start < 0 or size > MOST_DIRECTORY or count > MOST_MEMBERS:
            raise Unscannable("Its directory is larger than a model needs.")
        self._read(source.exactly(start, size), count)
        self._layout(start)

    def _end(self, at: int) -> tuple[int, int, int, int]:
        """Count, size and start of the directory, and where it has to end."""
        record = self.source.exactly(at, self.source.size - at)
        disk, first, here, count, size, start, comment = struct.unpack_from("<HHHHIIH", record, 4)
        if comment:
            self.doubts.append("it has a comment at its end, where a second end record can hide")
        locator = self.source.read(at - 20, 20) if at >= 20 else b""
        if locator[:4] != LOCATOR64:
            if FULL16 in (count, here) or FULL32 in (size, start):
                raise Malformed("it refers to a 64-bit end record that is not there")
            if disk or first or here != count:
                self.doubts.append("it claims to be part of several volumes")
            return count, size, start, at
        (_, at64, volumes) = struct.unpack("<IQI", locator[4:])
        record = self.source.exactly(at64, 56)
        length, _, _, disk64, first64, here64, count64, size64, start64 = struct.unpack(
            "<QHHIIQQQQ", record[4:]
        )
        if record[:4] != END64 or length + 12 + at64 != at - 20:
            raise Malformed("its 64-bit end record is not where it says")
        if disk64 or first64 or here64 != count64 or volumes != 1:
            self.doubts.append("it claims to be part of several volumes")
        for short, long, full in ((count, count64, FULL16), (size, size64, FULL32), (start, start64, FULL32)):
            if short not in (full, long):
                self.doubts.append("its two end records contradict each other")
        return count64, size64, start64, at64

    def _read(self, content: bytes, count: int) -> None:
        at = 0
        for _ in range(count):
            if content[at : at + 4] != CENTRAL or at + 46 > len(content):
                raise Malformed("its directory is damaged")
            (_, system, _, flags, method, _, _, crc, packed, size, name_n, extra_n, comment_n, _, _, outer,
             header_at) = struct.unpack_from("<BBHHHHHIIIHHHHHII", content, at + 4)  # fmt: skip
            name = content[at + 46 : at + 46 + name_n]
            extra = content[at + 46 + name_n : at + 46 + name_n + extra_n]
            at += 46 + name_n + extra_n + comment_n
            size, packed, header_at = self._wide(extra, size, packed, header_at)
            member = Member(_text(name), method, flags, packed, size, header_at, 0, outer >> 16)
            if system not in (0, 3, 19):
                member.mode = 0
            self._local(member, name, crc)
            self.members.append(member)
        if at != len(content):
            self.doubts.append("its directory holds more than the entries it counts")

    def _wide(self, extra: bytes, *values: int) -> tuple[int, int, int]:
        """Size, packed size and offset, from the 64-bit extra field where the short ones are full."""
        wide = b""
        at = 0
        while at + 4 <= len(extra):
            tag, length = struct.unpack_from("<HH", extra, at)
            if tag == 1:
                wide = extra[at + 4 : at + 4 + length]
            elif tag in (0x7075, 0x6375):
                self.doubts.append("an entry has a second name, which some readers take instead")
            at += 4 + length
        found = list(values)
        at = 0
        for number, value in enumerate(found):
            if value == FULL32:
                if at + 8 > len(wide):
                    raise Malformed("an entry lacks its 64-bit sizes")
                (found[number],) = struct.unpack_from("<Q", wide, at)
                at += 8
        return found[0], found[1], found[2]

    def _local(self, member: Member, raw: bytes, crc: int) -> None:
        """Compare with the header before the data, by which other readers go."""
        header = self.source.exactly(member.header_at, 30)
        if header[:4] != LOCAL:
            raise Malformed(f"{member.name} has no header where the directory says")
        _, flags, method, _, _, local_crc, packed, size, name_n, extra_n = struct.unpack_from(
            "<HHHHHIIIHH", header, 4
        )
        more = self.source.exactly(member.header_at + 30, name_n + extra_n)
        member.data_at = member.header_at + 30 + name_n + extra_n
        if more[:name_n] != raw:
            self.doubts.append(f"{member.name} is called {_text(more[:name_n])} before its data")
        if method != member.method or (flags ^ member.flags) & (ENCRYPTED | STRONG | MASKED | PATCHED):
            self.doubts.append(f"{member.name} is stored in another way than the directory says")
        described_after = bool(flags & DESCRIBED_AFTER)
        size, packed, _ = self._wide(more[name_n:], size, packed, 0)
        for here, told in ((packed, member.packed), (size, member.size), (local_crc, crc)):
            if here != told and not (described_after and here == 0):
                self.doubts.append(f"{member.name} has other sizes before its data than in the directory")
                break

    def _layout(self, directory_at: int) -> None:
        """Members follow each other without gaps and overlaps, from the first byte to the directory."""
        if not self.members and directory_at:
            self.doubts.append("bytes come before its directory that belong to no entry")
        expected = 0
        for member in sorted(self.members, key=lambda each: each.header_at):
            if member.header_at < expected:
                self.doubts.append(f"{member.name} overlaps the entry before it")
            elif member.header_at > expected:
                self.doubts.append(f"bytes lie before {member.name} that belong to no entry")
            expected = member.ends
            if member.flags & DESCRIBED_AFTER:
                expected += self._descriptor(member)
        if self.members and expected != directory_at:
            self.doubts.append(
                "bytes lie before its directory that belong to no entry, or an entry runs into it"
            )

    def _descriptor(self, member: Member) -> int:
        """The length of what repeats the sizes after the data: 12 to 24 bytes."""
        found = self.source.read(member.ends, 24)
        signed = 4 if found[:4] == DESCRIPTOR else 0
        for width, form in ((20, "<QQ"), (12, "<II")):
            if signed + width <= len(found):
                packed, size = struct.unpack_from(form, found, signed + 4)
                if (packed, size) == (member.packed, member.size):
                    return signed + width
        self.doubts.append(f"{member.name} has other sizes after its data than in the directory")
        return 0


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
