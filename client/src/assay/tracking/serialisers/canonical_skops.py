"""scikit-learn models as skops files, written so that equal models are equal bytes.

skops names what it writes after the addresses and random ids of the moment, and stamps its zip entries with the time.
Here ids are numbered in the order in which the description of the model mentions them, files are named by that number,
the members of sets are sorted, arrays lose the padding between the fields of their records, and entries have no time.
Such a file is read by `skops.io.load` like any other.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FILE_NAME = "model.skops"
# Zip's own beginning of time.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
# Values that cannot change: whether two of them are one object in memory says nothing about the model.
_VALUES = {"JsonNode", "TypeNode", "FunctionNode"}
# Attributes in which scikit-learn keeps the address of an object, to know later whether it is the same one.
_ADDRESSES = {"_stop_words_id"}


class Skops:
    name = "skops"
    format = "skops"

    def accepts(self, model: object) -> bool:
        sklearn = sys.modules.get("sklearn.base")
        return sklearn is not None and isinstance(model, sklearn.BaseEstimator)

    def write(self, model: Any, folder: Path) -> None:
        io_ = importlib.import_module("skops.io")
        (folder / FILE_NAME).write_bytes(canonical(io_.dumps(model)))


def canonical(archive: bytes) -> bytes:
    """The same model as a skops file that depends on nothing but the model. Numbering is by first mention."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        contents = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(contents.pop("schema.json"))
    stored = {name: _canonical_array(name, content) for name, content in contents.items()}
    _sort_sets(schema, stored)
    ids: dict[int, int] = {}
    names: dict[str, str] = {}
    fresh = _count()
    for node in _nodes(schema):
        _forget_addresses(node)
        if "__id__" in node:
            if node.get("__loader__") in _VALUES:
                node["__id__"] = fresh()
            else:
                old = node["__id__"]
                if old not in ids:
                    ids[old] = fresh()
                node["__id__"] = ids[old]
        if isinstance(node.get("file"), str) and node["file"] in stored:
            old_name = node["file"]
            if old_name not in names:
                names[old_name] = f"{len(names)}{Path(old_name).suffix}"
            node["file"] = names[old_name]
    described = json.dumps(schema, indent=2, ensure_ascii=True).encode()
    ordered = [(new, stored[old]) for old, new in names.items()]
    return _zip([*ordered, ("schema.json", described)])


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every description in the tree, in the order in which it is written."""
    if isinstance(tree, dict):
        if "__loader__" in tree:
            yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)


def _forget_addresses(node: dict[str, Any]) -> None:
    content = node.get("content")
    if node.get("__loader__") == "DictNode" and isinstance(content, dict):
        for name in _ADDRESSES & content.keys():
            content[name]["content"] = "0"


def _sort_sets(tree: Any, stored: dict[str, bytes]) -> None:
    for node in _nodes(tree):
        if node.get("__loader__") == "SetNode" and isinstance(node.get("content"), list):
            node["content"].sort(key=lambda member: _content(member, stored))


def _content(member: Any, stored: dict[str, bytes]) -> str:
    """What a member of a set says, without what only this process knows."""
    described = copy.deepcopy(member)
    for node in _nodes(described):
        node.pop("__id__", None)
        if isinstance(node.get("file"), str) and node["file"] in stored:
            node["file"] = hashlib.sha256(stored[node["file"]]).hexdigest()
    return json.dumps(described, sort_keys=True)


def _canonical_array(name: str, content: bytes) -> bytes:
    if name.endswith(".npz"):  # a sparse matrix: a zip of arrays
        with zipfile.ZipFile(io.BytesIO(content)) as source:
            return _zip([(inner, source.read(inner)) for inner in source.namelist()])
    if name.endswith(".npy"):
        np = importlib.import_module("numpy")
        array = np.load(io.BytesIO(content), allow_pickle=False)
        if array.dtype.names:
            # not zeros_like, which leaves what was in memory between the fields
            clean = np.zeros(array.shape, array.dtype, order="F" if array.flags.fnc else "C")
            for field in array.dtype.names:
                clean[field] = array[field]
            written = io.BytesIO()
            np.save(written, clean, allow_pickle=False)
            return written.getvalue()
    return content


def _zip(entries: list[tuple[str, bytes]]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name, _NO_TIME)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return written.getvalue()


def _count() -> Callable[[], int]:
    given = 0

    def following() -> int:
        nonlocal given
        given += 1
        return given

    return following
