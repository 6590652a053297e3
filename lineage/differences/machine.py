"""Where two versions were made: packages and interpreter, container image, hardware."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lineage.differences.kinds import Difference, changed, cut, mapping, short_digest
from lineage.making import Making

Sides = tuple[Making, Making]
GIB = 1024**3
# Told with the seeds.
_SEEDS = frozenset({"PYTHONHASHSEED"})


def environment(sides: Sides) -> Iterator[Difference]:
    """Packages, interpreter, operating system. A lock file is what was wished for: it is told where what was
    installed is not known, or differs too."""
    mine, theirs = _environments(sides)
    packages = list(_packages(mapping(mine.get("packages")), mapping(theirs.get("packages")), sides))
    yield from packages
    both = bool(mine.get("packages") and theirs.get("packages"))
    if packages or not both:
        yield from _lock(mapping(mine.get("lock_file")), mapping(theirs.get("lock_file")), sides)
    yield from _plain("environment", "the interpreter", mine.get("python"), theirs.get("python"), sides)
    systems = _system(mine.get("os")), _system(theirs.get("os"))
    yield from _plain("environment", "the operating system", systems[0][0], systems[1][0], sides)


def image(sides: Sides) -> Iterator[Difference]:
    """The container image, by digest. A side that knows of none is a gap."""
    mine, theirs = (str(each.get("image_digest") or "") for each in _environments(sides))
    if mine and theirs and mine != theirs:
        told = short_digest(mine), short_digest(theirs)
        yield changed("image", "the container image", told, sides, (mine, theirs))


def hardware(sides: Sides) -> Iterator[Difference]:
    """The machine: what both recorded of it. The kernel is the machine's, not the image's."""
    mine, theirs = _environments(sides)
    systems = _system(mine.get("os")), _system(theirs.get("os"))
    left, right = mapping(mine.get("hardware")), mapping(theirs.get("hardware"))
    for key in sorted({*left} & {*right} - {"variables"}, key=_rank):
        if left[key] == right[key]:
            continue
        told = _told(key, left[key]), _told(key, right[key])
        if told[0] != told[1]:
            yield changed(
                "hardware", _WORDS.get(key, f"the hardware ({key})"), told, sides, (left[key], right[key])
            )
    if "variables" in left or "variables" in right:
        yield from _variables(mapping(left.get("variables")), mapping(right.get("variables")), sides)
    yield from _plain("hardware", "the kernel", systems[0][1], systems[1][1], sides)


_WORDS = {
    "cpu": "the processor",
    "cpus": "the number of processors",
    "gpus": "the GPUs",
    "memory": "the memory",
}


def _environments(sides: Sides) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    mine, theirs = (mapping(side.run.environment) if side.run else {} for side in sides)
    return mine, theirs


def _plain(kind: str, what: str, left: Any, right: Any, sides: Sides) -> Iterator[Difference]:
    if left and right and left != right:
        yield changed(kind, what, (cut(left), cut(right)), sides, (left, right))


def _packages(mine: Mapping[str, Any], theirs: Mapping[str, Any], sides: Sides) -> Iterator[Difference]:
    """Versions that changed before packages that came or went."""
    if not mine or not theirs:
        return
    differing = [name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)]
    for name in sorted(differing, key=lambda each: (each not in mine or each not in theirs, each)):
        left, right = mine.get(name), theirs.get(name)
        told = str(left or "not installed"), str(right or "not installed")
        yield changed("environment", f"the package {name}", told, sides, (left, right))


def _lock(mine: Mapping[str, Any], theirs: Mapping[str, Any], sides: Sides) -> Iterator[Difference]:
    digests = str(mine.get("digest") or ""), str(theirs.get("digest") or "")
    if all(digests) and digests[0] != digests[1]:
        told = short_digest(digests[0]), short_digest(digests[1])
        name = str(theirs.get("path") or mine.get("path") or "")
        yield changed("environment", f"the lock file {name}".rstrip(), told, sides, digests)


def _variables(mine: Mapping[str, Any], theirs: Mapping[str, Any], sides: Sides) -> Iterator[Difference]:
    for name in sorted({*mine, *theirs} - _SEEDS):
        left, right = mine.get(name), theirs.get(name)
        if left != right:
            told = cut("not set" if left is None else left), cut("not set" if right is None else right)
            yield changed("hardware", f"the variable {name}", told, sides, (left, right))


def _system(name: Any) -> tuple[str, str]:
    """`Debian 12 (Linux 6.1 x86_64)` as the system and its kernel. What has no kernel in it is the system."""
    text = str(name or "")
    system, opened, kernel = text.rpartition(" (")
    return (system, kernel.removesuffix(")")) if opened and text.endswith(")") else (text, "")


def _rank(key: str) -> tuple[int, str]:
    known = ["gpus", "cpu", "cpus", "memory"]
    return (known.index(key) if key in known else len(known), key)


def _told(key: str, value: Any) -> str:
    if key == "memory" and isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value / GIB:.1f} GiB"
    if key == "gpus" and isinstance(value, list):
        return cut(", ".join(_gpu(each) for each in value)) if value else "none"
    return cut(value)


def _gpu(gpu: Any) -> str:
    facts = mapping(gpu)
    driver = f" (driver {facts['driver']})" if facts.get("driver") else ""
    return f"{facts.get('name') or gpu}{driver}"
