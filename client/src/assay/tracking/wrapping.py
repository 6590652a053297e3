"""Functions of other packages with ours around them, from the beginning of a run to its end.

A function is replaced wherever a loaded module holds it, so that `from pyarrow.parquet import read_table` at the top of
a script does not escape, and in packages that are imported meanwhile; none is imported to find out.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from types import ModuleType
from typing import Any


class Wrapping:
    """What is wrapped of some modules. `modules` names them; `install` wraps what those have that are loaded."""

    def __init__(
        self, modules: Callable[[], Collection[str]], install: Callable[[Collection[str]], None]
    ) -> None:
        self._modules = modules
        self._install = install
        self._lock = threading.Lock()
        self._users = 0
        self._undo: list[Callable[[], None]] = []
        self._finder = _Finder(self)

    def begin(self) -> None:
        """Wrap. Calls nest."""
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self._install([name for name in self._modules() if name in sys.modules])
            sys.meta_path.insert(0, self._finder)

    def end(self) -> None:
        """Put everything back, when it was begun no more often."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            if self._finder in sys.meta_path:
                sys.meta_path.remove(self._finder)
            while self._undo:
                self._undo.pop()()

    def concerns(self, module: str) -> bool:
        return module in self._modules()

    def loaded(self, module: str) -> None:
        """It was imported just now."""
        with self._lock:
            if self._users:
                self._install([module])

    def replace_method(self, holder: Any, name: str, wrapper: Any) -> None:
        self._undo.append(functools.partial(setattr, holder, name, getattr(holder, name)))
        setattr(holder, name, wrapper)

    def replace(self, wrappers: Mapping[int, tuple[Any, Any]]) -> None:
        """Put wrappers in the place of functions, each pair by the function's `id`: one walk for all of them."""
        for module in list(sys.modules.values()) if wrappers else ():
            names = getattr(module, "__dict__", None)
            if not isinstance(names, dict):
                continue
            for name, value in list(names.items()):
                found = wrappers.get(id(value))
                if found is not None:
                    names[name] = found[1]
                    self._undo.append(functools.partial(_put_back, names, name, found))


def _put_back(names: dict[str, Any], name: str, pair: tuple[Any, Any]) -> None:
    if names.get(name) is pair[1]:
        names[name] = pair[0]


class _Finder(importlib.abc.MetaPathFinder):
    """Tells a wrapping of its modules when they are imported during a run."""

    def __init__(self, wrapping: Wrapping) -> None:
        self._wrapping = wrapping
        self._searching = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if getattr(self._searching, "on", False) or not self._wrapping.concerns(fullname):
            return None
        self._searching.on = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching.on = False
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return None
        spec.loader = _Loader(spec.loader, self._wrapping)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any, wrapping: Wrapping) -> None:
        self._loader = loader
        self._wrapping = wrapping

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.__loader__ = self._loader
        self._wrapping.loaded(module.__name__)
