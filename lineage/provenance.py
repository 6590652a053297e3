"""What the lifecycle asks about a version's making: who trained it, on which data, and what is not known."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from lineage import completeness as facts
from lineage.graph import ancestors
from lineage.models import DatasetVersion, Edge, Run
from registry.models import ModelVersion


def run_of(version: ModelVersion) -> Run | None:
    """The run that made a version; None when it was registered without one."""
    if version.run_id is None:
        return None
    return Run.objects.select_related("created_by", "experiment", "namespace").get(pk=version.run_id)


def trainers_of(version: ModelVersion) -> set[UUID]:
    """The users who trained it: whoever started its run, else whoever registered it; for a service account
    also the person who answers for it."""
    run = run_of(version)
    user = run.created_by if run else version.created_by
    return {user.pk} | ({user.owner_id} if user.owner_id else set())


def training_inputs(version: ModelVersion) -> dict[str, set[str]]:
    """The digest of every dataset it was made from, directly or through earlier steps and base models, with
    the contexts in which it was read (`training`, `validation`, `test`, or "" where none was given).

    Bases cross namespaces, and so does this: it is for deciding. Digests and contexts are not to be shown to
    somebody who may see the version; how many there are may be.
    """
    above = ancestors([version.pk])
    digests = dict(DatasetVersion.objects.filter(pk__in=above).values_list("pk", "digest"))
    found: dict[str, set[str]] = {digest: set() for digest in digests.values()}
    read = Edge.objects.filter(from_node__in=digests, to_node__in=above, role=Edge.Role.INPUT)
    for dataset, context in read.values_list("from_node_id", "context"):
        found[digests[dataset]].add(context)
    return found


def completeness(version: ModelVersion, *, require: Collection[str] = ()) -> dict[str, Any]:
    """What is known of its making now: `{"state", "missing", "notes"}`; `require` names further facts."""
    run = run_of(version)
    return facts.completeness(run, datasets_read_by(run), require=require)


def datasets_read_by(run: Run | None) -> int:
    """How many dataset versions a run read."""
    if run is None:
        return 0
    return Edge.objects.filter(to_node_id=run.pk, role=Edge.Role.INPUT).values("from_node").distinct().count()
