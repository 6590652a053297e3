"""The digest of a table or an array in memory, `frame-v1:<hex>`.

sha256 over, in this order:

    b"assay frame-v1\\n"
    the header: compact, key-sorted UTF-8 JSON {"kind", "shape", "columns": [{"name", "type", "role"}]}, then b"\\n"
    every column's buffers in order, each preceded by its length in bytes as 8 little-endian bytes

A column has a logical type, so that the same values give the same digest whichever library holds them: a NumPy `int64`
and a nullable `Int64` without gaps are both `int64`; text is `string` whether it is in an object column or not.
Buffers by type:

    numbers, times   validity (packed bits, first row lowest; empty when no row is null), then the values
                     little-endian, nulls as zero. Every NaN is written as the one quiet NaN. Times are int64 in
                     the type's unit.
    string, binary   validity, lengths in bytes as int64, the bytes one after the other
    category         validity, codes as int64 (null: -1), then the categories as a column of their own
    object           per value a tag, a length and the bytes, see `_tagged`. A type it does not know is refused.

Rows, columns and their names count in their order. An index counts unless it is the default 0..n-1. Nothing of a
frame but this digest, its shape, column names and types leaves the process.
"""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import json
import struct
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_BLOCK = 1 << 20
_QUIET_NAN = {2: 0x7E00, 4: 0x7FC00000, 8: 0x7FF8000000000000}


class Undigestible(Exception):
    """The value holds something whose bytes mean nothing outside this process. The text names it."""


@dataclass(frozen=True)
class FrameDigest:
    """What is known of a table or an array; `columns` of an array is its second dimension, None when it has none."""

    digest: str
    rows: int
    columns: int | None
    schema: list[dict[str, str]]
    size: int


def is_frame(value: object) -> bool:
    """Whether a value is a table or an array. No library is imported to find out."""
    return _family(value) is not None


def digest_frame(value: object) -> FrameDigest:
    """The digest of a pandas frame or series, a NumPy array, a SciPy sparse matrix, an Arrow or polars table or a
    tensor. Raises Undigestible."""
    family = _family(value)
    table: Any = value
    if family == "arrow":
        table, family = _from_arrow(table), "frame"
    elif family == "polars":
        table, family = _from_arrow(table.to_arrow()), "frame"
    elif family == "tensor":
        table, family = table.detach().cpu().numpy(), "array"
    if family == "frame":
        columns = [table.iloc[:, position] for position in range(table.shape[1])]
        return _digest_table("frame", table, columns, list(table.columns))
    if family == "series":
        return _digest_table("series", table, [table], [table.name])
    if family == "sparse":
        return _digest_sparse(table)
    if family == "array":
        return _digest_array(table)
    raise Undigestible(f"a {_type_name(value)} is not a table or an array")


class _Writer:
    def __init__(self, kind: str, shape: Sequence[int], schema: list[dict[str, str]]) -> None:
        self._hash = hashlib.sha256(b"assay frame-v1\n")
        header = {"kind": kind, "shape": list(shape), "columns": schema}
        self._hash.update(json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
            errors="surrogatepass") + b"\n")  # fmt: skip
        self.size = 0

    def buffer(self, length: int, blocks: Iterable[Any]) -> None:
        self._hash.update(struct.pack("<q", length))
        for block in blocks:
            self._hash.update(block)
        self.size += length

    def digest(self) -> str:
        return f"frame-v1:{self._hash.hexdigest()}"


def _digest_table(kind: str, table: Any, columns: list[Any], names: list[object]) -> FrameDigest:
    pandas: Any = sys.modules["pandas"]
    index = table.index
    plain = (
        isinstance(index, pandas.RangeIndex) and (index.start, index.step) == (0, 1) and index.name is None
    )
    parts: list[tuple[object, str, Any]] = []
    if not plain:
        levels = [index.get_level_values(i) for i in range(index.nlevels)]
        parts += [(name, "index", level.to_series()) for name, level in zip(index.names, levels, strict=True)]
    parts += [(name, "column", column) for name, column in zip(names, columns, strict=True)]
    described = [(column, _logical_type(column)) for _, _, column in parts]
    schema = [
        {"name": _label(name), "type": logical, "role": role}
        for (name, role, _), (_, logical) in zip(parts, described, strict=True)
    ]
    writer = _Writer(kind, table.shape, schema)
    for column, logical in described:
        _write_column(writer, column, logical)
    shown = [{"name": part["name"], "type": part["type"]} for part in schema if part["role"] == "column"]
    return FrameDigest(writer.digest(), len(table), len(columns), shown, writer.size)


def _digest_array(array: Any) -> FrameDigest:
    np: Any = sys.modules["numpy"]
    if isinstance(array, np.ma.MaskedArray):
        raise Undigestible("a masked array: give its data and its mask")
    if array.dtype.names:
        schema = [{"name": name, "type": _dtype_name(array.dtype[name])} for name in array.dtype.names]
        parts = [np.ravel(array[name]) for name in array.dtype.names]
    else:
        schema = [{"name": "", "type": _dtype_name(array.dtype)}]
        parts = [array]
    writer = _Writer("array", array.shape, schema)
    for part in parts:
        _write_values(writer, part)
    columns = (
        int(array.shape[1]) if array.ndim > 1 else (len(array.dtype.names) if array.dtype.names else None)
    )
    return FrameDigest(
        writer.digest(), int(array.shape[0]) if array.ndim else 1, columns, schema, writer.size
    )


def _digest_sparse(matrix: Any) -> FrameDigest:
    np: Any = sys.modules["numpy"]
    compressed = matrix.tocsr(copy=True)
    compressed.sum_duplicates()  # sorts the indices too
    schema = [{"name": "", "type": _dtype_name(compressed.dtype)}]
    writer = _Writer("sparse", compressed.shape, schema)
    for part in (
        compressed.indptr.astype("<i8"),
        compressed.indices.astype("<i8"),
        np.asarray(compressed.data),
    ):
        _write_values(writer, part)
    return FrameDigest(writer.digest(), compressed.shape[0], compressed.shape[1], schema, writer.size)


def _logical_type(column: Any) -> str:
    pandas: Any = sys.modules["pandas"]
    dtype = column.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        inner = _logical_type(dtype.categories.to_series())
        return f"category[{inner}{',ordered' if dtype.ordered else ''}]"
    if isinstance(dtype, pandas.DatetimeTZDtype):
        return f"datetime64[{dtype.unit},{dtype.tz}]"
    if isinstance(dtype, pandas.StringDtype):
        return "string"
    if isinstance(dtype, pandas.SparseDtype):
        return _logical_type(column.sparse.to_dense())
    numpy_dtype = getattr(dtype, "numpy_dtype", dtype)  # of a nullable or Arrow-backed column
    if getattr(numpy_dtype, "kind", "O") in "OSU":
        return _object_type(column)
    return _dtype_name(numpy_dtype)


def _object_type(column: Any) -> str:
    pandas: Any = sys.modules["pandas"]
    kind = pandas.api.types.infer_dtype(column, skipna=True)
    return {"string": "string", "bytes": "binary", "boolean": "bool"}.get(kind, "object")


def _write_column(writer: _Writer, column: Any, logical: str) -> None:
    np: Any = sys.modules["numpy"]
    pandas: Any = sys.modules["pandas"]
    dtype = column.dtype
    if isinstance(dtype, pandas.SparseDtype):
        _write_column(writer, column.sparse.to_dense(), logical)
    elif logical.startswith("category["):
        codes = column.cat.codes.to_numpy().astype("<i8")
        _write_validity(writer, codes < 0)
        _write_values(writer, codes)
        categories = dtype.categories.to_series()
        _write_column(writer, categories, _logical_type(categories))
    elif logical in ("string", "binary"):
        _write_text(writer, column)
    elif logical == "object":
        _write_tagged(writer, column.tolist())
    elif isinstance(dtype, pandas.DatetimeTZDtype):
        _write_values(writer, column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
    elif isinstance(dtype, np.dtype) and dtype.kind != "O":
        _write_values(writer, column.to_numpy())
    else:  # nullable, Arrow-backed, or booleans with gaps
        nulls = column.isna().to_numpy(dtype=bool)
        target = "bool" if logical == "bool" else dtype.numpy_dtype
        zero: Any = np.zeros(1, dtype=target)[0]
        _write_validity(writer, nulls)
        _write_values(writer, column.to_numpy(dtype=target, na_value=zero), validity=False)


def _write_validity(writer: _Writer, nulls: np.ndarray[Any, Any]) -> None:
    np_: Any = sys.modules["numpy"]
    if not nulls.any():
        writer.buffer(0, ())
        return
    packed = np_.packbits(~nulls, bitorder="little")
    writer.buffer(packed.nbytes, (packed,))


def _write_values(writer: _Writer, values: Any, *, validity: bool = True) -> None:
    np: Any = sys.modules["numpy"]
    if values.dtype.kind in "OSUV":
        if values.dtype.kind == "V":
            raise Undigestible(f"an array of {values.dtype}")
        _write_tagged(writer, np.ravel(values).tolist())
        return
    if validity:
        writer.buffer(0, ())
    size = 16 if values.dtype.kind == "c" and values.dtype.itemsize > 16 else values.dtype.itemsize
    if values.dtype.kind == "f" and size > 8:  # long doubles have padding: they are digested as doubles
        size = 8
    writer.buffer(values.size * size, _blocks(values, size))


def _blocks(values: Any, size: int) -> Iterator[bytes]:
    np: Any = sys.modules["numpy"]
    # flat views of a contiguous array copy nothing; other layouts are copied a block at a time
    flat = values.reshape(-1) if values.flags.c_contiguous else values.flat
    for start in range(0, values.size, _BLOCK):
        block = np.asarray(flat[start : start + _BLOCK])
        kind = block.dtype.kind
        if kind in "mM":
            block = block.astype(block.dtype.newbyteorder("="), copy=False).view("i8")
        if kind == "c":
            block = block.astype(f"<c{size}").view(f"<f{size // 2}")
        elif kind == "f":
            block = block.astype(f"<f{size}", copy=False)
        block = block.astype(block.dtype.newbyteorder("<"), copy=False)
        if block.dtype.kind == "f":
            nans = np.isnan(block)
            if nans.any():
                block = np.ascontiguousarray(block).copy()
                width = block.dtype.itemsize
                block.view(f"<u{width}")[nans] = _QUIET_NAN[width]
        yield np.ascontiguousarray(block).data.cast("B") if block.size else b""


def _write_text(writer: _Writer, column: Any) -> None:
    np: Any = sys.modules["numpy"]
    nulls = column.isna().to_numpy(dtype=bool)
    encoded = [
        b"" if null else value.encode(errors="surrogatepass") if isinstance(value, str) else bytes(value)
        for value, null in zip(column.tolist(), nulls.tolist(), strict=True)
    ]
    _write_validity(writer, nulls)
    lengths = np.fromiter(map(len, encoded), dtype="<i8", count=len(encoded))
    writer.buffer(lengths.nbytes, (lengths,))
    writer.buffer(
        int(lengths.sum()), (b"".join(encoded[i : i + _BLOCK]) for i in range(0, len(encoded), _BLOCK))
    )


def _write_tagged(writer: _Writer, values: list[Any]) -> None:
    data = b"".join(_tagged(value) for value in values)
    writer.buffer(len(data), (data,))


def _tagged(value: Any) -> bytes:  # noqa: C901, PLR0911, PLR0912 - one line for each type that is known
    """One value as a tag, the length of its content in 8 bytes, its content. Raises Undigestible."""
    if value is None or _is_missing(value):
        return _tag(b"n", b"")
    if isinstance(value, str):
        return _tag(b"s", value.encode(errors="surrogatepass"))
    if isinstance(value, bool):
        return _tag(b"b", b"\1" if value else b"\0")
    if isinstance(value, int):
        return _tag(b"i", str(int(value)).encode())
    if isinstance(value, float):
        return _tag(b"f", struct.pack("<d", value))
    if isinstance(value, complex):
        return _tag(b"c", struct.pack("<dd", value.real, value.imag))
    if isinstance(value, bytes | bytearray):
        return _tag(b"y", bytes(value))
    if isinstance(value, decimal.Decimal):
        return _tag(b"d", str(value).encode())
    if isinstance(value, uuid.UUID):
        return _tag(b"u", value.bytes)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return _tag(b"t", value.isoformat().encode())
    if isinstance(value, dt.timedelta):
        return _tag(b"p", struct.pack("<q", value // dt.timedelta(microseconds=1)))
    if isinstance(value, list | tuple):
        return _tag(b"l", b"".join(map(_tagged, value)))
    if isinstance(value, dict):
        return _tag(b"m", b"".join(_tagged(key) + _tagged(item) for key, item in value.items()))
    if _is_numpy_scalar(value):
        return _tagged(value.item())
    if _family(value) in ("array", "series"):
        return _tag(b"a", digest_frame(value).digest.encode())
    raise Undigestible(f"values of the type {_type_name(value)}")


def _tag(tag: bytes, content: bytes) -> bytes:
    return tag + struct.pack("<q", len(content)) + content


def _is_missing(value: object) -> bool:
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and (value is pandas.NA or value is pandas.NaT):
        return True
    return isinstance(value, float) and value != value  # noqa: PLR0124 - NaN


def _is_numpy_scalar(value: object) -> bool:
    np: Any = sys.modules.get("numpy")
    return np is not None and isinstance(value, np.generic) and not isinstance(value.item(), np.generic)


def _family(value: object) -> str | None:
    """Which library's table a value is, by what is already imported."""
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and hasattr(pandas, "DataFrame"):
        if isinstance(value, pandas.DataFrame):
            return "frame"
        if isinstance(value, pandas.Series):
            return "series"
    np: Any = sys.modules.get("numpy")
    if np is not None and hasattr(np, "ndarray") and isinstance(value, np.ndarray):
        return "array"
    module = type(value).__module__.partition(".")[0]
    if module == "scipy" and hasattr(value, "tocsr"):
        return "sparse"
    if module == "pyarrow" and type(value).__name__ in ("Table", "RecordBatch"):
        return "arrow"
    if module == "polars" and hasattr(value, "to_arrow") and hasattr(value, "columns"):
        return "polars"
    if module == "torch" and hasattr(value, "detach") and hasattr(value, "numpy"):
        return "tensor"
    return None


def _from_arrow(table: Any) -> pd.DataFrame:
    """An Arrow table as a frame whose columns stay Arrow's: nulls are kept, nothing is converted."""
    pandas: Any = sys.modules.get("pandas")
    if pandas is None:
        raise Undigestible("an Arrow table, where pandas is not imported")
    frame: pd.DataFrame = table.to_pandas(types_mapper=pandas.ArrowDtype)
    return frame


def _dtype_name(dtype: Any) -> str:
    """A dtype's name without byte order: `float64`, `datetime64[ns]`, `<U5` as `str`."""
    if dtype.kind in "SU":
        return "bytes" if dtype.kind == "S" else "str"
    return str(dtype.newbyteorder("=").name if dtype.kind != "O" else "object")


def _label(name: object) -> str:
    """A column's name: text as it is, anything else in a form that text does not take by accident."""
    if isinstance(name, str):
        return name
    if name is None:
        return ""
    if isinstance(name, tuple):
        return "(" + ", ".join(_label(part) for part in name) + ")"
    return str(name)


def _type_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
