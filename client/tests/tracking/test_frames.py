"""The digest of a table: the same for the same values, another for anything else."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib
import json
import struct
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from assay.tracking.frames import Undigestible, digest_frame, is_frame

sparse: Any = importlib.import_module("scipy.sparse")  # has no types


def digest(value: Any) -> str:
    return digest_frame(value).digest


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns or {"a": [1, 2, 3], "b": [0.5, np.nan, 1.5], "c": ["x", None, "z"]})


def test_what_is_known_of_a_frame() -> None:
    known = digest_frame(frame())
    assert known.digest.startswith("frame-v1:")
    assert len(known.digest) == len("frame-v1:") + 64
    assert (known.rows, known.columns) == (3, 3)
    assert known.schema == [
        {"name": "a", "type": "int64"},
        {"name": "b", "type": "float64"},
        {"name": "c", "type": "string"},
    ]


def test_the_definition_does_not_move() -> None:
    """Digests are kept for years: a change of the definition needs another version."""
    assert digest(frame()) == "frame-v1:96d5859aabf1d7a7ccc2e0229b2a264da65ef6f31f8f1288993b08a5b245220e"


def test_the_definition_by_hand() -> None:
    columns = [
        {"name": "a", "role": "column", "type": "int64"},
        {"name": "s", "role": "column", "type": "string"},
    ]
    header = json.dumps(
        {"columns": columns, "kind": "frame", "shape": [2, 2]}, separators=(",", ":"), sort_keys=True
    )
    buffers = [b"", struct.pack("<2q", 1, 2), b"\1", struct.pack("<2q", 1, 0), b"x"]
    written = b"assay frame-v1\n" + header.encode() + b"\n"
    written += b"".join(struct.pack("<q", len(buffer)) + buffer for buffer in buffers)
    made = digest(pd.DataFrame({"a": [1, 2], "s": ["x", None]}))
    assert made == "frame-v1:" + hashlib.sha256(written).hexdigest()


def test_equal_in_another_process() -> None:
    code = "import numpy as n, pandas as p; from assay.tracking.frames import digest_frame as d; print(d(p.DataFrame("
    code += "{'a': [1, 2, 3], 'b': [.5, n.nan, 1.5], 'c': ['x', None, 'z']})).digest)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(frame())


@pytest.mark.parametrize(
    "other",
    [
        frame(a=[1, 2, 4], b=[0.5, np.nan, 1.5], c=["x", None, "z"]),
        frame(a=[1, 2, 3], b=[0.5, 0.0, 1.5], c=["x", None, "z"]),
        frame(a=[1, 2, 3], b=[0.5, np.nan, 1.5], c=["x", "", "z"]),
        frame(a=[1, 2, 3], b=[0.5, np.nan, 1.5], c=["xz", None, ""]),
        frame(b=[0.5, np.nan, 1.5], a=[1, 2, 3], c=["x", None, "z"]),
        frame(a=[1, 2, 3], b=[0.5, np.nan, 1.5], d=["x", None, "z"]),
        frame().iloc[[1, 0, 2]],
        frame().iloc[:2],
        frame().astype({"a": "int32"}),
        frame().astype({"a": "float64"}),
        frame().set_index("a"),
        frame().astype({"c": "category"}),
        frame().rename_axis("row"),
    ],
)
def test_any_difference_counts(other: pd.DataFrame) -> None:
    assert digest(other) != digest(frame())


@pytest.mark.parametrize(
    "same",
    [
        frame().copy(),
        frame().convert_dtypes(convert_floating=False).astype({"b": "float64"}),
        frame().astype({"a": "Int64"}),
        frame().astype({"c": "string"}),
        frame().astype({"c": "string[pyarrow]"}),
        pd.concat([frame().iloc[:1], frame().iloc[1:]], ignore_index=True),
        pd.DataFrame(np.asfortranarray(frame().to_numpy()), columns=["a", "b", "c"]).astype(
            {"a": "int64", "b": "float64"}
        ),
    ],
)
def test_how_it_is_held_does_not_count(same: pd.DataFrame) -> None:
    assert digest(same) == digest(frame())


def test_every_nan_is_the_same_and_no_number() -> None:
    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype="u8").view("f8")
    assert digest(odd) == digest(np.array([np.nan, np.nan]))
    assert digest(np.array([np.nan])) != digest(np.array([0.0]))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u2", "i8", "M8[s]", "m8[ms]", "c16"])
def test_byte_order_does_not_count(dtype: str) -> None:
    values = np.arange(3).astype(dtype)
    swapped = values.astype(values.dtype.newbyteorder(">"))
    assert digest(swapped) == digest(values)


def test_arrays_by_shape_and_not_by_memory() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert digest(np.asfortranarray(array)) == digest(array)
    assert digest(np.arange(12.0).reshape(2, 6)[:, ::2]) == digest(np.arange(0.0, 12, 2).reshape(2, 3))
    assert digest(array.reshape(3, 2)) != digest(array)
    assert digest(array.T) != digest(array)
    assert digest(array.astype("f4")) != digest(array)


def test_padding_in_records_does_not_count() -> None:
    dtype = np.dtype([("a", "u1"), ("b", "f8")], align=True)
    one, two = np.frombuffer(bytearray(32), dtype=dtype), np.frombuffer(bytearray(b"\xff" * 32), dtype=dtype)
    for array in (one, two):
        array["a"], array["b"] = 1, 2.0
    assert one.tobytes() != two.tobytes()
    assert digest(one) == digest(two)


def test_a_large_column_in_many_blocks() -> None:
    values = np.arange(3_000_000, dtype="f8")
    changed = values.copy()
    changed[2_500_000] += 1
    strided = np.repeat(values, 2)[::2]
    assert digest(strided) == digest(values) != digest(changed)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ([1, "1"], ["1", 1]),
        ([1, 2.0], [1.0, 2]),
        ([True, "a"], [1, "a"]),
        ([["a", "b"]], [["ab"]]),
        ([["a"], "b"], [["a", "b"], None]),
        ([b"a", 1], ["a", 1]),
        ([{"k": 1}], [{"k": 2}]),
        ([Decimal("1.0")], [Decimal("1.00")]),
        ([dt.date(2020, 1, 1), 1], [dt.date(2020, 1, 2), 1]),
        ([np.array([1, 2])], [np.array([1, 3])]),
    ],
)
def test_objects_are_told_apart(one: list[Any], two: list[Any]) -> None:
    columns = [pd.Series(values, dtype=object) for values in (one, two)]
    assert digest(columns[0]) != digest(columns[1])
    assert digest(columns[0]) == digest(pd.Series(one, dtype=object))


def test_what_means_nothing_elsewhere_is_refused() -> None:
    with pytest.raises(Undigestible, match=r"builtins\.object"):
        digest(pd.Series([object()]))


def test_times_and_categories() -> None:
    times = pd.Series(pd.to_datetime(["2020-01-01", "2020-06-01"]))
    assert digest(times.dt.tz_localize("UTC")) != digest(times)
    assert digest(times.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")) != digest(
        times.dt.tz_localize("UTC")
    )
    letters = pd.Series(["a", "b"], dtype="category")
    assert digest(letters) != digest(letters.cat.as_ordered())
    assert digest(letters) != digest(letters.cat.add_categories("c"))


def test_other_libraries() -> None:
    table = pa.table({"a": [1, None, 3], "s": ["x", None, "z"]})
    assert digest(table) == digest(table.combine_chunks())
    assert digest(table) == digest(table.to_pandas(types_mapper=pd.ArrowDtype))
    matrix = sparse.csr_matrix(np.eye(3))
    assert digest(matrix) == digest(matrix.tocoo()) != digest(matrix * 2)


def test_what_is_a_frame() -> None:
    assert all(
        is_frame(value) for value in (frame(), frame()["a"], np.zeros(2), sparse.eye(2), pa.table({"a": [1]}))
    )
    assert not any(is_frame(value) for value in (None, [1], {"a": 1}, "x", 1.0, np.float64(1), np))


def test_empty_ones() -> None:
    assert digest(pd.DataFrame()) != digest(pd.DataFrame({"a": []}))
    assert digest(np.zeros((0, 3))) != digest(np.zeros((3, 0)))
