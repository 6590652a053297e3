"""Everything recorded that differs between two versions, and what of it can be a cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lineage.differences.code import code
from lineage.differences.data import bases, data
from lineage.differences.kinds import KINDS, Difference
from lineage.differences.machine import environment, hardware, image
from lineage.differences.settings import changed_values, command, config, parameters, seeds
from lineage.making import Making
from registry.redaction.marks import alike_apart_from_marks

# What is told as changed by itself, and may be kept in Git beside the code.
_KEPT_IN_GIT = ("config", "seed", "split", "environment")
_SETTINGS = ("parameters", "config")


def differences_between(a: Making, b: Making) -> list[Difference]:
    """Everything recorded that differs, in the order of KINDS. What only one side recorded is no difference, nor
    is what stands against a mark, which may have been the same."""
    sides = a, b
    read = [*data(sides), *bases(sides), *config(sides)]
    given = list(parameters(sides, named_told=bool(read)))
    if not given:
        given += command(sides, named_told=bool(read))
    found = [*read, *code(sides), *given]
    found += [*seeds(sides), *environment(sides), *image(sides), *hardware(sides)]
    known = [each for each in found if not alike_apart_from_marks(each.a, each.b)]
    return sorted(_consequences(known), key=lambda each: each.place)


def causes(differences: Sequence[Difference]) -> list[str]:
    """The kinds that differ by themselves, in the order of KINDS."""
    kinds = {each.kind for each in differences if not each.follows}
    return [kind for kind in KINDS if kind in kinds]


def _consequences(found: Sequence[Difference]) -> list[Difference]:
    """What is nothing but a consequence of another difference follows it, so that one change is told as one cause:
    an image brings its packages, a setting is what a seed was set to, a commit may hold nothing but a configuration."""
    kinds = {each.kind for each in found}
    told = []
    for each in found:
        follows = ""
        if each.kind == "environment" and "image" in kinds:
            follows = "image"
        elif each.kind == "seed" and each.what.startswith("the seed of "):
            follows = _setting(each, found)
        elif each.follows:  # a commit of nothing but files that are recorded by themselves
            follows = next((kind for kind in _KEPT_IN_GIT if kind in kinds), "")
            if not follows:
                continue  # which did not change either: both commits hold the same
        told.append(replace(each, follows=follows))
    return told


def _setting(seed: Difference, found: Sequence[Difference]) -> str:
    """The kind of the setting that has the values of a seed; empty: none has."""
    for each in found:
        if each.kind in _SETTINGS and changed_values(seed) & changed_values(each):
            return each.kind
    return ""
