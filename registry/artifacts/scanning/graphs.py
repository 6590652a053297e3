"""Graphs in protocol buffers: ONNX models, and TensorFlow's SavedModel. Read field by field, tensors passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator

from registry.artifacts.scanning.context import Context
from registry.artifacts.scanning.names import judge
from registry.artifacts.scanning.report import MALICIOUS, SUSPICIOUS, Malformed
from registry.artifacts.scanning.source import Source

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MOST_TEXT = 4096
MOST_NESTING = 40

# ONNX: which fields of which message lead to further messages, by onnx.proto.
MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION, TRAINING, OPSET = range(9)
ONNX: dict[int, dict[int, int]] = {
    MODEL: {7: GRAPH, 8: OPSET, 20: TRAINING, 25: FUNCTION},
    GRAPH: {1: NODE, 5: TENSOR, 15: SPARSE},
    NODE: {5: ATTRIBUTE},
    ATTRIBUTE: {5: TENSOR, 6: GRAPH, 10: TENSOR, 11: GRAPH, 22: SPARSE, 23: SPARSE},
    SPARSE: {1: TENSOR, 2: TENSOR},
    FUNCTION: {7: NODE, 9: OPSET, 11: ATTRIBUTE},
    TRAINING: {1: GRAPH, 2: GRAPH},
    TENSOR: {},
    OPSET: {},
}
# A node's operator and its domain, an imported domain, the domain a function is defined in.
NAMED = {(NODE, 4), (NODE, 7), (OPSET, 1), (FUNCTION, 10)}
ONNX_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training",
                "com.microsoft", "com.microsoft.nchwc", "org.pytorch.aten"}  # fmt: skip

# TensorFlow: SavedModel, its MetaGraphs, graphs, nodes and functions, by their .proto files.
SAVED, META, GRAPH_DEF, NODE_DEF, LIBRARY, FUNCTION_DEF = range(6)
SAVED_MODEL: dict[int, dict[int, int]] = {
    SAVED: {2: META},
    META: {2: GRAPH_DEF},
    GRAPH_DEF: {1: NODE_DEF, 2: LIBRARY},
    LIBRARY: {1: FUNCTION_DEF},
    FUNCTION_DEF: {3: NODE_DEF},
    NODE_DEF: {},
}
RUNS_PYTHON = re.compile(r"(Eager)?PyFunc(Stateless)?")
TOUCHES_FILES = re.compile(
    r"ReadFile|WriteFile|MatchingFiles|PrintV2|LoadLibrary|.*(Record|Line|WholeFile)Reader(V2)?|TextLineDataset|TFRecordDataset(V2)?|"
    r"FixedLengthRecordDataset(V2)?|SaveDataset(V2)?|LoadDataset|.*SummaryWriter|DebugIdentity(V\d)?|DebugNumericSummary(V2)?|"
    r"FileSystemSetConfiguration|RpcCall|RpcClient|RegisterDataset(V2)?|.*DataServiceDataset(V\d)?|DecodeProtoV2|EncodeProto"
)


class _Fields:
    """Reads the fields of messages through a window that moves forward."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._block, self._begins = b"", 0

    def _byte(self, at: int) -> int:
        if not self._begins <= at < self._begins + len(self._block):
            self._block, self._begins = self._source.read(at, 64 * 1024), at
            if not self._block:
                raise Malformed("it ends in the middle")
        return self._block[at - self._begins]

    def varint(self, at: int) -> tuple[int, int]:
        """A number, and where it ends."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte(at)
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
        raise Malformed("a number in it has no end")

    def of(self, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """(field, wire type, value or where it begins, where it ends). Raises Malformed."""
        at = begin
        while at < end:
            key, at = self.varint(at)
            field, wire = key >> 3, key & 7
            if not field:
                raise Malformed("a field in it has the number 0")
            if wire == VARINT:
                value, at = self.varint(at)
                yield field, wire, value, at
                continue
            if wire == BYTES:
                length, at = self.varint(at)
            elif wire in (FIXED64, FIXED32):
                length = 8 if wire == FIXED64 else 4
            else:
                raise Malformed("a field in it is of an unknown kind")
            if at + length > end:
                raise Malformed("a field in it is longer than what holds it")
            yield field, wire, at, at + length
            at += length

    def text(self, begin: int, end: int) -> str:
        """Text, cut off where it is longer than any name."""
        return self._source.exactly(begin, min(end - begin, MOST_TEXT)).decode("utf-8", "replace")


def kind_of(source: Source) -> str:
    """ "onnx", "savedmodel", or "" for anything else: told by the fields at the top."""
    seen: set[tuple[int, int]] = set()
    try:
        for field, wire, _, _ in _Fields(source).of(0, source.size):
            seen.add((field, wire))
            if len(seen) > 30:
                return ""
    except Malformed:
        return ""
    if (2, BYTES) in seen and seen <= {(1, VARINT), (2, BYTES)}:
        return "savedmodel"
    known = {1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES, 14: BYTES, 20: BYTES,
             25: BYTES, 26: BYTES}  # fmt: skip
    if (7, BYTES) in seen and (1, VARINT) in seen and all(known.get(f) == w for f, w in seen):
        return "onnx"
    return ""


def judge_onnx(source: Source, context: Context, where: str) -> None:
    """No operator from an unknown library, and no tensor read from outside of the model's folder."""
    fields = _Fields(source)
    own: set[str] = set()
    used: dict[str, str] = {}
    waiting = [(MODEL, 0, source.size, 0)]
    while waiting:
        message, begin, end, depth = waiting.pop()
        if depth > MOST_NESTING:
            raise Malformed("its graphs are nested too deep")
        told: dict[int, str] = {}
        for field, wire, value, ends in fields.of(begin, end):
            if wire != BYTES:
                continue
            if inner := ONNX[message].get(field):
                waiting.append((inner, value, ends, depth + 1))
            elif message == TENSOR and field == 13:
                _judge_entry(fields, value, ends, context, where)
            elif (message, field) in NAMED:
                told[field] = fields.text(value, ends)
        _note_domain(message, told, own, used)
    for domain, operator in sorted(used.items()):
        if domain not in ONNX_DOMAINS | own:
            what = f"its operators {operator} come from {domain}: a library that is loaded to run them"
            context.report.add(SUSPICIOUS, where, what, f"{domain}.{operator}".rstrip("."))


def _note_domain(message: int, told: dict[int, str], own: set[str], used: dict[str, str]) -> None:
    """The domains that operators come from, and those whose operators the model itself defines."""
    if message == NODE and told.get(7):
        used[told[7]] = told.get(4, "") or used.get(told[7], "")
    elif message == OPSET and told.get(1):
        used.setdefault(told[1], "")
    elif message == FUNCTION:
        own.add(told.get(10, ""))


def _judge_entry(fields: _Fields, begin: int, end: int, context: Context, where: str) -> None:
    """Where a tensor's bytes lie, when they are not in the model."""
    told = {
        field: fields.text(value, ends) for field, wire, value, ends in fields.of(begin, end) if wire == BYTES
    }
    path = told.get(2, "")
    if told.get(1) != "location":
        return
    parts = path.replace("\\", "/").split("/")
    if (
        ".." in parts
        or path.startswith(("/", "\\", "~"))
        or "\\" in path
        or ":" in path
        or "\0" in path
        or not path
    ):
        context.report.add(MALICIOUS, where, f"a tensor is read from {path}, outside of the model", path)


def judge_saved_model(source: Source, context: Context, where: str) -> None:
    """No operation that calls Python or touches files."""
    fields = _Fields(source)
    waiting = [(SAVED, 0, source.size)]
    while waiting:
        message, begin, end = waiting.pop()
        for field, wire, value, ends in fields.of(begin, end):
            if wire != BYTES:
                continue
            if message == NODE_DEF and field == 2:
                _judge_operation(fields.text(value, ends), context, where)
            elif (inner := SAVED_MODEL[message].get(field)) is not None:
                waiting.append((inner, value, ends))


def _judge_operation(operation: str, context: Context, where: str) -> None:
    if RUNS_PYTHON.fullmatch(operation) or judge(operation.partition(".")[0], "") == MALICIOUS:
        context.report.add(MALICIOUS, where, f"its operation {operation} calls Python", operation)
    elif TOUCHES_FILES.fullmatch(operation):
        context.report.add(
            SUSPICIOUS, where, f"its operation {operation} reads or writes outside of the model", operation
        )
