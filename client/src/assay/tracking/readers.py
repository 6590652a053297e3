"""Readers that open files without Python's `open`: those that can be wrapped are, the others are named.

Wrapping begins with a run and ends with it.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from . import engines, observe, sources
from .sources import Call, Reader
from .wrapping import Wrapping

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


def _install(modules: Collection[str]) -> None:
    functions: dict[int, tuple[Any, Any]] = {}
    for reader in READERS:
        if reader.module not in modules:
            continue
        module = sys.modules[reader.module]
        holder_name, _, name = reader.attribute.rpartition(".")
        holder = getattr(module, holder_name, None) if holder_name else module
        original = getattr(holder, name, None)
        if original is None or hasattr(original, "__assay_reader__"):
            continue
        wrapper = _wrapper(reader, original)
        if holder_name:
            _WRAPPING.replace_method(holder, name, wrapper)
        else:
            functions.setdefault(id(original), (original, wrapper))
    _WRAPPING.replace(functions)


_WRAPPING = Wrapping(lambda: {reader.module for reader in READERS}, _install)
# Begin, and end, to see what these readers read. Calls nest.
wrap, unwrap = _WRAPPING.begin, _WRAPPING.end


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
