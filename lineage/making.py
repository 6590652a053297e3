"""What made each of several versions, read in a number of queries that does not grow with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from lineage.models import DatasetVersion, Edge, LatestMetric, Run, RunParameter, Supply
from lineage.reads import Content, contents_of, digest_of, is_told, reads_into
from registry.models import EvaluationMetric, ModelVersion, Principal
from registry.redaction.marks import marks_in

# (dataset digest, split, slice, metric): values under one key can be compared.
MetricKey = tuple[str, str, str, str]


@dataclass(frozen=True)
class Input:
    """A dataset that a run read. `contexts` are what it was read for."""

    name: str
    digest: str
    rows: int | None
    contexts: frozenset[str]
    columns: int | None = None
    # Types by column, in their order; empty where they are not known.
    schema: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Base:
    """A version that another was trained from; reference and digest are empty where the caller may not see it, the
    digest also until its bytes are proven."""

    id: UUID
    reference: str
    digest: str = ""


@dataclass(frozen=True)
class Measured:
    """A metric's value, on which dataset by name, and the interval that was given for it."""

    value: float
    dataset: str = ""
    low: float | None = None
    high: float | None = None


@dataclass
class Making:
    """A version and what is recorded of its making."""

    version: ModelVersion
    run: Run | None = None
    supply: Supply | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    bases: list[Base] = field(default_factory=list)
    run_metrics: dict[str, float] = field(default_factory=dict)
    evaluations: dict[MetricKey, Measured] = field(default_factory=dict)

    @property
    def marks(self) -> frozenset[str]:
        """The marks of what two people took out of what is recorded."""
        run = self.run
        told = [run.entry_point, run.command, run.code, run.environment, run.config, run.seeds] if run else []
        return marks_in([*told, self.parameters])

    @property
    def label(self) -> str:
        """How sentences call it."""
        return self.version.reference


def makings_of(versions: Sequence[ModelVersion], principal: Principal) -> list[Making]:
    """What made each of these versions, in their order."""
    runs = {
        run.pk: run
        for run in Run.objects.visible_to(principal).filter(pk__in={v.run_id for v in versions if v.run_id})
    }
    parameters = _parameters(runs)
    inputs = _inputs(runs)
    metrics = _run_metrics(runs)
    bases = _bases(versions, principal)
    evaluations = _evaluations(versions)
    supplies = {supply.version_id: supply for supply in Supply.objects.filter(version__in=versions)}
    return [
        Making(
            version=version,
            run=runs.get(version.run_id) if version.run_id else None,
            supply=supplies.get(version.pk),
            parameters={**version.parameters, **_told(runs, version), **parameters.get(version.run_id, {})},
            inputs=inputs.get(version.run_id, []),
            bases=bases.get(version.pk, []),
            run_metrics=metrics.get(version.run_id, {}),
            evaluations=evaluations.get(version.pk, {}),
        )
        for version in versions
    ]


def _told(runs: Mapping[UUID, Run], version: ModelVersion) -> dict[str, str]:
    run = runs.get(version.run_id) if version.run_id else None
    return run.told_parameters if run else {}


def _parameters(runs: Mapping[UUID, Run]) -> dict[UUID | None, dict[str, str]]:
    found: dict[UUID | None, dict[str, str]] = {}
    for run, key, value in RunParameter.objects.filter(run__in=runs).values_list("run_id", "key", "value"):
        found.setdefault(run, {})[key] = value
    return found


def _run_metrics(runs: Mapping[UUID, Run]) -> dict[UUID | None, dict[str, float]]:
    found: dict[UUID | None, dict[str, float]] = {}
    for run, key, value in LatestMetric.objects.filter(run__in=runs).values_list("run_id", "key", "value"):
        found.setdefault(run, {})[key] = value
    return found


def _inputs(runs: Mapping[UUID, Run]) -> dict[UUID | None, list[Input]]:
    edges = Edge.objects.filter(to_node__in=runs, role=Edge.Role.INPUT)
    contexts: dict[tuple[UUID, UUID], set[str]] = {}
    for run, dataset, context in edges.values_list("to_node_id", "from_node_id", "context"):
        contexts.setdefault((run, dataset), set()).add(context)
    for dataset, run in reads_into(pk for pk, run in runs.items() if run.reported is not None):
        contexts.setdefault((run, dataset), set()).add("")
    wanted = {dataset for _, dataset in contexts}
    held = {v.pk: v for v in DatasetVersion.objects.filter(pk__in=wanted).select_related("dataset")}
    told = contents_of([pk for pk, version in held.items() if is_told(version.digest)])
    found: dict[UUID | None, list[Input]] = {}
    for (run, dataset), read_for in contexts.items():
        if version := held.get(dataset):
            content = told.get(dataset) or Content(version.digest)
            read = Input(
                version.dataset.name,
                digest_of(dataset, version.digest, content),
                version.rows or content.rows,
                frozenset(read_for),
                version.columns or content.columns,
                types_of(version.schema or content.schema),
            )
            found.setdefault(run, []).append(read)
    for inputs in found.values():
        inputs.sort(key=lambda each: (each.name, each.digest))
    return found


def types_of(schema: Any) -> dict[str, str]:
    """Types by column from either form in which clients send a schema: `{column: type}`, or a list of
    `{"name", "type"}`. Empty for anything else."""
    if isinstance(schema, dict):
        return {str(name): str(kind) for name, kind in schema.items()}
    if isinstance(schema, list) and all(isinstance(each, dict) and "name" in each for each in schema):
        return {str(each["name"]): str(each.get("type", "")) for each in schema}
    return {}


def _bases(versions: Sequence[ModelVersion], principal: Principal) -> dict[UUID, list[Base]]:
    pairs = list(
        Edge.objects.filter(to_node__in=[v.pk for v in versions], role=Edge.Role.BASE)
        .order_by("from_node_id")
        .values_list("to_node_id", "from_node_id")
    )
    rows = ModelVersion.objects.visible_to(principal).filter(pk__in={base for _, base in pairs})
    seen = {
        row.pk: (row.reference, f"sha256:{row.manifest.digest}" if row.manifest.digest else "")
        for row in rows.select_related("model__namespace", "manifest")
    }
    found: dict[UUID, list[Base]] = {}
    for version, base in pairs:
        found.setdefault(version, []).append(Base(base, *seen.get(base, ("", ""))))
    return found


def _evaluations(versions: Sequence[ModelVersion]) -> dict[UUID, dict[MetricKey, Measured]]:
    """The latest value of each metric that was evaluated, by version."""
    where = ("evaluation__version", "evaluation__dataset_digest", "evaluation__split", "evaluation__slice")
    rows: Any = (
        EvaluationMetric.objects.filter(evaluation__version__in=versions)
        .order_by(*where, "name", "-evaluation__at", "-evaluation__pk")
        .distinct(*where, "name")
        .values_list(*where, "name", "value", "evaluation__dataset", "low", "high")
    )
    found: dict[UUID, dict[MetricKey, Measured]] = {}
    for version, digest, split, part, name, *measured in rows:
        found.setdefault(version, {})[digest, split, part, name] = Measured(*measured)
    return found
