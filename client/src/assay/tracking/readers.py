"""Readers that open files without Python's `open`: those that can be wrapped are, the others are named.

Wrapping begins with a run and ends with it. A function is replaced wherever a loaded module holds it, so that
`from pyarrow.parquet import read_table` at the top of a script does not escape.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from . import observe

# Imported means used, as far as can be seen: their reads happen in C, C++, Rust or another process.
UNOBSERVABLE = (
    "MySQLdb", "SimpleITK", "av", "cx_Oracle", "cv2", "dask.distributed", "decord", "deltalake", "duckdb", "itk",
    "lance", "lmdb", "netCDF4", "oracledb", "osgeo", "polars", "psycopg", "psycopg2", "pyodbc", "pyreadstat", "pyspark",
    "pyvips", "rasterio", "ray", "soundfile", "tables", "tensorflow", "tiledb", "torchaudio",
)  # fmt: skip

# In modules of the project that use Arrow, these names open files past every wrapper.
_ARROW_DIRECT = re.compile(
    r"\b(?:OSFile|LocalFileSystem|SubTreeFileSystem|FileSystem\.from_uri|open_input_file|open_input_stream|ORCFile)\b"
)


@dataclass(frozen=True)
class Reader:
    """A function that reads what its argument names: `module`, `attribute` (dotted for a method), which argument.

    `keyword` is that argument's name. `result` takes the files from what the call returned instead, or, for a
    method that makes an object, from the object.
    """

    module: str
    attribute: str
    keyword: str
    position: int = 0
    result: str = ""


READERS = (
    Reader("pyarrow.parquet.core", "ParquetFile.__init__", "source", position=1),
    Reader("pyarrow.parquet.core", "ParquetDataset.__init__", "path_or_paths", position=1, result="files"),
    Reader("pyarrow.parquet.core", "read_metadata", "where"),
    Reader("pyarrow.parquet.core", "read_schema", "where"),
    Reader("pyarrow.dataset", "dataset", "source", result="files"),
    Reader("pyarrow.csv", "read_csv", "input_file"),
    Reader("pyarrow.csv", "open_csv", "input_file"),
    Reader("pyarrow.json", "read_json", "input_file"),
    Reader("pyarrow.feather", "read_table", "source"),
    Reader("pyarrow.feather", "read_feather", "source"),
    Reader("pyarrow.ipc", "open_file", "source"),
    Reader("pyarrow.ipc", "open_stream", "source"),
    Reader("pyarrow.orc", "ORCFile.__init__", "source", position=1),
    Reader("pyarrow", "memory_map", "path"),
    Reader("pyarrow", "input_stream", "source"),
    Reader("safetensors", "safe_open", "filename"),
    Reader("h5py.h5f", "open", "name"),
)

_lock = threading.Lock()
_users = 0
_undo: list[Callable[[], None]] = []


def wrap() -> None:
    """Begin to see what these readers read. Calls nest."""
    global _users  # noqa: PLW0603 - the modules that are wrapped are the process's
    with _lock:
        _users += 1
        if _users > 1:
            return
        for reader in READERS:
            if reader.module in sys.modules:
                _install(reader)
        sys.meta_path.insert(0, _FINDER)


def unwrap() -> None:
    global _users  # noqa: PLW0603 - the modules that are wrapped are the process's
    with _lock:
        _users -= 1
        if _users:
            return
        if _FINDER in sys.meta_path:
            sys.meta_path.remove(_FINDER)
        while _undo:
            _undo.pop()()


def imported() -> Iterator[str]:
    """A sentence for every imported reader that nothing here can observe."""
    for name in UNOBSERVABLE:
        if name in sys.modules:
            yield f"`{name}` was imported, and the files and tables it reads could not be observed."


def unobservable(roots: Sequence[str]) -> Iterator[str]:
    """The same, and one for every file of the project that uses Arrow past its wrappers."""
    yield from imported()
    if "pyarrow" in sys.modules:
        for path in _project_files(roots):
            found = _ARROW_DIRECT.search(_text(path))
            if found:
                yield f"`{path.name}` uses `{found[0]}` of pyarrow, whose reads could not be observed."


def _install(reader: Reader) -> None:
    module = sys.modules[reader.module]
    holder_name, _, name = reader.attribute.rpartition(".")
    holder = getattr(module, holder_name, None) if holder_name else module
    original = getattr(holder, name, None)
    if original is None or hasattr(original, "__assay_reader__"):
        return
    wrapper = _wrapper(reader, original)
    if holder_name:
        setattr(holder, name, wrapper)
        _undo.append(functools.partial(setattr, holder, name, original))
    else:
        _replace(original, wrapper)


def _replace(original: Any, wrapper: Any) -> None:
    """Everywhere that a loaded module holds the original under a name."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or module is sys.modules[__name__]:
            continue
        for name, value in list(names.items()):
            if value is original:
                names[name] = wrapper
                _undo.append(functools.partial(_put_back, names, name, wrapper, original))


def _put_back(names: dict[str, Any], name: str, wrapper: Any, original: Any) -> None:
    if names.get(name) is wrapper:
        names[name] = original


def _wrapper(reader: Reader, original: Any) -> Any:
    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not observe.active():
            return original(*args, **kwargs)
        source = kwargs.get(reader.keyword, args[reader.position] if len(args) > reader.position else None)
        filesystem = kwargs.get("filesystem")
        if not reader.result:
            observe.tell(lambda observer: _read(observer, source, filesystem))
        answer = original(*args, **kwargs)
        if reader.result and _names_files(source):
            made = args[0] if reader.position and args else answer
            observe.tell(lambda observer: _read(observer, source, filesystem, _result(made, reader.result)))
        return answer

    wrapped.__assay_reader__ = True  # type: ignore[attr-defined]
    return wrapped


def _names_files(source: Any) -> bool:
    """Whether it is a path or paths. What was made from an open file is not even asked: Arrow's own attributes crash
    the process for some of it, and the hook saw the file."""
    items = source if isinstance(source, list | tuple) else [source]
    return all(isinstance(item, str | bytes | os.PathLike) for item in items)


def _result(made: Any, attribute: str) -> list[str] | None:
    """The files of an opened dataset, None when it does not tell."""
    files = getattr(made, attribute, None)
    return files if isinstance(files, list) else None


def _read(observer: observe.Observer, source: Any, filesystem: Any, files: list[str] | None = None) -> None:
    """Tell an observer of a read. `files` is what `source`, a folder perhaps, turned out to hold."""
    if filesystem is not None and not type(filesystem).__name__.startswith("LocalFileSystem"):
        observer.unobserved[
            f"Data was read through a {type(filesystem).__name__}, which could not be observed."
        ] = None
        return
    items = source if isinstance(source, list | tuple) else [source]
    names = [os.fsdecode(item) for item in items if isinstance(item, str | bytes | os.PathLike)]
    for name in names:
        scheme, separator, _ = name.partition("://")
        if separator and scheme != "file":
            observer.unobserved[
                f"Data was read from an address {scheme}://, which could not be observed."
            ] = None
            return
    for name in names if files is None else files:
        observer.opened(name.removeprefix("file://"))


class _Finder(importlib.abc.MetaPathFinder):
    """Wraps a reader when its module is imported during a run."""

    def __init__(self) -> None:
        self._searching = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if getattr(self._searching, "on", False) or not any(reader.module == fullname for reader in READERS):
            return None
        self._searching.on = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching.on = False
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return None
        spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.__loader__ = self._loader
        with _lock:
            for reader in READERS:
                if _users and reader.module == module.__name__:
                    _install(reader)


_FINDER = _Finder()


def _project_files(roots: Sequence[str]) -> list[Path]:
    """The source files of loaded modules that belong to the project."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return [
        Path(file)
        for file in sorted(file for file in files if isinstance(file, str))
        if file.startswith(tuple(roots)) and "site-packages" not in file and file.endswith(".py")
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
