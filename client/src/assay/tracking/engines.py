"""The readers that are wrapped, library by library, and how a call of each is looked at."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from typing import Any

from . import observe, queries, sources
from .frames import Undigestible, digest_frame, is_frame
from .sources import Call, Reader

_SCAN = re.compile(r"^\s*(?:\w+ )?(?:SCAN|Scan) \[(.*)\]\s*$", re.MULTILINE)
_OTHERS = re.compile(r",? ?\.\.\. \d+ other sources?$")


def _hdf5_object(observer: observe.Observer, call: Call) -> None:
    """An object of a file may lie in another file: behind an external link, or as parts of a virtual dataset."""
    found = call.answer
    if not type(found).__module__.startswith("h5py"):
        return
    where = os.fsdecode(sys.modules["h5py.h5f"].get_name(found))
    observer.opened(where)
    if not hasattr(found, "get_create_plist") or not hasattr(found, "get_space"):
        return
    made = found.get_create_plist()
    beside = os.path.dirname(where)
    names = [made.get_external(number)[0] for number in range(made.get_external_count())]
    if made.get_layout() == sys.modules["h5py.h5d"].VIRTUAL:
        names += [made.get_virtual_filename(number) for number in range(made.get_virtual_count())]
    for name in dict.fromkeys(os.fsdecode(name) for name in names):
        if name == ".":
            continue
        paths = [path for path in (os.path.join(beside, name), name) if os.path.isfile(path)]
        if paths:
            observer.opened(paths[0])
        else:
            observer.unobserved[
                f"`{os.path.basename(where)}` has parts in `{os.path.basename(name)}`, which was not found."
            ] = None


def _polars_plan(observer: observe.Observer, call: Call) -> None:
    """A lazy frame is computed now, whenever it was made; its plan names what is read."""
    plan = call.args[0].explain(optimized=False)
    for scanned in _SCAN.findall(plan):
        listed, more = _OTHERS.subn("", scanned)
        names = [name for name in listed.split(", ") if name]
        known = [os.path.abspath(path) in observer.reads for name in names for path in sources.files_of(name)]
        if more and not (known and all(known)):  # the plan shortens what was not seen being scanned
            observer.unobserved[
                "polars scanned more files than its plan names; they could not be observed."
            ] = None
        sources.read(observer, names)


def _query_result(observer: observe.Observer, call: Call, keyword: str = "sql") -> None:
    text = str(call.argument(keyword, 0))
    given = call.kwargs.get("params", call.kwargs.get("execute_options"))
    if not is_frame(call.answer):
        observer.unobserved["The result of a query was read in pieces, and is not recorded."] = None
        return
    try:
        # now, in the training's own thread: it may change the table after this
        frame = digest_frame(call.answer)
    except Undigestible as error:
        observer.unobserved[f"The result of a query has no digest: {error}."] = None
    else:
        observer.result(text, "" if given is None else repr(given), frame)


def _table_result(observer: observe.Observer, call: Call) -> None:
    call.args = (f"TABLE {call.argument('table_name', 0)}",)
    _query_result(observer, call)


def _database_result(observer: observe.Observer, call: Call) -> None:
    _query_result(observer, call, "query")


def _attaches(sql: object, parameters: Any = ()) -> None:
    if isinstance(sql, str) and "attach" in sql.lower():
        observe.tell(lambda observer: queries.sqlite_attach(observer, sql, parameters))


class _Watched:
    """Before a cursor or a connection of SQLite, says which files a statement opens."""

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        _attaches(sql, parameters)
        return super().execute(sql, parameters)  # type: ignore[misc]

    def executescript(self, sql_script: str, /) -> Any:
        _attaches(sql_script)
        return super().executescript(sql_script)  # type: ignore[misc]


class _Cursor(_Watched, sqlite3.Cursor):
    """A cursor that does."""


def _watched(kind: type[sqlite3.Connection]) -> type[sqlite3.Connection]:
    """A connection of this kind: its own methods make cursors of which it is not asked."""

    class Watched(_Watched, kind):  # type: ignore[misc, valid-type]
        def cursor(self, factory: Any = _Cursor) -> Any:
            return super().cursor(factory)

    Watched.__name__, Watched.__qualname__, Watched.__module__ = (
        kind.__name__,
        kind.__qualname__,
        kind.__module__,
    )
    return Watched


def _watch_sqlite(call: Call) -> None:
    if len(call.args) <= 5:  # the factory is the sixth
        call.kwargs = {**call.kwargs, "factory": _watched(call.kwargs.get("factory", sqlite3.Connection))}


def _model_file(observer: observe.Observer, call: Call) -> None:
    for name in sources.texts(call.argument("model_file", 3)):
        observer.opened(name)


def _data_address(observer: observe.Observer, call: Call) -> None:
    """`train.csv?format=csv#cache`, as XGBoost takes it."""
    data = call.argument("data", 1)
    if isinstance(data, str | os.PathLike):
        name = os.fsdecode(data).removeprefix("file://")
        sources.read(observer, [re.split(r"[?#]", name)[0]])


_ARROW = (
    Reader("pyarrow.parquet.core", "ParquetFile.__init__", "source", position=1),
    Reader("pyarrow.parquet.core", "ParquetDataset.__init__", "path_or_paths", position=1, result="files"),
    Reader("pyarrow.parquet.core", "read_metadata", "where"),
    Reader("pyarrow.parquet.core", "read_schema", "where"),
    Reader("pyarrow.dataset", "dataset", "source", result="files"),
    Reader("pyarrow.dataset", "parquet_dataset", "metadata_path", result="files"),
    Reader("pyarrow.csv", "read_csv", "input_file"),
    Reader("pyarrow.csv", "open_csv", "input_file"),
    Reader("pyarrow.json", "read_json", "input_file"),
    Reader("pyarrow.json", "open_json", "input_file"),
    Reader("pyarrow.feather", "read_table", "source"),
    Reader("pyarrow.feather", "read_feather", "source"),
    Reader("pyarrow.ipc", "open_file", "source"),
    Reader("pyarrow.ipc", "open_stream", "source"),
    Reader("pyarrow.orc", "ORCFile.__init__", "source", position=1),
    Reader("pyarrow.orc", "read_table", "source"),
    Reader("pyarrow", "memory_map", "path"),
    Reader("pyarrow", "input_stream", "source"),
)
_DUCKDB_STATEMENTS = ("execute", "executemany", "sql", "query", "from_query", "query_df")
_DUCKDB_FILES = {
    "read_csv": "path_or_buffer",
    "from_csv_auto": "path_or_buffer",
    "read_json": "path_or_buffer",
    "read_parquet": "file_glob",
    "from_parquet": "file_glob",
}
# What computes a relation: the lazy ones of it are made without reading.
_DUCKDB_COMPUTES = (
    "execute", "fetchall", "fetchone", "fetchmany", "fetchdf", "df", "to_df", "fetchnumpy", "arrow", "to_arrow_table",
    "to_arrow_reader", "fetch_arrow_table", "fetch_arrow_reader", "fetch_record_batch", "fetch_df_chunk", "pl", "torch",
    "tf", "to_dicts", "iter_rows", "create", "to_table", "insert_into", "write_csv", "to_csv", "write_parquet",
    "to_parquet", "materialize", "show", "preview", "describe", "__len__", "__repr__", "__arrow_c_stream__",
)  # fmt: skip
_DUCKDB = (
    Reader("duckdb", "connect", before=queries.duckdb_connect),
    Reader("duckdb", "table_function", before=queries.duckdb_function),
    Reader("duckdb", "DuckDBPyConnection.table_function", before=queries.duckdb_function),
    *(
        Reader("duckdb", name, before=queries.duckdb_statement, sees_caller=True)
        for name in _DUCKDB_STATEMENTS
    ),
    *(
        Reader("duckdb", f"DuckDBPyConnection.{name}", before=queries.duckdb_method, sees_caller=True)
        for name in _DUCKDB_STATEMENTS
    ),
    *(Reader("duckdb", name, keyword) for name, keyword in _DUCKDB_FILES.items()),
    *(
        Reader("duckdb", f"DuckDBPyConnection.{name}", keyword, position=1)
        for name, keyword in _DUCKDB_FILES.items()
    ),
    *(
        Reader("duckdb", f"DuckDBPyRelation.{name}", before=queries.duckdb_relation, sees_caller=True)
        for name in _DUCKDB_COMPUTES
    ),
)
_POLARS_FILES = (
    ("polars.io.csv.functions", ("read_csv", "scan_csv", "read_csv_batched"), "source"),
    ("polars.io.parquet.functions", ("read_parquet", "scan_parquet", "read_parquet_metadata",
                                       "read_parquet_schema"), "source"),
    ("polars.io.ipc.functions", ("read_ipc", "scan_ipc", "read_ipc_stream", "read_ipc_schema"), "source"),
    ("polars.io.ndjson", ("read_ndjson", "scan_ndjson"), "source"),
    ("polars.io.lines", ("read_lines", "scan_lines"), "source"),
    ("polars.io.json.read", ("read_json",), "source"),
    ("polars.io.json", ("read_json",), "source"),
    ("polars.io.avro", ("read_avro",), "source"),
    ("polars.io.spreadsheet.functions", ("read_excel", "read_ods"), "source"),
    ("polars.io.delta.functions", ("read_delta", "scan_delta"), "source"),
    ("polars.io.iceberg.functions", ("scan_iceberg",), "source"),
)  # fmt: skip
_POLARS_COMPUTES = (
    "collect", "collect_async", "collect_batches", "sink_csv", "sink_ipc", "sink_ndjson", "sink_parquet", "sink_delta",
    "sink_batches", "sink_iceberg", "fetch", "profile", "show", "remote",
)  # fmt: skip
_POLARS = (
    *(Reader(module, name, keyword) for module, names, keyword in _POLARS_FILES for name in names),
    *(
        Reader("polars.lazyframe.frame", f"LazyFrame.{name}", before=_polars_plan)
        for name in _POLARS_COMPUTES
    ),
    Reader("polars.io.database.functions", "read_database", after=_database_result),
    Reader("polars.io.database.functions", "read_database_uri", after=_database_result),
)

READERS = (
    *_ARROW,
    *_DUCKDB,
    *_POLARS,
    Reader("safetensors", "safe_open", "filename"),
    Reader("h5py.h5f", "open", "name"),
    Reader("h5py.h5o", "open", after=_hdf5_object),
    Reader("h5py.h5d", "open", after=_hdf5_object),
    Reader("sqlite3", "connect", change=_watch_sqlite),
    Reader("pandas.io.sql", "read_sql", after=_query_result),
    Reader("pandas.io.sql", "read_sql_query", after=_query_result),
    Reader("pandas.io.sql", "read_sql_table", after=_table_result),
    Reader("lightgbm.basic", "Dataset.__init__", "data", position=1),
    Reader("lightgbm.basic", "Booster.__init__", before=_model_file),
    Reader("xgboost.core", "DMatrix.__init__", before=_data_address),
    Reader("catboost.core", "Pool.__init__", "data", position=1),
)
