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
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from . import engines, observe, sources
from .sources import Call, Reader

# Imported means used, as far as can be seen: their reads happen in C, C++, Rust or another process.
UNOBSERVABLE = (
    "MySQLdb", "SimpleITK", "av", "cx_Oracle", "cv2", "dask.distributed", "decord", "deltalake", "fiona", "itk",
    "lance", "lmdb", "netCDF4", "oracledb", "osgeo", "psycopg", "psycopg2", "pyodbc", "pyogrio", "pyreadstat",
    "pyspark", "pyvips", "rasterio", "ray", "soundfile", "tables", "tensorflow", "tiledb", "torchaudio",
)  # fmt: skip

# In modules of the project that use Arrow, these names open files past every wrapper.
_ARROW_DIRECT = re.compile(
    r"\b(?:OSFile|LocalFileSystem|SubTreeFileSystem|FileSystem\.from_uri|open_input_file|open_input_stream|ORCFile)\b"
)


READERS = engines.READERS
_CALL = compile("__assay_call__(*__assay_args__, **__assay_kwargs__)", "<assay>", "eval")

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
        _install([reader for reader in READERS if reader.module in sys.modules])
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


def _install(wanted: Sequence[Reader]) -> None:
    functions: dict[int, tuple[Any, Any]] = {}
    for reader in wanted:
        module = sys.modules[reader.module]
        holder_name, _, name = reader.attribute.rpartition(".")
        holder = getattr(module, holder_name, None) if holder_name else module
        original = getattr(holder, name, None)
        if original is None or hasattr(original, "__assay_reader__"):
            continue
        wrapper = _wrapper(reader, original)
        if holder_name:
            setattr(holder, name, wrapper)
            _undo.append(functools.partial(setattr, holder, name, original))
        else:
            functions.setdefault(id(original), (original, wrapper))
    if functions:
        _replace(functions)


def _replace(functions: dict[int, tuple[Any, Any]]) -> None:
    """Everywhere that a loaded module holds an original under a name: one walk for all of them."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or module is sys.modules[__name__]:
            continue
        for name, value in list(names.items()):
            found = functions.get(id(value))
            if found is not None:
                names[name] = found[1]
                _undo.append(functools.partial(_put_back, names, name, found[1], found[0]))


def _put_back(names: dict[str, Any], name: str, wrapper: Any, original: Any) -> None:
    if names.get(name) is wrapper:
        names[name] = original


def _wrapper(reader: Reader, original: Any) -> Any:
    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not observe.active():
            return original(*args, **kwargs)
        call = Call(f"{reader.module.partition('.')[0]}.{reader.attribute.partition('.')[0]}", args, kwargs)
        observe.tell(lambda observer: _before(observer, reader, call))
        call.answer = _called(original, call, sys._getframe(1) if reader.sees_caller else None)  # noqa: SLF001
        observe.tell(lambda observer: _after(observer, reader, call))
        return call.answer

    wrapped.__assay_reader__ = True  # type: ignore[attr-defined]
    return wrapped


def _called(original: Any, call: Call, caller: FrameType | None) -> Any:
    """With a caller, from a frame that has its variables: the function must not find ours in their place."""
    if caller is None:
        return original(*call.args, **call.kwargs)
    names = {
        **caller.f_locals,
        "__assay_call__": original,
        "__assay_args__": call.args,
        "__assay_kwargs__": call.kwargs,
    }
    return eval(_CALL, caller.f_globals, names)  # noqa: S307 - a constant


def _before(observer: observe.Observer, reader: Reader, call: Call) -> None:
    if reader.change is not None:
        reader.change(call)
    if reader.before is not None:
        reader.before(observer, call)
    if reader.keyword and not reader.result and not _elsewhere(call):
        sources.read(observer, _named(reader, call))


def _after(observer: observe.Observer, reader: Reader, call: Call) -> None:
    if reader.after is not None:
        reader.after(observer, call)
    if not reader.keyword:
        return
    source = call.argument(reader.keyword, reader.position)
    names = _named(reader, call)
    filesystem = _elsewhere(call)
    if filesystem:
        observer.unobserved[f"Data was read through a {filesystem}, which could not be observed."] = None
        return
    if reader.result and _names_files(source):
        made = call.args[0] if reader.position and call.args else call.answer
        files = _result(made, reader.result)
        sources.read(observer, names if files is None or any(map(sources.address, names)) else files)
        if files is None:
            sources.check_found(observer, call, names)
    elif not reader.result:
        sources.check_found(observer, call, names)


def _named(reader: Reader, call: Call) -> list[str]:
    """The names that a reader was given. Bytes are a name to HDF5 only, which writes an open file as `<...>`."""
    source = call.argument(reader.keyword, reader.position)
    items = source if isinstance(source, list | tuple) else [source]
    hdf5 = reader.module.startswith("h5py")
    return [name for name in sources.texts([item for item in items if hdf5 or not isinstance(item, bytes)])
            if not (hdf5 and name.startswith("<"))]  # fmt: skip


def _elsewhere(call: Call) -> str:
    """The kind of file system that is read through, empty when it is this machine's."""
    filesystem = call.kwargs.get("filesystem")
    kind = type(filesystem).__name__
    return "" if filesystem is None or kind.startswith("LocalFileSystem") else kind


def _names_files(source: Any) -> bool:
    """Whether it is a path or paths. What was made from an open file is not even asked: Arrow's own attributes crash
    the process for some of it, and the hook saw the file."""
    items = source if isinstance(source, list | tuple) else [source]
    return all(isinstance(item, str | bytes | os.PathLike) for item in items)


def _result(made: Any, attribute: str) -> list[str] | None:
    """The files of an opened dataset, None when it does not tell."""
    files = getattr(made, attribute, None)
    return files if isinstance(files, list) else None


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
            if _users:
                _install([reader for reader in READERS if reader.module == module.__name__])


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
