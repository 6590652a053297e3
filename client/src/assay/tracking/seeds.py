"""The seeds of a run: what is set before it begins, and what it is seen to give to random generators.

While a run goes on, the functions that seed the generators of Python, NumPy and PyTorch are wrapped, wherever a loaded
module holds them, and in these packages when they are imported later; no package is imported to find out. What was
seeded before the run began is not seen, nor a seed that a library keeps to itself (`RandomState(7)`), unless it is a
parameter whose name says so. A generator seeded by the system, with no number or None, has no seed.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from . import observe

_NAMED = re.compile(r"(?:^|[._-])(?:seed|random_state|random_seed|rng_seed)(?:$|[._-])", re.IGNORECASE)
_HASHING = "PYTHONHASHSEED"
# What the registry takes, and of the values given to one generator, so many are told.
_MOST, _MOST_VALUES, _LONGEST = 100, 5, 200


@dataclass(frozen=True)
class _Setter:
    """A function that seeds a generator by its first argument, or by the one called `keyword`."""

    module: str
    attribute: str
    keyword: str
    name: str


_SETTERS = (
    _Setter("random", "seed", "a", "random"),
    _Setter("numpy.random", "seed", "seed", "numpy.random"),
    _Setter("numpy.random", "default_rng", "seed", "numpy.random.default_rng"),
    _Setter("torch", "manual_seed", "seed", "torch"),
)
_MODULES = frozenset(setter.module for setter in _SETTERS)

_lock = threading.Lock()
_users = 0
_undo: list[Callable[[], None]] = []


def known(parameters: Mapping[str, str]) -> dict[str, str]:
    """The seeds that are set before a run begins: of Python's hashes, and parameters whose names say seed."""
    hashing = os.environ.get(_HASHING, "")
    found = {_HASHING: hashing} if hashing.isdigit() else {}
    found |= {name: value for name, value in parameters.items() if _NAMED.search(name) and value != "None"}
    return {name: value[:_LONGEST] for name, value in list(found.items())[:_MOST]}


def told(seen: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The seeds that an observer was told of, as they are sent: of several for one generator, the first ones."""
    answer = {}
    for name, values in list(seen.items())[:_MOST]:
        distinct = list(dict.fromkeys(values))
        more = ["…"] if len(distinct) > _MOST_VALUES else []
        answer[name] = ", ".join([*distinct[:_MOST_VALUES], *more])
    return answer


def wrap() -> None:
    """Begin to see what generators are seeded with. Calls nest."""
    global _users  # noqa: PLW0603 - the modules that are wrapped are the process's
    with _lock:
        _users += 1
        if _users > 1:
            return
        _install([setter for setter in _SETTERS if setter.module in sys.modules])
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


def _install(setters: Sequence[_Setter]) -> None:
    """One walk through the loaded modules, for all of them."""
    functions: dict[int, tuple[Any, Any]] = {}
    for setter in setters:
        original = getattr(sys.modules[setter.module], setter.attribute, None)
        if callable(original) and not hasattr(original, "__assay_seed__"):
            functions[id(original)] = (original, _wrapper(setter, original))
    for module in list(sys.modules.values()) if functions else ():
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or module is sys.modules[__name__]:
            continue
        for name, value in list(names.items()):
            found = functions.get(id(value))
            if found is not None and found[0] is value:
                names[name] = found[1]
                _undo.append(functools.partial(_put_back, names, name, found[1], found[0]))


def _put_back(names: dict[str, Any], name: str, wrapper: Any, original: Any) -> None:
    if names.get(name) is wrapper:
        names[name] = original


def _wrapper(setter: _Setter, original: Any) -> Any:
    def seeded(*args: Any, **kwargs: Any) -> Any:
        value = kwargs.get(setter.keyword, args[0] if args else None)
        observe.tell(lambda observer: _tell(observer, setter.name, value))
        return original(*args, **kwargs)

    functools.update_wrapper(seeded, original)
    seeded.__module__, seeded.__qualname__ = setter.module, setter.attribute
    seeded.__assay_seed__ = True  # type: ignore[attr-defined]
    return seeded


def _tell(observer: observe.Observer, name: str, value: Any) -> None:
    shown = _shown(value)
    if shown:
        observer.seeded(name, shown)


def _shown(value: Any) -> str:
    """A number, a text, or several numbers; empty for what is no seed but a generator, say, or nothing."""
    if isinstance(value, bool | int | float | str):
        return str(value)[:_LONGEST]
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()[:_LONGEST]
    if isinstance(value, list | tuple) and all(isinstance(each, int) for each in value):
        return str(list(value))[:_LONGEST]
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return _shown(value.tolist())
    return ""


class _Finder(importlib.abc.MetaPathFinder):
    """Wraps the functions of a package that is imported during a run."""

    def __init__(self) -> None:
        self._searching = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _MODULES or getattr(self._searching, "on", False):
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
                _install([setter for setter in _SETTERS if setter.module == module.__name__])


_FINDER = _Finder()
