"""What the pickle walker knows of the things that a pickle would make, without making them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from registry.artifacts.scanning.report import Malformed, Unscannable

MOST_KEYS = 300


class Mark:
    """Where a group of things begins on the stack."""


class Something:
    """A thing of which nothing more is known. It is never called, and never names a global."""


MARK = Mark()
# It may be text, such as what another object's attribute holds; and what is certainly none: a number, a list.
SOMETHING = Something()
NO_TEXT = Something()


@dataclass(frozen=True)
class Name:
    """A global: a class or function that the pickle names."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass
class Table:
    """A dict, as far as its keys are short text."""

    items: dict[str, Any] = field(default_factory=dict)

    def put(self, key: Any, value: Any) -> None:
        """Remember one item. Beyond the most that is kept, everything counts as not known."""
        if isinstance(key, str) and (key in self.items or len(self.items) < MOST_KEYS):
            self.items[key] = value


@dataclass
class Made:
    """What calling a global gave. `state` collects what was put into it."""

    of: Name
    arguments: Any = None
    state: dict[str, Any] = field(default_factory=dict)
    tuple_state: Any = None


# What these calls give is never text; anything else that is called might give some.
MAKES_NO_TEXT = re.compile(
    r"numpy\.(ndarray|dtype)|collections\.\w+|(joblib|sklearn|lightgbm|xgboost|pandas)\..*"
)


def may_be_text(value: Any) -> bool:
    """Whether an unpickler could take it for the name of a global that we cannot read."""
    if isinstance(value, Made):
        return MAKES_NO_TEXT.fullmatch(str(value.of)) is None
    return value is SOMETHING


WRAPPERS = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ("sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper"),
}
SIZES = {"?": 1}
HAS_OBJECTS = 1


def is_wrapper(value: Any) -> bool:
    """Whether joblib takes it for an array whose bytes follow in the file."""
    return isinstance(value, Made) and (value.of.module, value.of.name) in WRAPPERS


def is_dtype(value: Any) -> bool:
    """Whether it is a NumPy dtype."""
    return isinstance(value, Made) and (value.of.module, value.of.name) == ("numpy", "dtype")


@dataclass(frozen=True)
class Layout:
    """How an array's items lie: their size in bytes, whether they are pickled objects, and whether the dtype
    contradicts itself, which is how memory is corrupted."""

    size: int
    objects: bool
    lies: bool


def layout(dtype: Any) -> Layout:
    """What a dtype says of its items. Raises Unscannable when it cannot be told from the file alone."""
    unclear = Unscannable("An array in it has a type that cannot be told without loading it.")
    if not is_dtype(dtype) or not isinstance(dtype.arguments, tuple) or not dtype.arguments:
        raise unclear
    text = dtype.arguments[0]
    if not isinstance(text, str):
        raise unclear
    text = text.lstrip("<>|=")
    kind, digits = text[:1], text[1:]
    if kind not in "?biufcSUVOMm" or not kind or (digits and not digits.isdecimal()) or len(digits) > 9:
        raise unclear
    size = SIZES.get(text) or int(digits or 0) * (4 if kind == "U" else 1)
    if kind == "O":
        size = 8
    objects = kind == "O"
    state = dtype.tuple_state
    if state is not None:
        if not isinstance(state, tuple) or len(state) < 8 or state[2] is not None:
            raise unclear
        fields, elements, flags = state[4], state[5], state[7]
        if not isinstance(elements, int) or not isinstance(flags, int):
            raise unclear
        if kind in "SUV" and elements >= 0:
            size = elements
        if fields is not None:
            objects = objects or _fields_hold_objects(fields, unclear)
        return Layout(size, bool(flags & HAS_OBJECTS), bool(flags & HAS_OBJECTS) != objects)
    return Layout(size, objects, False)


def _fields_hold_objects(fields: Any, unclear: Unscannable) -> bool:
    if not isinstance(fields, Table) or len(fields.items) >= MOST_KEYS:
        raise unclear
    found = False
    for field_ in fields.items.values():
        if not isinstance(field_, tuple) or not field_:
            raise unclear
        found = layout(field_[0]).objects or found
    return found


def count_of(shape: Any) -> int:
    """How many items an array of this shape has. Raises Unscannable, Malformed."""
    if not isinstance(shape, tuple) or not all(isinstance(n, int) for n in shape):
        raise Unscannable("An array in it has a shape that cannot be told without loading it.")
    count = 1
    for n in shape:
        count *= n
    if count < 0 or count >= 2**62 or any(n < 0 for n in shape):
        raise Malformed("an array has an impossible shape")
    return count
