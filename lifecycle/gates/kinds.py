"""What a gate is: a named claim about a version, with typed parameters, that answers with a sentence."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from lifecycle.models import GateResult, Promotion, Waiver
from lineage.provenance import trainers_of
from registry.errors import InvalidInput
from registry.models import EvaluationMetric, ModelVersion
from registry.permissions import accounts_of

Verdict = GateResult.Verdict
# What a parameter is, in words.
KINDS = {
    str: "a text",
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    list: "a list of texts",
}


@dataclass(frozen=True)
class Wanted:
    """An evaluation without which a gate cannot answer: of which version, on what."""

    version: ModelVersion
    metric: str
    dataset: str
    dataset_digest: str
    split: str
    slice: str = ""

    @classmethod
    def of(cls, like: EvaluationMetric, version: ModelVersion) -> Wanted:
        """The same as `like`, of another version."""
        on = like.evaluation
        return cls(version, like.name, on.dataset, on.dataset_digest, on.split, on.slice)


@dataclass(frozen=True)
class Finding:
    """What a gate says. `evidence` holds only what it read, no clock: an approval is bound to it.

    What is `wanted` is asked of those who evaluate, once, by the event `evaluation.requested`.
    """

    verdict: str
    sentence: str
    evidence: dict[str, Any] = field(default_factory=dict)
    wanted: tuple[Wanted, ...] = ()
    # By which it is let stand, when the verdict is `waived`: no gate says so itself.
    waiver: Waiver | None = None


@dataclass(frozen=True)
class Context:
    """What is asked about: the promotion, its version, and the version it would replace."""

    promotion: Promotion
    version: ModelVersion
    incumbent: ModelVersion | None
    now: datetime

    def interested(self) -> set[Any]:
        """Ids of those whose own evidence does not count: who asked, who made or trained the version, and the
        owners of, or the accounts owned by, these."""
        people = {self.promotion.requested_by_id, self.version.created_by_id}
        return accounts_of(people | trainers_of(self.version))


@dataclass(frozen=True)
class Parameter:
    """A typed parameter of a gate. `least` and `most` bound a number; a list holds texts."""

    name: str
    kind: type
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    help: str = ""
    least: float | None = None
    most: float | None = None


class Gate(ABC):
    """A gate. Subclasses read the database only; what takes long is done before, in `prepare`."""

    name: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    @abstractmethod
    def claim(self, given: dict[str, Any]) -> str:
        """What the gate demands, in words, with these parameters."""

    @abstractmethod
    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        """Whether it holds now."""

    def prepare(self, context: Context) -> None:  # noqa: B027 - most gates need nothing
        """Work that must be done before evaluating, such as reading bytes again."""

    def checked(self, given: Any, where: str) -> dict[str, Any]:
        """The parameters with their defaults. Raises InvalidInput that points at the one that is wrong."""
        if not isinstance(given, dict):
            raise InvalidInput("The parameters of a gate are an object.", field=where)
        known = {p.name: p for p in self.parameters}
        for name in given:
            if name not in known:
                raise InvalidInput(
                    f"{self.name} has no parameter {name!r}; it has {', '.join(known) or 'none'}.",
                    field=f"{where}.{name}",
                )
        return {p.name: _value(self.name, p, given, f"{where}.{p.name}") for p in self.parameters}


def _value(gate: str, parameter: Parameter, given: dict[str, Any], where: str) -> Any:
    value = given.get(parameter.name, parameter.default)
    if value is None:
        if parameter.required:
            raise InvalidInput(f"{gate} needs {parameter.name}: {parameter.help}", field=where)
        return None
    if parameter.kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise InvalidInput(f"{parameter.name} is a finite number.", field=where)
        if parameter.least is not None and value < parameter.least:
            raise InvalidInput(f"{parameter.name} is at least {parameter.least:g}.", field=where)
        if parameter.most is not None and value > parameter.most:
            raise InvalidInput(f"{parameter.name} is at most {parameter.most:g}.", field=where)
        return float(value)
    if not isinstance(value, parameter.kind) or isinstance(value, bool) != (parameter.kind is bool):
        raise InvalidInput(f"{parameter.name} is {KINDS[parameter.kind]}.", field=where)
    if isinstance(value, list) and not all(isinstance(each, str) for each in value):
        raise InvalidInput(f"{parameter.name} is a list of texts.", field=where)
    if parameter.choices and value not in parameter.choices:
        raise InvalidInput(f"{parameter.name} is one of {', '.join(parameter.choices)}.", field=where)
    return value
