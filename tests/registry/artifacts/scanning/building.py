"""Hands for building files that libraries would not write: pickles by opcode, archives that contradict themselves."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from typing import Any

MALICIOUS, SUSPICIOUS, UNSCANNABLE = "malicious", "suspicious", "unscannable"
# name -> (bytes, the verdict that it must at least get)
Made = dict[str, tuple[bytes, str]]


class Calls:
    """Pickled, a call of a global with these arguments."""

    def __init__(self, what: Any, *arguments: Any) -> None:
        self.what, self.arguments = what, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.what, self.arguments


def payload(canary: str, protocol: int = 2) -> bytes:
    """A pickle that makes a folder when it is loaded."""
    return pickle.dumps(Calls(os.mkdir, canary), protocol=protocol)


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def short(value: str) -> bytes:
    """SHORT_BINUNICODE."""
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def named(module: str, name: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{name}\n".encode()


def call(module: str, name: str, argument: str, protocol: int = 2) -> bytes:
    """A pickle that calls a global with one text."""
    return bytes([0x80, protocol]) + named(module, name) + text(argument) + b"\x85R."


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    """An archive as Python writes it."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, method)
        archive.comment = comment
    return held.getvalue()


def torch_zip(pickled: bytes, **more: bytes) -> bytes:
    """What torch.save writes since 1.6: a pickle beside raw storages."""
    members = {
        "archive/data.pkl": pickled,
        "archive/byteorder": b"little",
        "archive/data/0": struct.pack("<4f", 1.0, 2.0, 3.0, 4.0),
        "archive/version": b"3\n",
        **{f"archive/{name}": content for name, content in more.items()},
    }
    return zipped(members)


def tensor_pickle(key: str = "weight", storage: str = "FloatStorage") -> bytes:
    """The state dict of one tensor, as torch.save pickles it."""
    return (
        b"\x80\x02" + named("collections", "OrderedDict") + b")R" + text(key)
        + named("torch._utils", "_rebuild_tensor_v2") + b"((" + text("storage") + named("torch", storage)
        + text("0") + text("cpu") + b"K\x04tQK\x00K\x02K\x02\x86K\x02K\x01\x86\x89"
        + named("collections", "OrderedDict") + b")RtRs."
    )  # fmt: skip


def torch_legacy(obj: bytes, after: bytes = b"") -> bytes:
    """What torch.save wrote before 1.6: five pickles, then raw storages."""
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
    system = {
        "protocol_version": 1001,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    start = magic + pickle.dumps(1001, protocol=2) + pickle.dumps(system, protocol=2)
    return start + obj + pickle.dumps(["0"], protocol=2) + after


def field(number: int, content: bytes | str | int) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    raw = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def saved_model(*operations: str) -> bytes:
    """A SavedModel of nodes with these operations, the last one inside a function."""
    nodes = b"".join(field(1, field(1, f"n{n}") + field(2, op)) for n, op in enumerate(operations[:-1]))
    library = field(2, field(1, field(3, field(1, "inner") + field(2, operations[-1]))))
    return field(1, 1) + field(2, field(1, b"\x0a\x00") + field(2, nodes + library))


def safetensors(header: Any, content: bytes, length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + content


def gguf(template: str) -> bytes:
    """A model of one tensor with a chat template."""

    def string(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    keys = string("general.architecture") + struct.pack("<I", 8) + string("llama")
    keys += string("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + string("a") + string("b")
    keys += string("tokenizer.chat_template") + struct.pack("<I", 8) + string(template)
    tensor = string("w") + struct.pack("<IQIQ", 1, 4, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 3) + keys + tensor
    return head + b"\0" * (-len(head) % 32) + struct.pack("<4f", 1, 2, 3, 4)


def keras_zip(layers: list[dict[str, Any]]) -> bytes:
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"layers": layers},
        "registered_name": None,
    }
    hdf5 = b"\x89HDF\r\n\x1a\n" + bytes(range(64))
    return zipped(
        {"metadata.json": b"{}", "config.json": json.dumps(config).encode(), "model.weights.h5": hdf5}
    )


def dense(**more: Any) -> dict[str, Any]:
    """A layer of Keras's own."""
    return {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"units": 2},
        "registered_name": None,
        **more,
    }


def skops_schema(module: str, name: str, loader: str = "ObjectNode") -> bytes:
    node = {"__class__": name, "__module__": module, "__loader__": loader, "content": {}, "__id__": 1}
    return zipped({"schema.json": json.dumps({**node, "protocol": 2, "_skops_version": "0.16.0"}).encode()})
