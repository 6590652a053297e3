"""The files that SQL reads: those that a statement names, and those of the databases it is sent to.

A statement is not understood, only looked through: every text in it that names a file, a pattern or an address is taken
for read, unless it follows TO. A function that reads files and is given something else than texts makes the run
unknown, since what it read is not known.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from . import observe, sources
from .sources import Call

_TOKENS = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)"
    r"|(?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*')"
    r"|(?P<text>'(?:[^']|'')*')"
    r"|(?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
    r'|(?P<name>"(?:[^"]|"")*")',
    re.DOTALL,
)
# Functions that open what their first argument names. Those that scan something in memory are no readers.
_FUNCTION = re.compile(
    r"\b(?!(?:arrow|pandas|python|seq|index|table|column_data|dummy|numpy|array|range|empty)_scan)"
    r"(read_\w+|\w+_scan(?:_\w+)?|parquet_(?:metadata|schema|file_metadata|kv_metadata|bloom_probe|full_metadata)"
    r"|sniff_csv|st_read\w*|st_drivers|iceberg_\w+|delta_\w+|load_aws_\w+|query|query_table)\s*\(\s*",
    re.IGNORECASE,
)
_LONGEST_PATH = 4096
_LITERAL = "\x01"
_GIVEN = re.compile(rf"(?:\[\s*)?{_LITERAL}(?:\s*,\s*{_LITERAL})*\s*\]?\s*[,)]|{_LITERAL}\s*[,)]")
_PARAMETER = re.compile(r"(?:\?|\$\w+)(?:::\w+)?\s*[,)]")
_WRITES = re.compile(r"\b(?:to|export\s+database)\s*$", re.IGNORECASE)
_ATTACH = re.compile(r"(?:^|;)\s*attach\b", re.IGNORECASE)
_EXECUTE = re.compile(r"\s*execute\b.*(?:\?|\$\w)", re.IGNORECASE | re.DOTALL)
_FOLDERS = re.compile(r"\b(?:delta|iceberg)_\w+\s*\(|\bimport\s+database\b", re.IGNORECASE)
_ELSEWHERE = re.compile(r"\bfile_search_path\b|\bgetvariable\s*\(|\bquery(?:_table)?\s*\(", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """`texts` are what it may read, `written` what it writes, `names` its quoted names; `unclear`: a function that
    reads was given something else than texts, or than the parameters, `takes_parameters`."""

    texts: tuple[str, ...]
    names: tuple[str, ...]
    written: tuple[str, ...]
    unclear: str = ""
    takes_parameters: bool = False
    attaches: bool = False
    reads_folders: bool = False


@functools.lru_cache(maxsize=256)
def look_through(text: str) -> Statement:
    """Take a statement, or several, apart."""
    texts: list[str] = []
    names: list[str] = []
    written: list[str] = []
    plain: list[str] = []
    end = 0
    for token in _TOKENS.finditer(text):
        plain.append(text[end : token.start()])
        end = token.end()
        kind = token.lastgroup if token.lastgroup != "tag" else "dollar"
        if kind == "comment":
            plain.append(" ")
        elif kind == "name":
            names.append(token[0][1:-1].replace('""', '"'))
            plain.append(" ")
        else:
            kept = written if _WRITES.search("".join(plain[-3:])) else texts
            kept.append(_value(str(kind), token[0]))
            plain.append(_LITERAL)
    plain.append(text[end:])
    rest = "".join(plain)
    unclear, parameters = "", bool(_EXECUTE.match(rest))
    for function in _FUNCTION.finditer(rest):
        if _PARAMETER.match(rest, function.end()):
            parameters = True
        elif not _GIVEN.match(rest, function.end()):
            unclear = function[1].lower()
    found = _ELSEWHERE.search(rest)
    if found:
        unclear = found[0].strip(" (").lower()
    attaches, reads_folders = bool(_ATTACH.search(rest)), bool(_FOLDERS.search(rest))
    return Statement(tuple(texts), tuple(names), tuple(written), unclear, parameters, attaches, reads_folders)


def _value(kind: str, token: str) -> str:
    if kind == "dollar":
        tag = token[: token.index("$", 1) + 1]
        return token[len(tag) : -len(tag)]
    body = token[2:-1] if kind == "escaped" else token[1:-1]
    return body.replace("''", "'")


def tell(observer: observe.Observer, text: str, parameters: Any = None) -> None:
    """An observer is told of what a statement of DuckDB reads."""
    found = look_through(text)
    named = [*found.texts, *(name for name in found.names if "." in name or "/" in name)]
    if found.takes_parameters:
        given = _texts(parameters)
        named += given
        if not given:
            observer.unobserved[_sentence("DuckDB", "a parameter")] = None
    for name in named:
        fits = len(name) < _LONGEST_PATH and "\n" not in name and "\0" not in name
        if fits and (found.reads_folders or not os.path.isdir(name)):
            sources.read(observer, [name], write=found.attaches)
            if found.attaches:
                _tell_log(observer, name)
    for name in found.written:
        observer.opened(name, write=True, read=False)
    if found.unclear:
        observer.unobserved[_sentence("DuckDB", f"`{found.unclear}`")] = None


def _sentence(engine: str, what: str) -> str:
    return f"{engine} was given {what} in place of a file's name; what it read could not be observed."


def _texts(parameters: Any) -> list[str]:
    if isinstance(parameters, Mapping):
        return [text for value in parameters.values() for text in _texts(value)]
    if isinstance(parameters, str):
        return [parameters]
    if isinstance(parameters, Sequence) and not isinstance(parameters, bytes):
        return [text for value in parameters for text in _texts(value)]
    return []


def _tell_log(observer: observe.Observer, database: str) -> None:
    """A write-ahead log holds what was written last."""
    observer.opened(f"{database}.wal", write=True)


def duckdb_connect(observer: observe.Observer, call: Call) -> None:
    for name in sources.texts(call.argument("database", 0)):
        if name and not name.startswith(":") and ":" not in name.partition(os.sep)[0]:
            sources.read(observer, [name], write=not call.argument("read_only", 1))
            _tell_log(observer, name)
        elif name and not name.startswith(":"):
            observer.unobserved[
                "DuckDB was connected to another server; what it read could not be observed."
            ] = None


def duckdb_statement(observer: observe.Observer, call: Call, position: int = 0) -> None:
    """Of a function of the module; a method has its object first."""
    query = call.argument("query", position)
    parameters = call.kwargs.get("parameters", call.kwargs.get("params"))
    given = parameters if parameters is not None else list(call.args[position + 1 :])
    tell(observer, query if isinstance(query, str) else str(getattr(query, "query", query)), given)
    _tell_databases(observer, call)


def duckdb_method(observer: observe.Observer, call: Call) -> None:
    duckdb_statement(observer, call, 1)


def duckdb_function(observer: observe.Observer, call: Call) -> None:
    """`table_function(name, [parameters])`."""
    offset = len(call.args) - 2 if len(call.args) > 2 else 0
    given = _texts(call.argument("parameters", 1 + offset))
    sources.read(observer, given)


def duckdb_relation(observer: observe.Observer, call: Call) -> None:
    """A relation is computed now, whenever it was made; its statement names what is read."""
    with suppress(Exception):  # of a relation that is closed or has no statement nothing is read
        tell(observer, call.args[0].sql_query())


def _tell_databases(observer: observe.Observer, call: Call) -> None:
    """The databases that a connection has had open since before it was watched, once for each connection."""
    connection = call.kwargs.get("connection")
    if connection is None and call.args and hasattr(call.args[0], "cursor"):
        connection = call.args[0]
    if connection is None:
        default = getattr(sys.modules.get("duckdb"), "default_connection", None)
        connection = default() if callable(default) else default
    if connection is None or ("duckdb", id(connection)) in observer.looked:
        return
    observer.looked.add(("duckdb", id(connection)))
    with suppress(Exception):  # it may be closed
        cursor = connection.cursor()
        for path, read_only in cursor.execute(
            "SELECT path, readonly FROM duckdb_databases() WHERE path IS NOT NULL"
        ).fetchall():
            sources.read(observer, [path], write=not read_only)
            _tell_log(observer, path)
        for name, sql in cursor.execute(
            "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal"
        ).fetchall():
            found = look_through(sql)
            if found.unclear or any(next(sources.files_of(text), None) for text in found.texts):
                observer.unobserved[
                    f"The view `{name}` of a database reads files; whether they were read could not be observed."
                ] = None


def sqlite_attach(observer: observe.Observer, text: str, parameters: Any) -> None:
    """SQLite opens another file where a statement says so."""
    found = look_through(text)
    if not found.attaches:
        return
    given = [*found.texts, *_texts(parameters)]
    for name in given:
        observer.opened(name[5:].partition("?")[0] if name.startswith("file:") else name, write=True)
    if not given:
        observer.unobserved[_sentence("SQLite", "something")] = None
