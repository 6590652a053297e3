"""Archives: every file in them is judged by its own bytes, whatever it is called."""

from __future__ import annotations

import re
import stat

from registry.artifacts.scanning.context import RAW, TORCH_PICKLE, Context, inside
from registry.artifacts.scanning.declared import judge_keras_config, judge_skops_schema
from registry.artifacts.scanning.directory import (
    ENCRYPTED,
    KINDS,
    MASKED,
    PATCHED,
    STRONG,
    Directory,
    Member,
    end_records,
)
from registry.artifacts.scanning.report import SUSPICIOUS, UNSCANNABLE, Malformed
from registry.artifacts.scanning.sniff import tar_sum_is_right
from registry.artifacts.scanning.source import MOST_HELD, Inflated, Input, Source, Stream

TORCH_STORAGE = re.compile(r"[^/]+/(data/\d+|version|byteorder|\.data/serialization_id|\.format_version)")
TORCH_PICKLES = re.compile(r"[^/]+/(data|constants)\.pkl")
SKOPS_STORED = re.compile(r"\d+\.(npy|npz|bytes|bytearray|pickle)|\d+")


def judge_zip(source: Source, context: Context, where: str, depth: int) -> str:
    """Judge a zip archive; returns what kind it is. Raises Malformed, Unscannable."""
    report = context.report
    ends = end_records(source)
    if not ends:
        raise Malformed("it has no end record at its end")
    if ends[1:]:
        report.add(SUSPICIOUS, where, "the zip archive contradicts itself: two end records close it")
    directory = Directory(source, ends[0])
    for doubt in dict.fromkeys(directory.doubts):
        report.add(SUSPICIOUS, where, f"the zip archive contradicts itself: {doubt}")
    members = [member for member in directory.members if not _is_folder(member)]
    kind = _kind({member.name for member in members})
    seen: set[str] = set()
    for member in directory.members:
        plain = re.sub(r"/+", "/", member.name.replace("\\", "/")).removeprefix("./").lower()
        if plain in seen:
            report.add(
                SUSPICIOUS,
                inside(where, member.name),
                "two entries have this name; readers differ in the choice",
            )
        seen.add(plain)
        _check_name(context, where, member.name)
    for member in members:
        context.budget.member()
        place = inside(where, member.name)
        if stat.S_IFMT(member.mode) not in (0, stat.S_IFREG):
            report.add(SUSPICIOUS, place, "it is a link or a device, not a file")
        if member.flags & (ENCRYPTED | STRONG | MASKED | PATCHED):
            report.add(UNSCANNABLE, place, "it is encrypted, or a patch to another file")
            continue
        if member.method not in KINDS:
            report.add(
                UNSCANNABLE, place, f"it is compressed by method {member.method}, which is not looked into"
            )
            continue
        content = _content(source, member, context)
        if content is None:
            report.add(SUSPICIOUS, place, "its two sizes contradict each other")
            continue
        context.look(content, place, depth + 1, _role(kind, member.name))
        _judge_declared(kind, member.name, content, context, place)
    return kind


def _content(source: Source, member: Member, context: Context) -> Input | None:
    packed = source.part(member.data_at, member.packed)
    if member.method:
        return Inflated(KINDS[member.method], packed, context.budget, member.size)
    return packed if member.packed == member.size else None


def _is_folder(member: Member) -> bool:
    return member.name.endswith("/") and member.size == 0 and member.packed <= 2


def _kind(names: set[str]) -> str:
    if "schema.json" in names:
        return "skops"
    if "config.json" in names and ("metadata.json" in names or "model.weights.h5" in names):
        return "keras"
    if any(re.fullmatch(r"[^/]+/constants\.pkl", name) for name in names):
        return "torchscript"
    if any(re.fullmatch(r"[^/]+/data\.pkl", name) for name in names):
        return "torch"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    return "zip"


def _role(kind: str, name: str) -> str:
    if kind in ("torch", "torchscript"):
        if TORCH_PICKLES.fullmatch(name):
            return TORCH_PICKLE
        if TORCH_STORAGE.fullmatch(name):
            return RAW
    return ""


def _judge_declared(kind: str, name: str, content: Input, context: Context, place: str) -> None:
    """What an archive says about itself in JSON, and a loader acts on."""
    if kind == "skops" and name == "schema.json":
        judge_skops_schema(content, context.report, place)
    elif kind == "keras" and name == "config.json":
        judge_keras_config(content, context.report, place)


def _check_name(context: Context, where: str, name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if (
        ".." in parts
        or name.startswith(("/", "\\"))
        or re.match(r"[A-Za-z]:", name)
        or "\\" in name
        or "\0" in name
    ):
        context.report.add(
            SUSPICIOUS, inside(where, name), "its name leads out of the folder it is unpacked to"
        )


def judge_tar(content: Input, context: Context, where: str, depth: int) -> None:
    """Judge a tar archive. Raises Malformed, Unscannable."""
    stream = content.stream()
    base = content if isinstance(content, Source) else None
    long_name = ""
    while True:
        block = stream.read(512)
        if not block.strip(b"\0"):
            _check_padding(stream, context, where)
            return
        if not tar_sum_is_right(block):
            raise Malformed("a header in the archive is damaged")
        size, kind = _tar_number(block[124:136]), block[156:157]
        padded = (size + 511) // 512 * 512
        if kind in b"LKxgX" and kind:
            told = stream.read(padded)[:size] if size <= 1024 * 1024 else _too_long()
            long_name = _tar_name(kind, told, context, where) or long_name
            continue
        prefix = block[345:500].rstrip(b"\0") + b"/" if block[257:262] == b"ustar" and block[345] else b""
        name = long_name or (prefix + block[:100].split(b"\0")[0]).decode("utf-8", "replace")
        long_name = ""
        place = inside(where, name)
        context.budget.member()
        _check_name(context, where, name)
        if kind in (b"1", b"2", b"3", b"4", b"6"):
            context.report.add(SUSPICIOUS, place, "it is a link or a device, not a file")
        elif kind == b"5":
            pass
        elif kind not in (b"0", b"\0", b"7"):
            context.report.add(UNSCANNABLE, place, "it is an entry of a kind that is not looked into")
        elif base is not None:
            context.look(base.part(stream.position, size), place, depth + 1, "")
        elif size > MOST_HELD:
            context.report.add(UNSCANNABLE, place, "compressed inside, it is too large to be looked into")
        else:
            context.look(Source.of(stream.peek(size)), place, depth + 1, "")
        stream.skip(padded)


def _too_long() -> bytes:
    raise Malformed("a name in the archive is too long")


def _tar_number(field: bytes) -> int:
    if field[0] & 0x80:
        number = int.from_bytes(field[1:], "big")
        if field[0] != 0x80 or number >= 2**62:
            raise Malformed("a size in the archive is impossible")
        return number
    try:
        number = int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise Malformed("a size in the archive is no number") from None
    if number < 0:
        raise Malformed("a size in the archive is negative")
    return number


def _tar_name(kind: bytes, told: bytes, context: Context, where: str) -> str:
    """The long name that an extended header gives the next entry."""
    if kind == b"L":
        return told.split(b"\0")[0].decode("utf-8", "replace")
    if kind == b"K":
        return ""
    name = ""
    for line in told.split(b"\n"):
        key, _, value = line.partition(b" ")[2].partition(b"=")
        if key == b"path" and kind == b"x":
            name = value.decode("utf-8", "replace")
        elif key == b"size" or key.startswith(b"GNU.sparse") or (key == b"path" and kind != b"x"):
            context.report.add(
                SUSPICIOUS, where, "the tar archive contradicts itself: a size or name is told twice"
            )
    return name


def _check_padding(stream: Stream, context: Context, where: str) -> None:
    while chunk := stream.peek(64 * 1024):
        if chunk.strip(b"\0"):
            context.report.add(SUSPICIOUS, where, "bytes follow the end of the tar archive")
            return
        stream.skip(len(chunk))
