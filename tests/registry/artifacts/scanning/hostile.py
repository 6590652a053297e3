"""Files made to run code, to hide that they do, or to wear a scanner out, each with the least verdict it must get."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import os
import pickle
import struct
import zlib
from dataclasses import dataclass

import joblib
import numpy as np

from tests.registry.artifacts.scanning import hostile_containers
from tests.registry.artifacts.scanning.building import (
    MALICIOUS,
    SUSPICIOUS,
    UNSCANNABLE,
    Calls,
    Made,
    call,
    named,
    payload,
    short,
    text,
    zipped,
)


@dataclass(frozen=True)
class Sample:
    name: str
    content: bytes
    least: str


def corpus(canary: str) -> list[Sample]:
    """All of them. Whoever loads one that runs code finds a folder `canary` made."""
    groups = (
        _protocols,
        _opcodes,
        _names,
        _streams,
        _joblib,
        _compressed,
        *hostile_containers.GROUPS,
    )
    made = {name: sample for group in groups for name, sample in group(canary).items()}
    return [Sample(name, content, least) for name, (content, least) in made.items()]


def _protocols(canary: str) -> Made:
    made: Made = {f"protocol {n}": (payload(canary, n), MALICIOUS) for n in range(6)}
    made["protocol 0 by hand"] = (f"cos\nmkdir\n(S'{canary}'\ntR.".encode(), MALICIOUS)
    made["protocol 1 without a header"] = (b"(" + named("os", "mkdir") + text(canary) + b"\x85Rt.", MALICIOUS)
    made["protocol 4 in frames"] = (
        pickle.dumps([Calls(os.mkdir, canary), "x" * 100_000], protocol=4),
        MALICIOUS,
    )
    return made


def _opcodes(canary: str) -> Made:
    mkdir = named("os", "mkdir")
    stack = short("os") + short("mkdir") + b"\x93"
    return {
        "INST": (f"(S'{canary}'\nios\nmkdir\n.".encode(), MALICIOUS),
        "OBJ": (b"(" + mkdir + text(canary) + b"o.", MALICIOUS),
        "NEWOBJ": (b"\x80\x02" + mkdir + text(canary) + b"\x85\x81.", MALICIOUS),
        "NEWOBJ_EX": (b"\x80\x04" + stack + short(canary) + b"\x85}\x92.", MALICIOUS),
        "STACK_GLOBAL": (b"\x80\x04" + stack + short(canary) + b"\x85R.", MALICIOUS),
        "STACK_GLOBAL from the memo": (
            b"\x80\x04" + short("mkdir") + b"\x94" + short("os") + b"\x9400h\x01h\x00\x93" + short(canary) + b"\x85R.",
            MALICIOUS,
        ),
        "memo overwritten": (
            b"\x80\x02" + text("collections") + b"q\x000" + text("os") + b"q\x00" + text("mkdir") + b"\x93"
            + text(canary) + b"\x85R.",
            MALICIOUS,
        ),
        "name with escapes": (b"\x80\x04V\\u006fs\nV\\u006dkdir\n\x93" + short(canary) + b"\x85R.", MALICIOUS),
        "name in a quoted string with escapes": (b"S'\\x6fs'\nS'mkdir'\n\x93.", MALICIOUS),
        "name computed by str": (
            b"\x80\x04" + named("builtins", "str") + b"C\x02os" + short("ascii") + b"\x86R" + short("mkdir") + b"\x93"
            + short(canary) + b"\x85R.",
            MALICIOUS,
        ),
        "name computed by an object array's sum": (
            b"\x80\x04" + named("numpy", "add") + short("o") + short("s") + b"\x86R" + short("mkdir") + b"\x93.",
            MALICIOUS,
        ),
        "import thrown away": (b"\x80\x04" + stack + b"0N.", MALICIOUS),
        "EXT1": (b"\x80\x02\x82\x01)R.", SUSPICIOUS),
        "EXT2": (b"\x80\x02\x83\x01\x01)R.", SUSPICIOUS),
        "EXT4": (b"\x80\x02\x84\x01\x01\x01\x00)R.", SUSPICIOUS),
        "PERSID": (b"Pevil\n.", SUSPICIOUS),
        "BINPERSID": (b"\x80\x02" + text("evil") + b"Q.", SUSPICIOUS),
        "BUILD changes a class": (
            b"\x80\x02" + named("collections", "OrderedDict") + b"N}" + text("__reduce__") + b"K\x01s\x86b.",
            SUSPICIOUS,
        ),
        "REDUCE of a result": (
            b"\x80\x02" + named("collections", "defaultdict") + named("builtins", "list") + b"\x85R)R.",
            SUSPICIOUS,
        ),
        "nested pickle": (
            b"\x80\x02" + named("pickle", "loads") + b"B" + struct.pack("<I", len(payload(canary))) + payload(canary)
            + b"\x85R.",
            MALICIOUS,
        ),
    }  # fmt: skip


def _names(canary: str) -> Made:
    found = {
        f"global {module}.{name}": (call(module, name, canary), MALICIOUS)
        for module, name in (
            ("posix", "mkdir"), ("nt", "system"), ("subprocess", "Popen"), ("builtins", "eval"), ("builtins", "exec"),
            ("builtins", "__import__"), ("builtins", "getattr"), ("__builtin__", "eval"), ("commands", "getoutput"),
            ("pkgutil", "resolve_name"), ("runpy", "run_path"), ("importlib", "import_module"), ("torch.hub", "load"),
            ("numpy.testing._private.utils", "runstring"), ("operator", "attrgetter"), ("operator", "methodcaller"),
            ("functools", "partial"), ("_codecs", "decode"), ("codecs", "open"), ("pickle", "loads"),
            ("webbrowser", "open"), ("socket", "create_connection"), ("urllib.request", "urlopen"), ("pip", "main"),
            ("numpy", "load"), ("numpy.core", "_ufunc_reconstruct"), ("ctypes", "CDLL"),
            ("torch.jit", "load"), ("timeit", "main"), ("pydoc", "locate"), ("logging.config", "listen"),
            ("shutil", "rmtree"), ("asyncio.unix_events", "_UnixSubprocessTransport"), ("bdb", "Bdb.run"),
            ("joblib", "load"), ("types", "FunctionType"), ("__main__", "Model"), ("sys", "modules"),
        )
    }  # fmt: skip
    found["dotted name that leads to os"] = (call("numpy.core._internal", "os.mkdir", canary, 4), SUSPICIOUS)
    found["dotted name on an allowed module"] = (call("collections", "abc.sys.exit", canary, 4), SUSPICIOUS)
    found["unknown module"] = (call("my_models.scoring", "Scorer", canary), SUSPICIOUS)
    found["near miss"] = (call("sklearn.linear_model._logistic ", "LogisticRegression", canary), SUSPICIOUS)
    found["encode to something else"] = (
        b"\x80\x02" + named("_codecs", "encode") + text("abf") + text("rot13") + b"\x86R.", SUSPICIOUS,
    )  # fmt: skip
    return found


def _streams(canary: str) -> Made:
    evil = payload(canary)
    return {
        "breaks off after the call": (evil[:-1] + b"\xff\xff\xff", MALICIOUS),
        "breaks off by an empty stack": (evil[:-1] + b"00000.", MALICIOUS),
        "second pickle": (pickle.dumps({"a": 1}) + evil, MALICIOUS),
        "third pickle": (pickle.dumps(1) + pickle.dumps(2) + evil, MALICIOUS),
        "bytes after STOP": (pickle.dumps({"a": 1}) + b"\xffhidden", SUSPICIOUS),
        "cut off": (pickle.dumps(list(range(1000)))[:-200], UNSCANNABLE),
        "frame inside a frame": (
            b"\x80\x04\x95\x20\x00\x00\x00\x00\x00\x00\x00\x95\x02\x00\x00\x00\x00\x00\x00\x00N.", SUSPICIOUS,
        ),
        "unknown binary": (bytes([0, 1, 2, 3, 250, 251]) * 100, UNSCANNABLE),
        "a program": (b"\x7fELF" + bytes(200), SUSPICIOUS),
        "picture with a zip behind": (b"\x89PNG\r\n\x1a\n" + bytes(50) + zipped({"data.pkl": evil}), SUSPICIOUS),
        "text that is a pickle": (f"cposix\nmkdir\n(V{canary}\ntR.\n# Model card\n".encode(), MALICIOUS),
    }  # fmt: skip


def _dumped(value: object, **how: object) -> bytes:
    held = io.BytesIO()
    joblib.dump(value, held, **how)
    return held.getvalue()


def _joblib(canary: str) -> Made:
    evil = Calls(os.mkdir, canary)
    array = np.arange(100.0)
    plain = _dumped([array, evil])
    objects = np.empty(1, dtype=object)
    objects[0] = evil
    # The array is told to end where a frame has not: joblib goes on behind the frame, others inside.
    framed = b"\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00" + _dumped(array)[11:]
    # Without padding, what joblib takes for numbers a plain unpickler takes for opcodes.
    wrapper = (
        b"\x80\x02" + named("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81}(" + text("subclass")
        + named("numpy", "ndarray") + text("shape") + b"K\x40\x85" + text("order") + text("C") + text("dtype")
        + named("numpy", "dtype") + text("u1") + b"\x89\x88\x87R" + text("allow_mmap") + b"\x89ub"
    )  # fmt: skip
    hidden = (named("os", "getcwd") + b")R.").ljust(64, b"\0")
    lying = (
        b"\x80\x02" + named("numpy", "dtype") + text("f8") + b"\x89\x88\x87R(K\x03" + text("<")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb."
    )  # fmt: skip
    return {
        "joblib": (plain, MALICIOUS),
        "joblib array of objects": (_dumped(objects), MALICIOUS),
        "joblib array inside a frame": (framed, SUSPICIOUS),
        "joblib numbers that are opcodes": (wrapper + hidden + b".", MALICIOUS),
        "joblib in zlib": (_dumped([array, evil], compress=("zlib", 3)), MALICIOUS),
        "joblib in gzip": (_dumped([array, evil], compress=("gzip", 3)), MALICIOUS),
        "joblib in bz2": (_dumped([array, evil], compress=("bz2", 3)), MALICIOUS),
        "joblib in xz": (_dumped([array, evil], compress=("xz", 3)), MALICIOUS),
        "joblib in lzma": (_dumped([array, evil], compress=("lzma", 3)), MALICIOUS),
        "dtype that contradicts itself": (lying, SUSPICIOUS),
    }


def _compressed(canary: str) -> Made:
    evil = payload(canary)
    return {
        "gzip": (gzip.compress(evil), MALICIOUS),
        "gzip, second stream": (gzip.compress(pickle.dumps(1)) + gzip.compress(evil), MALICIOUS),
        "bz2": (bz2.compress(evil), MALICIOUS),
        "xz": (lzma.compress(evil), MALICIOUS),
        "gzip in gzip in bz2": (bz2.compress(gzip.compress(gzip.compress(evil))), MALICIOUS),
        "gzip, cut off": (gzip.compress(pickle.dumps(os.urandom(5000)))[:-100], UNSCANNABLE),
        "gzip bomb": (_bomb(), UNSCANNABLE),
        "gzip nested too deep": (_nested(9), UNSCANNABLE),
        "lz4": (b"\x04\x22\x4d\x18" + bytes(40), UNSCANNABLE),
        "zstd": (b"\x28\xb5\x2f\xfd" + bytes(40), UNSCANNABLE),
        "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(60), UNSCANNABLE),
        "rar": (b"Rar!\x1a\x07\x01\x00" + bytes(60), UNSCANNABLE),
        "old joblib": (b"ZF0x1f" + b" " * 15 + zlib.compress(evil), UNSCANNABLE),
    }


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(b" " * (160 * 1024 * 1024), 9)


def _nested(times: int) -> bytes:
    content = b"{}"
    for _ in range(times):
        content = gzip.compress(content)
    return content
