"""Formats that hold numbers under names: safetensors, NumPy, GGUF. Nothing beyond the numbers they announce."""

from __future__ import annotations

import ast
import json
import re
import struct
from typing import Any

from registry.artifacts.scanning.context import Context
from registry.artifacts.scanning.pickles import Walker
from registry.artifacts.scanning.report import MALICIOUS, SUSPICIOUS, Malformed, Unscannable
from registry.artifacts.scanning.source import MIB, Input, Source, Stream
from registry.artifacts.scanning.values import count_of

MOST_HEADER = 100_000_000
BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F6_E2M3": 6,
    "F6_E3M2": 6, "F4": 4, "C64": 64, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32,
    "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a key is repeated in its header")
    return found


def judge_safetensors(source: Source, context: Context, where: str) -> None:
    """The header is JSON, and the tensors lie in the rest, one after another, filling it. Raises Malformed."""
    (length,) = struct.unpack("<Q", source.exactly(0, 8))
    if length > MOST_HEADER or length + 8 > source.size:
        raise Malformed("its header is longer than the file, or than any reader takes")
    try:
        header = json.loads(source.exactly(8, length).decode("utf-8"), object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError):
        raise Malformed("its header is not JSON") from None
    if not isinstance(header, dict):
        raise Malformed("its header is no object")
    spans: list[tuple[int, int]] = []
    for name, told in header.items():
        if name != "__metadata__":
            spans.append(_span(name, told))
        elif not isinstance(told, dict) or not all(isinstance(v, str) for v in told.values()):
            raise Malformed("its metadata is not text")
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            context.report.add(
                SUSPICIOUS, where, "its tensors overlap, or leave bytes between them that belong to none"
            )
            return
        at = end
    if at != source.size - 8 - length:
        context.report.add(SUSPICIOUS, where, "bytes follow its tensors, or its last tensors are missing")


def _span(name: str, told: Any) -> tuple[int, int]:
    wrong = Malformed(f"the tensor {name[:100]} is described wrongly")
    if not isinstance(told, dict) or set(told) != {"dtype", "shape", "data_offsets"}:
        raise wrong
    shape, offsets = told["shape"], told["data_offsets"]
    numbers = [*shape, *offsets] if isinstance(shape, list) and isinstance(offsets, list) else [None]
    if (
        told["dtype"] not in BITS
        or len(offsets) != 2
        or not all(type(n) is int and 0 <= n < 2**60 for n in numbers)
    ):
        raise wrong
    if (count_of(tuple(shape)) * BITS[told["dtype"]] + 7) // 8 != offsets[1] - offsets[0]:
        raise wrong
    return offsets[0], offsets[1]


def judge_npy(content: Input, context: Context, where: str) -> None:
    """An array of numbers; one of objects is a pickle, and is walked. Raises Malformed, Unscannable."""
    stream = content.stream()
    stream.skip(6)
    major = stream.read(2)[0]
    width = 2 if major == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if major not in (1, 2, 3) or length > MIB:
        raise Malformed("its header is longer than any array needs")
    try:
        header = ast.literal_eval(stream.read(length).decode("latin-1" if major < 3 else "utf-8").strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        raise Malformed("its header cannot be read") from None
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise Malformed("its header lacks what describes an array")
    size = item_size(header["descr"])
    if size is None:
        Walker(stream, context.report, where).pickle()
    else:
        stream.skip(count_of(header["shape"]) * size)
    if not stream.ended():
        context.report.add(SUSPICIOUS, where, "bytes follow the end of the array")


def item_size(descr: Any) -> int | None:
    """The bytes of one item as NumPy describes it in a header; None when it holds objects. Raises Unscannable."""
    if isinstance(descr, str):
        match = re.fullmatch(r"[<>|=]?([?biufcSUVOMm])(\d{0,9})(\[[\w/]+\])?", descr)
        if match is None:
            raise Unscannable("An array in it has a type that cannot be told without loading it.")
        kind, digits = match.group(1), int(match.group(2) or 0)
        if kind == "O":
            return None
        return 1 if kind == "?" else digits * (4 if kind == "U" else 1)
    if isinstance(descr, list) and len(descr) < 10_000:
        total = 0
        for field in descr:
            if not isinstance(field, tuple) or len(field) not in (2, 3):
                raise Unscannable("An array in it has fields that cannot be told without loading it.")
            size = item_size(field[1])
            if size is None:
                return None
            total += size * (count_of(field[2]) if len(field) == 3 else 1)
        return total
    raise Unscannable("An array in it has a type that cannot be told without loading it.")


# ---- GGUF

TEXT, ARRAY = 8, 9
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
MOST_KEYS, MOST_TENSORS, MOST_TEXT = 100_000, 1_000_000, 16 * MIB
REACHES = re.compile(
    r"__\w+__|\battr\s*\(|\bmro\b|func_globals|gi_frame|cr_frame|\bglobals\b|builtins|"
    r"\b(?:lipsum|cycler|joiner)\b|\bself\b\s*(?:\.|\[)|\bpopen\b|\\x5f|\\u005f|\bimport\s+os\b|"
    r"\|\s*attr\b|\|\s*map\s*\(\s*attribute|%\s*(?:include|import|extends|from)\b",
    re.IGNORECASE,
)


def judge_gguf(content: Input, context: Context, where: str) -> None:
    """Key by key, tensor by tensor; a chat template is a program, and must not reach for Python. Raises Malformed."""
    stream = content.stream()
    stream.skip(4)
    version, tensors, keys = struct.unpack("<IQQ", stream.read(20))
    if version not in (2, 3) or keys > MOST_KEYS or tensors > MOST_TENSORS:
        raise Malformed("its version is unknown, or it announces more than a model has")
    alignment = 32
    for _ in range(keys):
        key = _gguf_text(stream)
        kind = int.from_bytes(stream.read(4), "little")
        value = _gguf_value(stream, kind, 0)
        if key == "general.alignment" and isinstance(value, int):
            alignment = value
        texts = value if isinstance(value, list) else [value]
        if "template" in key and any(isinstance(text, str) and REACHES.search(text) for text in texts):
            context.report.add(
                MALICIOUS, where, f"the template {key} reaches for attributes that lead to running code", key
            )
    if not 8 <= alignment <= 4096:
        raise Malformed("its alignment is impossible")
    offsets = [_gguf_tensor(stream) for _ in range(tensors)]
    begins = (stream.position + alignment - 1) // alignment * alignment
    if isinstance(content, Source) and offsets and begins + max(offsets) > content.size:
        context.report.add(SUSPICIOUS, where, "a tensor lies beyond the end of the file")


def _gguf_text(stream: Stream) -> str:
    length = int.from_bytes(stream.read(8), "little")
    if length > MOST_TEXT:
        raise Malformed("a text in it is longer than any model has")
    return stream.read(length).decode("utf-8", "replace")


def _gguf_value(stream: Stream, kind: int, depth: int) -> Any:
    if kind == TEXT:
        return _gguf_text(stream)
    if kind == ARRAY:
        inner = int.from_bytes(stream.read(4), "little")
        count = int.from_bytes(stream.read(8), "little")
        if inner in WIDTHS:
            stream.skip(count * WIDTHS[inner])
            return None
        if depth > 3 or count > 10_000_000:
            raise Malformed("a list in it is nested too deep, or too long")
        found = [_gguf_value(stream, inner, depth + 1) for _ in range(count)]
        return found[:1000]
    if kind not in WIDTHS:
        raise Malformed("a value in it is of an unknown kind")
    return int.from_bytes(stream.read(WIDTHS[kind]), "little")


def _gguf_tensor(stream: Stream) -> int:
    _gguf_text(stream)
    dimensions = int.from_bytes(stream.read(4), "little")
    if dimensions > 8:
        raise Malformed("a tensor has too many dimensions")
    stream.skip(8 * dimensions + 4)
    return int.from_bytes(stream.read(8), "little")
