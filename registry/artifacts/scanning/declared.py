"""What a file declares in JSON and a loader acts on: the types of a skops archive, the layers of a Keras model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from registry.artifacts.scanning.names import judge
from registry.artifacts.scanning.report import CLEAN, MALICIOUS, SUSPICIOUS, Malformed, Report
from registry.artifacts.scanning.source import MIB, Input

MOST_JSON = 64 * MIB
SKOPS_LOADERS = frozenset(
    """DictNode DefaultDictNode ListNode SetNode TupleNode BytesNode BytearrayNode SliceNode FunctionNode TypeNode
    ConstructorFromReduceNode ObjectNode JsonNode NdArrayNode MaskedArrayNode DTypeNode RandomStateNode
    RandomGeneratorNode SparseMatrixNode TreeNode LossNode CachedNode""".split()  # noqa: SIM905 - names, in lines
)
# What skops stores by these names and no pickle would.
SKOPS_NAMES = {
    ("builtins", "NoneType"),
    ("scipy.special._ufuncs", "expit"),
    ("scipy.special._ufuncs", "logit"),
}
LAMBDAS = ("Lambda", "__lambda__")
KERAS_MODULES = re.compile(
    r"(keras|keras_core|tf_keras|tensorflow\.keras|keras_nlp|keras_hub|keras_cv)(\.[\w.]+)?"
)
# Inside these, what runs code, fetches or reads files when a model is made from its description.
KERAS_UNSAFE = re.compile(
    r"(keras|keras_core|tf_keras|tensorflow\.keras)\.(.*\.)?(utils|saving|models|config)(\.|$)"
)
QUOTED = rb'"(?:[^"\\]|\\.)*"'
HDF5_SAYS = re.compile(rb'"(class_name|module|registered_name|function_type)"\s*:\s*(' + QUOTED + rb")")
# As much of the end of a piece is looked at again with the next one.
OVERLAP = 64 * 1024


def read_json(content: Input) -> Any:
    """The JSON in a file. Raises Malformed."""
    stream = content.stream()
    raw = stream.peek(MOST_JSON + 1)
    if len(raw) > MOST_JSON:
        raise Malformed("its JSON is larger than is looked at")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"its JSON is damaged ({type(error).__name__})") from None


def _dicts(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def judge_skops_schema(content: Input, report: Report, where: str) -> None:
    """Every type that a skops archive names is on the list, and every loader one that only makes values."""
    try:
        tree = read_json(content)
    except Malformed as wrong:
        report.add(SUSPICIOUS, where, f"the schema cannot be read: {wrong}")
        return
    for node in _dicts(tree):
        loader = node.get("__loader__")
        if loader is not None and loader not in SKOPS_LOADERS:
            report.add(SUSPICIOUS, where, f"its loader {loader} calls or fetches attributes", str(loader))
        if "__class__" not in node and "__module__" not in node:
            continue
        module, name = node.get("__module__"), node.get("__class__")
        if not isinstance(module, str) or not isinstance(name, str):
            report.add(SUSPICIOUS, where, "a type is not named by text")
            continue
        verdict = CLEAN if (module, name) in SKOPS_NAMES else judge(module, name)
        if verdict != CLEAN:
            said = (
                "can run code when it is loaded"
                if verdict == MALICIOUS
                else "is not on the list of what models need"
            )
            report.add(verdict, where, f"it names the type {module}.{name}, which {said}", f"{module}.{name}")


def judge_keras_config(content: Input, report: Report, where: str) -> None:
    """No layer of a Keras model carries code, and every one is Keras's own."""
    try:
        tree = read_json(content)
    except Malformed as wrong:
        report.add(SUSPICIOUS, where, f"the configuration cannot be read: {wrong}")
        return
    judge_keras(tree, report, where)


def judge_keras(tree: Any, report: Report, where: str) -> None:
    """The same, for a configuration that was read."""
    for node in _dicts(tree):
        name, module, registered = node.get("class_name"), node.get("module"), node.get("registered_name")
        if isinstance(name, str):
            _judge_layer(name, module, registered, report, where)
        if node.get("function_type") == "lambda":
            _lambda(report, where)


def _judge_layer(name: str, module: Any, registered: Any, report: Report, where: str) -> None:
    named = f"{module}.{name}" if isinstance(module, str) else name
    if name in LAMBDAS:
        _lambda(report, where)
    elif isinstance(module, str) and not KERAS_MODULES.fullmatch(module):
        if module == "builtins" and name in ("dict", "tuple", "list", "slice", "int", "float", "str"):
            return
        verdict = MALICIOUS if judge(module, name) == MALICIOUS else SUSPICIOUS
        report.add(verdict, where, f"it names {named}, which is not Keras's own", named)
    elif isinstance(module, str) and KERAS_UNSAFE.match(module):
        report.add(SUSPICIOUS, where, f"it names {named}, which does more than a layer does", named)
    elif isinstance(registered, str) and ">" in registered and not registered.startswith("keras"):
        report.add(SUSPICIOUS, where, f"it needs the custom object {registered}", registered)


def _lambda(report: Report, where: str) -> None:
    report.add(
        MALICIOUS, where, "a Lambda layer carries code that runs when the model is loaded or used", "Lambda"
    )


def judge_hdf5(content: Input, report: Report, where: str) -> str:
    """Look for what Keras writes into HDF5 in the whole of its bytes: it is stored there as plain JSON text.

    Returns "keras" for a model, "hdf5" for arrays only.
    """
    stream = content.stream()
    kept, model = b"", False
    while chunk := stream.peek(MIB):
        stream.skip(len(chunk))
        piece = kept + chunk
        model = model or b"model_config" in piece or b"keras_version" in piece
        for match in HDF5_SAYS.finditer(piece):
            _judge_said(match.group(1).decode(), match.group(2), report, where)
        kept = piece[-OVERLAP:]
    return "keras" if model else "hdf5"


def _judge_said(key: str, quoted: bytes, report: Report, where: str) -> None:
    try:
        value = json.loads(quoted)
    except ValueError:
        report.add(SUSPICIOUS, where, f"a {key} in it cannot be read")
        return
    if key == "class_name":
        _judge_layer(value, None, None, report, where)
    elif key == "module" and value != "builtins":
        _judge_layer("", value, None, report, where)
    elif key == "registered_name":
        _judge_layer("", None, value, report, where)
    elif key == "function_type" and value == "lambda":
        _lambda(report, where)
