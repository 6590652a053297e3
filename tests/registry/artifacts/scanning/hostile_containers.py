"""Hostile containers: archives that contradict themselves, and formats that hold or declare what runs."""

from __future__ import annotations

import functools
import gzip
import io
import os
import struct
import tarfile
import zipfile

import numpy as np

from tests.registry.artifacts.scanning.building import (
    MALICIOUS,
    SUSPICIOUS,
    UNSCANNABLE,
    Calls,
    Made,
    dense,
    field,
    gguf,
    keras_zip,
    named,
    payload,
    safetensors,
    saved_model,
    skops_schema,
    tensor_pickle,
    text,
    torch_legacy,
    torch_zip,
    zipped,
)


@functools.cache
def _zip_bomb() -> bytes:
    return zipped({"a.txt": b" " * (160 * 1024 * 1024)}, zipfile.ZIP_DEFLATED)


def zips(canary: str) -> Made:
    evil = payload(canary)
    fine = zipped({"a.json": b"{}", "b.json": b"[]"})
    end = fine.rindex(b"PK\x05\x06")
    central = fine.index(b"PK\x01\x02")
    second = fine.index(b"PK\x01\x02", central + 4)

    def changed(*edits: tuple[int, bytes]) -> bytes:
        content = bytearray(fine)
        for at, new in edits:
            content[at : at + len(new)] = new
        return bytes(content)

    twice = zipped({"a.json": b"{}", "x.json": b"[]"}).replace(b"x.json", b"a.json")
    linked = zipfile.ZipInfo("link")
    linked.external_attr, linked.create_system = 0o120777 << 16, 3
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(linked, "/etc/passwd")
    seconds_name = struct.pack("<HHBI", 0x7075, 11, 1, 0) + b"a.json"
    info = zipfile.ZipInfo("b.json")
    info.extra = seconds_name
    extra = io.BytesIO()
    with zipfile.ZipFile(extra, "w") as archive:
        archive.writestr(info, "[]")
    return {
        "zip with a pickle called text": (zipped({"notes.txt": evil}), MALICIOUS),
        "zip with a pickle, deflated": (zipped({"weights.bin": evil}, zipfile.ZIP_DEFLATED), MALICIOUS),
        "zip in zip in zip": (zipped({"a": zipped({"b": zipped({"c": evil})}, 8)}, 8), MALICIOUS),
        "zip with gzip with a pickle": (zipped({"a.csv": gzip.compress(evil)}), MALICIOUS),
        "zip with a name twice": (twice, SUSPICIOUS),
        "zip with another name before the data": (changed((30, b"z.json")), SUSPICIOUS),
        "zip with other sizes before the data": (changed((18, b"\x01")), SUSPICIOUS),
        "zip with another method before the data": (changed((8, b"\x08")), SUSPICIOUS),
        "zip with an encrypted entry": (changed((central + 8, b"\x01"), (6, b"\x01")), UNSCANNABLE),
        "zip with an unknown method": (changed((central + 10, b"\x63"), (8, b"\x63")), UNSCANNABLE),
        "zip with overlapping entries": (changed((second + 42, b"\x00")), SUSPICIOUS),
        "zip with bytes before": (b"#!/bin/sh\n" + fine, SUSPICIOUS),
        "zip with bytes behind": (fine + b"behind", UNSCANNABLE),
        "zip with a second end in the comment": (zipped({"a.json": b"{}"}, 0, fine[end:]), SUSPICIOUS),
        "zip with a gap": (_with_gap(fine, central, end), SUSPICIOUS),
        "zip with an entry that is not counted": (changed((end + 8, b"\x01\x00\x01\x00")), SUSPICIOUS),
        "zip64 end that is not there": (changed((end + 8, b"\xff\xff\xff\xff")), UNSCANNABLE),
        "zip64 end that contradicts": (_with_zip64(fine, end), SUSPICIOUS),
        "zip of several volumes": (changed((end + 4, b"\x01\x00")), SUSPICIOUS),
        "zip with a second name": (extra.getvalue(), SUSPICIOUS),
        "zip with a link": (held.getvalue(), SUSPICIOUS),
        "zip that leads out": (zipped({"../../etc/cron.d/x": b"{}"}), SUSPICIOUS),
        "zip with an absolute name": (zipped({"/etc/x.json": b"{}"}), SUSPICIOUS),
        "zip with a longer member": (_longer(), UNSCANNABLE),
        "zip bomb": (_zip_bomb(), UNSCANNABLE),
        "zip with too many files": (_many(21_000), UNSCANNABLE),
    }


def _with_gap(fine: bytes, central: int, end: int) -> bytes:
    """Bytes before the directory that no entry owns, and an end record that agrees."""
    content = bytearray(fine[:central] + b"hidden" + fine[central:])
    struct.pack_into("<I", content, end + 6 + 16, central + 6)
    return bytes(content)


def _with_zip64(fine: bytes, end: int) -> bytes:
    size, start = struct.unpack_from("<II", fine, end + 12)
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, size, start)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1)
    return fine[:end] + record + locator + fine[end:]


def _longer() -> bytes:
    """A deflated member that holds more than both of its headers say."""
    content = bytearray(zipped({"a.txt": b"a" * 1000}, zipfile.ZIP_DEFLATED))
    struct.pack_into("<I", content, 22, 10)
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 10)
    return bytes(content)


@functools.cache
def _many(count: int) -> bytes:
    local, directory = bytearray(), bytearray()
    for n in range(count):
        name = f"{n:05}".encode()
        told = (20, 0, 20, 0, 0, 0, 33, 0, 0, 0, 5, 0, 0, 0, 0, 0, len(local))
        directory += b"PK\x01\x02" + struct.pack("<BBHHHHHIIIHHHHHII", *told) + name
        local += b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, 0, 0, 0, 5, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(local), 0)
    return bytes(local + directory + end)


def _tar(name: str, content: bytes = b"", **more: object) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        for key, value in more.items():
            setattr(info, key, value)
        archive.addfile(info, io.BytesIO(content))
    return held.getvalue()


def tars(canary: str) -> Made:
    evil = payload(canary)
    return {
        "tar with a pickle": (_tar("weights.txt", evil), MALICIOUS),
        "tar in gzip with a pickle": (gzip.compress(_tar("weights.txt", evil)), MALICIOUS),
        "tar with a long name and a pickle": (_tar("x" * 200 + ".txt", evil), MALICIOUS),
        "tar with a link": (_tar("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), SUSPICIOUS),
        "tar that leads out": (_tar("../../x.json", b"{}"), SUSPICIOUS),
        "tar with bytes behind": (_tar("a.json", b"{}") + b"behind", SUSPICIOUS),
        "tar with a damaged header": (
            _tar("a.json", b"{}")[:300] + b"XX" + _tar("a.json", b"{}")[302:],
            UNSCANNABLE,
        ),
    }


def torch(canary: str) -> Made:
    evil, fine = payload(canary), tensor_pickle()
    return {
        "torch": (torch_zip(evil), MALICIOUS),
        "torch, beside a tensor": (
            torch_zip(fine[:-1] + named("os", "mkdir") + text(canary) + b"\x85R0."),
            MALICIOUS,
        ),
        "torch with a pickle as storage": (torch_zip(fine, **{"data/1": evil}), MALICIOUS),
        "torch with a pickle more": (torch_zip(fine, **{"extra/notes": evil}), MALICIOUS),
        "torch with an unknown storage": (torch_zip(tensor_pickle(storage="EvilStorage")), SUSPICIOUS),
        "torch, deflated with gzip inside": (zipped({"archive/data.pkl": gzip.compress(evil)}, 8), MALICIOUS),
        "old torch": (torch_legacy(evil, b"\0" * 64), MALICIOUS),
        "old torch, first pickle": (evil + torch_legacy(fine), MALICIOUS),
    }


def _npy(value: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, value, allow_pickle=True)
    return held.getvalue()


def declared(canary: str) -> Made:
    objects = np.empty(1, dtype=object)
    objects[0] = Calls(os.mkdir, canary)
    numbers = _npy(np.arange(10.0))
    lambda_layer = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"function": {"class_name": "__lambda__"}},
    }
    header = b"{'descr': __import__('os'), 'fortran_order': 0, 'shape': ()}"
    tensor = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    over = {**tensor, "v": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}
    h5 = b"\x89HDF\r\n\x1a\n" + bytes(90)
    return {
        "npy of objects": (_npy(objects), MALICIOUS),
        "npz with objects": (zipped({"a.npy": numbers, "b.npy": _npy(objects)}), MALICIOUS),
        "npy with bytes behind": (numbers + payload(canary), SUSPICIOUS),
        "npy with a header of calls": (
            numbers[:10] + header.ljust(118) + b"\n",
            UNSCANNABLE,
        ),
        "skops with os.system": (skops_schema("os", "system", "FunctionNode"), MALICIOUS),
        "skops with a method": (skops_schema("sklearn.pipeline", "Pipeline", "MethodNode"), SUSPICIOUS),
        "skops with an unknown type": (skops_schema("my_models", "Scorer"), SUSPICIOUS),
        "skops with a pickle": (zipped({"schema.json": b"{}", "1.npy": payload(canary)}), MALICIOUS),
        "skops without JSON": (zipped({"schema.json": b"{"}), SUSPICIOUS),
        "keras with a Lambda": (keras_zip([dense(), lambda_layer]), MALICIOUS),
        "keras with os.system": (keras_zip([dense(module="os", class_name="system")]), MALICIOUS),
        "keras with a custom object": (keras_zip([dense(module=None, registered_name="mine>Layer")]), SUSPICIOUS),
        "keras with get_file": (
            keras_zip([dense(module="keras.src.utils.file_utils", class_name="get_file")]), SUSPICIOUS,
        ),
        "HDF5 with a Lambda": (h5 + b'{"class_name": "Sequential", "x": {"class_name": "L\\u0061mbda"}}', MALICIOUS),
        "safetensors with too long a header": (safetensors(tensor, bytes(8), length=10**9), UNSCANNABLE),
        "safetensors without JSON": (safetensors(b"{" + b"x" * 20, bytes(8)), UNSCANNABLE),
        "safetensors that overlap": (safetensors(over, bytes(12)), SUSPICIOUS),
        "safetensors with bytes behind": (safetensors(tensor, bytes(8) + payload(canary)), SUSPICIOUS),
        "safetensors with a wrong shape": (safetensors({"w": {**tensor["w"], "shape": [3]}}, bytes(8)), UNSCANNABLE),
        "safetensors with a key twice": (safetensors(b'{"w":1,"w":2}', b""), UNSCANNABLE),
        "GGUF that reaches for classes": (gguf("{{ ''.__class__.__mro__[1].__subclasses__() }}"), MALICIOUS),
        "GGUF that reaches for globals": (gguf("{{ cycler.init['__glo' ~ 'bals__'] | attr('x') }}"), MALICIOUS),
    }  # fmt: skip


def graphs(canary: str) -> Made:
    def onnx(*, location: str = "", domain: str = "") -> bytes:
        tensor = field(8, "w") + (field(13, field(1, "location") + field(2, location)) if location else b"")
        node = field(4, "Do") + field(7, domain)
        return (
            field(1, 9) + field(7, field(1, node) + field(2, "g") + field(5, tensor)) + field(8, field(2, 17))
        )

    return {
        "SavedModel with PyFunc": (saved_model("Const", "PyFunc", "Identity"), MALICIOUS),
        "SavedModel with a call in a function": (saved_model("Const", "EagerPyFunc"), MALICIOUS),
        "SavedModel that writes": (saved_model("Const", "WriteFile", "Identity"), SUSPICIOUS),
        "SavedModel that reads": (saved_model("ReadFile", "Identity"), SUSPICIOUS),
        "ONNX that reads outside": (onnx(location="../../../etc/passwd"), MALICIOUS),
        "ONNX that reads an absolute path": (onnx(location="/etc/passwd"), MALICIOUS),
        "ONNX with operators of its own": (onnx(domain="ai.onnx.contrib"), SUSPICIOUS),
    }


GROUPS = (zips, tars, torch, declared, graphs)
