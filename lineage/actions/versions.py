"""A version is registered together with where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction

from lineage.actions.runs import check_own
from lineage.completeness import completeness
from lineage.graph import Arrow, add_edges, add_nodes
from lineage.models import Edge, Lifecycle, Node, Run
from lineage.provenance import datasets_read_by
from registry.actions.versions import create_version
from registry.errors import InvalidInput
from registry.models import ModelVersion, Namespace, Principal, Upload
from registry.permissions import visible
from registry.references import resolve

MOST_BASES = 20


@dataclass(frozen=True)
class About:
    """What is said of a version beside its bytes and its making."""

    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    format: str = ""
    schema: Any = None


@transaction.atomic
def register_version(
    *,
    namespace: Namespace,
    name: str,
    upload: UUID,
    by: Principal,
    run: UUID | None = None,
    base: Sequence[str] = (),
    about: About | None = None,
) -> ModelVersion:
    """A version, its node, the edges from its run and from the versions it is based on, in one transaction.

    The run's parameters are copied onto it, and what is missing of its provenance is told, as they are now.
    Raises NotVisible, Forbidden, NotYourRun, InvalidInput, and what `create_version` and `resolve` raise.
    """
    made_by = _run(namespace, run, by) if run else None
    bases = _bases(base, by)
    said = about or About()
    version = create_version(
        namespace=namespace,
        name=name,
        upload=visible(Upload.objects.all(), by, f"upload {upload}", pk=upload, namespace=namespace),
        by=by,
        run_id=run,
        parameters=dict(made_by.parameters.values_list("key", "value")) if made_by else {},
        format=said.format,
        schema=said.schema,
        description=said.description,
        tags=said.tags,
        completeness=completeness(made_by, datasets_read_by(made_by)),
    )
    add_nodes(Node.Kind.MODEL_VERSION, [version.pk], namespace)
    edges = [Arrow(made_by.pk, version.pk, Edge.Role.OUTPUT)] if made_by else []
    edges += [Arrow(each.pk, version.pk, Edge.Role.BASE) for each in bases]
    add_edges(edges)
    return version


def _run(namespace: Namespace, run: UUID, by: Principal) -> Run:
    """The run, in the version's own namespace: whoever may see a version may see what made it."""
    rows = Run.objects.select_related("created_by").filter(namespace=namespace)
    found: Run = visible(rows, by, f"run {run} in {namespace.name}", pk=run)
    # Any bytes can be said to come from a run; only its own account is believed.
    check_own(found, by)
    if found.lifecycle == Lifecycle.DELETED:
        raise InvalidInput(f"The run {found} was deleted: restore it, or name another.", field="run")
    return found


def _bases(refs: Sequence[str], by: Principal) -> list[ModelVersion]:
    if len(refs) > MOST_BASES:
        raise InvalidInput(f"A version is based on at most {MOST_BASES} versions.", field="base")
    return [resolve(ref, by) for ref in refs]
