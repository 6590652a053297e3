"""The seeds of a run: what is set before it begins, and what it is seen to give to random generators.

While a run goes on, the functions that seed the generators of Python, NumPy and PyTorch are wrapped, wherever a loaded
module holds them, and in these packages when they are imported later; no package is imported to find out. What was
seeded before the run began is not seen, nor a seed that a library keeps to itself (`RandomState(7)`), unless it is a
parameter whose name says so. A generator seeded by the system, with no number or None, has no seed.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import observe
from .wrapping import Wrapping

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


def _install(modules: Collection[str]) -> None:
    functions: dict[int, tuple[Any, Any]] = {}
    for setter in _SETTERS:
        if setter.module in modules:
            original = getattr(sys.modules[setter.module], setter.attribute, None)
            if callable(original) and not hasattr(original, "__assay_seed__"):
                functions[id(original)] = (original, _wrapper(setter, original))
    _WRAPPING.replace(functions)


_WRAPPING = Wrapping(lambda: {setter.module for setter in _SETTERS}, _install)
# Begin, and end, to see what generators are seeded with. Calls nest.
wrap, unwrap = _WRAPPING.begin, _WRAPPING.end


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
