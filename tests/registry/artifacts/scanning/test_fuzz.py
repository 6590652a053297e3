"""The walker beside Python's own unpicklers: it ends on anything, and no global that they would import escapes it."""

from __future__ import annotations

import contextlib
import functools
import io
import pickle
import struct
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry.artifacts.scanning.child import judged
from registry.artifacts.scanning.report import WORSE
from registry.artifacts.scanning.source import Source
from tests.registry.artifacts.scanning import benign, hostile
from tests.registry.artifacts.scanning.building import named, short, text

FINE = pickle.dumps({"a": [1, 2.5, None], "b": (b"x" * 300, "y"), "c": {1, 2}}, protocol=4)
# Pieces of pickles; `evil` stands for any module that is on no list.
PIECES = [
    b"(", b"0", b"1", b"2", b"N", b"]", b"}", b")", b"t", b"l", b"d", b"e", b"a", b"s", b"u", b"o", b"b", b"R",
    b"\x81", b"\x85", b"\x86", b"\x87", b"\x88", b"\x8f", b"\x90", b"\x91", b"\x92", b"\x93", b"\x94", b"K\x01",
    b"I1\n", b"L5L\n", b"F1.5\n", b"S'evil'\n", b"S'ev\\x69l'\n", b"Vevil\n", b"V\\u0065vil\n", b"U\x04evil",
    b"q\x00", b"h\x00", b"q\x01", b"h\x01", b"p2\n", b"g2\n", b"r\x03\x00\x00\x00", b"j\x03\x00\x00\x00",
    b"h\x02", b"C\x04evil", b"ievil\nthing\n", b"\x80\x04", b"\x80\x00", b"\x95" + struct.pack("<Q", 6),
    short("evil"), short("thing"), text("evil"), text("thing.x"), named("evil", "thing"),
    named("collections", "OrderedDict"), named("builtins", "str"), b"\x8a\x01\x05", b"G" + bytes(8), b".",
]  # fmt: skip


class Stand:
    """Whatever a global gives, without being it: it takes every call and every change."""

    def __new__(cls, *_: Any, **__: Any) -> Stand:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def extend(self, items: Any) -> None:
        pass

    def add(self, item: Any) -> None:
        pass

    def update(self, items: Any) -> None:
        pass


def imported(loader: type[Any], content: bytes) -> list[tuple[str, str]]:
    """What the loader would import, which it is kept from."""
    asked: list[tuple[str, str]] = []

    class Watched(loader):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            asked.append((module, name))
            return str if (module, name) == ("builtins", "str") else Stand

    with contextlib.suppress(Exception):
        Watched(io.BytesIO(content)).load()
    return asked


@settings(max_examples=1500, deadline=None, database=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=24))
@example([named("evil", "thing"), b")R."])
@example([short("evil"), b"q\x00", short("thing"), b"q\x01", b"h\x00", b"h\x01", b"\x93", b"."])
def test_what_an_unpickler_would_import_is_told(pieces: list[bytes]) -> None:
    content = b"\x80\x04" + b"".join(pieces)
    report = judged(Source.of(content))
    assert not any("scanner failed" in found["what"] for found in report["findings"])
    for loader in (pickle.Unpickler, pickle._Unpickler):
        asked = imported(loader, content)
        if any(module not in ("collections", "builtins") for module, _ in asked):
            assert WORSE[report["verdict"]] >= WORSE["suspicious"], (content, asked)


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(st.sampled_from([FINE, b"", b"PK\x03\x04", b"GGUF", b"\x93NUMPY\x01\x00"]), st.data())
def test_it_ends_on_any_bytes_with_a_verdict(start: bytes, data: st.DataObject) -> None:
    content = bytearray(start + data.draw(st.binary(max_size=200)))
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    report = judged(Source.of(bytes(content)))
    assert report["verdict"] in WORSE
    assert not any("scanner failed" in found["what"] for found in report["findings"]), bytes(content)


@functools.cache
def small() -> dict[str, bytes]:
    """One small file of each format there is."""
    made = {sample.name: sample.content for sample in hostile.corpus("/nowhere")}
    made |= {name: content for name, (content, _) in benign.corpus().items()}
    return {name: content for name, content in made.items() if 0 < len(content) < 20_000}


@settings(max_examples=400, deadline=None, database=None, derandomize=True)
@given(st.data())
def test_every_kind_of_file_survives_being_damaged(data: st.DataObject) -> None:
    content = bytearray(small()[data.draw(st.sampled_from(sorted(small())))])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    report = judged(Source.of(bytes(content)))
    assert report["verdict"] in WORSE
    assert not any("scanner failed" in found["what"] for found in report["findings"]), bytes(content)
