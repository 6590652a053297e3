"""Gates of other packages: found by the entry point group `assay.gates`, held to the same form, trusted with less.

A package names its gates in its metadata: `[project.entry-points."assay.gates"]`, `fair = "their_module:Fair"`, a
subclass of `lifecycle.gates.Gate` whose `name` is the entry point's. Who installs a package trusts its code, which
runs with the server's rights; this keeps its mistakes from becoming a pass or an outage.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter
from registry.errors import InvalidInput

logger = logging.getLogger(__name__)
GROUP = "assay.gates"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# GateResult holds no longer one.
LONGEST_NAME = 60


@dataclass(frozen=True)
class Found:
    """The gates of installed packages by name, and why others cannot be used, in a sentence each."""

    gates: dict[str, Gate] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


class PluggedIn(Gate):
    """A gate of another package. What it raises, and what it answers that is no answer, is an error: no pass."""

    def __init__(self, gate: Gate, origin: str) -> None:
        self._gate = gate
        self.origin = origin
        self.name = gate.name  # type: ignore[misc]
        self.parameters = gate.parameters  # type: ignore[misc]

    def claim(self, given: dict[str, Any]) -> str:
        try:
            said = self._gate.claim(given)
        except (Exception, SystemExit):
            logger.exception("the gate %s of %s cannot say what it claims", self.name, self.origin)
            return self.name
        return said if isinstance(said, str) and said else self.name

    def checked(self, given: Any, where: str) -> dict[str, Any]:
        """Its own checks come after ours. What it refuses, it refuses as ours do."""
        ours = super().checked(given, where)
        try:
            checked = self._gate.checked(given, where)
            json.dumps(checked, allow_nan=False)
        except InvalidInput:
            raise
        except (Exception, SystemExit) as error:
            logger.exception("the gate %s of %s cannot check its parameters", self.name, self.origin)
            raise InvalidInput(
                f"The gate {self.name} of {self.origin} cannot check its parameters ({type(error).__name__}).",
                field=where,
            ) from error
        return checked if isinstance(checked, dict) else ours

    def prepare(self, context: Context) -> None:
        """Whether it prepared itself is for its evaluation to find out."""
        try:
            self._gate.prepare(context)
        except (Exception, SystemExit):
            logger.exception("the gate %s of %s could not prepare itself", self.name, self.origin)

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        try:
            return self._gate.evaluate(context, given)
        except SystemExit as ended:
            raise RuntimeError(f"{self.name} of {self.origin} tried to end the process") from ended


def plugged_in(taken: Collection[str], points: Iterable[EntryPoint] | None = None) -> Found:
    """The gates that installed packages bring. None takes a name that is `taken`, or that two packages claim."""
    found = Found()
    listed = sorted(entry_points(group=GROUP) if points is None else points, key=lambda p: (p.name, _of(p)))
    claimed = Counter(point.name for point in listed)
    for point in listed:
        if point.name in taken:
            why = "that name is a gate of Assay's own"
        elif claimed[point.name] > 1:
            why = "two packages bring a gate of that name"
        else:
            gate = _loaded(point)
            if isinstance(gate, Gate):
                found.gates[point.name] = PluggedIn(gate, _of(point))
                continue
            why = gate
        logger.error("the gate %s of %s is not used: %s", point.name, _of(point), why)
        # What is Assay's own stays Assay's own, and is not broken.
        if point.name not in taken:
            found.broken[point.name] = f"The gate {point.name} of {_of(point)} cannot be used: {why}."
    return found


def _of(point: EntryPoint) -> str:
    """`their-package 1.2`."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _loaded(point: EntryPoint) -> Gate | str:
    """The gate, or why it is none."""
    try:
        kind = point.load()
        gate = kind() if isinstance(kind, type) else kind
    except (Exception, SystemExit) as error:
        logger.exception("the gate %s of %s cannot be loaded", point.name, _of(point))
        return f"it cannot be loaded ({type(error).__name__})"
    if not isinstance(gate, Gate):
        return "it is no subclass of lifecycle.gates.Gate"
    if getattr(gate, "name", None) != point.name or not _NAME.fullmatch(point.name):
        return "its name is not that of its entry point, or not of small letters, digits and _"
    if len(point.name) > LONGEST_NAME:
        return f"its name is longer than {LONGEST_NAME} characters"
    if not all(isinstance(each, Parameter) for each in gate.parameters):
        return "its parameters are not of lifecycle.gates.Parameter"
    return gate
