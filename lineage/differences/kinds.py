"""Kinds of difference in the order in which they are told, and one difference in one plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lineage.making import Making

SHORT = 60


@dataclass(frozen=True)
class Kind:
    """How a kind of difference is called in a sentence."""

    noun: str
    plural: bool = False


# In the order in which they are told: what most often explains a model comes first.
KINDS: dict[str, Kind] = {
    "data": Kind("the training data"),
    "split": Kind("the split of the data"),
    "base": Kind("the base model"),
    "code": Kind("the code"),
    "parameters": Kind("the parameters", plural=True),
    "config": Kind("the configuration"),
    "seed": Kind("the seed"),
    "environment": Kind("the environment"),
    "image": Kind("the container image"),
    "hardware": Kind("the hardware"),
}


@dataclass(frozen=True)
class Difference:
    """One difference. `a` and `b` are what each side has, null where it has nothing; `told` is that in words. `more` is
    what else is known of it, a part of the sentence too.

    `follows` is the kind of the difference of which this one is a consequence: an image brings its packages. `link`
    is where the change can be read, as text.
    """

    kind: str
    what: str
    sentence: str
    told: tuple[str, str]
    a: Any
    b: Any
    more: str = ""
    training: bool = True
    follows: str = ""
    link: str = ""

    @property
    def place(self) -> tuple[int, bool]:
        """A consequence stands behind what it follows from."""
        return list(KINDS).index(self.follows or self.kind), bool(self.follows)

    def json(self) -> dict[str, Any]:
        """As answers show it."""
        return {
            "kind": self.kind,
            "what": self.what,
            "sentence": self.sentence,
            "told": list(self.told),
            "more": self.more,
            "a": self.a,
            "b": self.b,
            "follows": self.follows,
            "link": self.link,
        }


def changed(
    kind: str,
    what: str,
    told: tuple[str, str],
    sides: tuple[Making, Making],
    values: tuple[Any, Any],
    *,
    more: str = "",
) -> Difference:
    """`what` is one thing in the first version and another in the second; `told` are both in words."""
    a, b = sides
    sentence = f"{what} changed: {told[0]} in {a.label}, {told[1]} in {b.label}"
    return Difference(kind, what, f"{sentence}; {more}" if more else sentence, told, *values, more=more)


def mapping(value: Any) -> Mapping[str, Any]:
    """The object that was meant, or none: what clients sent need not have the shape that was meant."""
    return value if isinstance(value, dict) else {}


def cut(value: Any) -> str:
    """A value at a length that a sentence bears."""
    text = str(value)
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


def short_digest(digest: str) -> str:
    """A digest as people read it: `sha256:12ab34cd…`."""
    scheme, _, digits = digest.rpartition(":")
    return f"{scheme}:{digits[:8]}…" if scheme else f"{digits[:8]}…"
