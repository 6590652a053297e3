"""A version is registered together with where it came from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction

from lineage.actions.runs import check_own
from lineage.completeness import completeness, completeness_of_purchase
from lineage.graph import Arrow, add_edges, add_nodes
from lineage.models import Edge, Lifecycle, Node, Run, Supply
from lineage.provenance import announced, bought, used_by
from registry.actions.versions import create_version
from registry.errors import InvalidInput
from registry.models import ModelVersion, Namespace, Principal, Upload
from registry.permissions import visible
from registry.references import check_not_deleted, resolve

MOST_BASES = 20
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
ORIGIN = re.compile(r"(?:https?|s3|gs|oci|hf|git|ssh|sftp|ftp)://[^\s\"'<>`{}]{1,1990}", re.IGNORECASE)


@dataclass(frozen=True)
class About:
    """What is said of a version beside its bytes and its making."""

    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    format: str = ""
    schema: Any = None


@dataclass(frozen=True)
class Purchase:
    """Where a version that nobody here trained came from. `digest` is the supplier's, `sha256:<hex>` or ""."""

    supplier: str
    origin: str = ""
    contract: str = ""
    digest: str = ""


@transaction.atomic
def register_version(  # noqa: PLR0913 - a version is made of this much
    *,
    namespace: Namespace,
    name: str,
    upload: UUID,
    by: Principal,
    run: UUID | None = None,
    base: Sequence[str] = (),
    about: About | None = None,
    purchase: Purchase | None = None,
    signature: str | None = None,
) -> ModelVersion:
    """A version, its node, the edges from its run and from the versions it is based on, in one transaction.

    The run's parameters are copied onto it, and what is missing of its provenance is told, as they are now. One
    that was bought has a `purchase` in place of a run; `signature` is what `model_signing` wrote.
    Raises NotVisible, Forbidden, NotYourRun, InvalidInput, and what `create_version` and `resolve` raise.
    """
    if run and purchase:
        raise InvalidInput(
            "A version was made by a run, or bought: give run or supply, not both.", field="supply"
        )
    made_by = _run(namespace, run, by) if run else None
    bases = _bases(base, by)
    said = about or About()
    sent: Upload = visible(Upload.objects.all(), by, f"upload {upload}", pk=upload, namespace=namespace)
    supply = _checked(purchase) if purchase else None
    version = create_version(
        namespace=namespace,
        name=name,
        upload=sent,
        by=by,
        run_id=run,
        parameters=_parameters(made_by) if made_by else {},
        format=said.format,
        schema=said.schema,
        description=said.description,
        tags=said.tags,
        completeness=_known(made_by, supply, sent),
        signature=signature,
    )
    if supply:
        supply.version = version
        supply.save(force_insert=True)
    add_nodes(Node.Kind.MODEL_VERSION, [version.pk], namespace)
    edges = [Arrow(made_by.pk, version.pk, Edge.Role.OUTPUT)] if made_by else []
    edges += [Arrow(each.pk, version.pk, Edge.Role.BASE) for each in bases]
    add_edges(edges)
    return version


def _parameters(run: Run) -> dict[str, str]:
    return {**run.told_parameters, **dict(run.parameters.values_list("key", "value"))}


def _known(run: Run | None, supply: Supply | None, upload: Upload) -> dict[str, Any]:
    """What is known of its making, before its bytes are proven."""
    if supply is None:
        return completeness(run, used_by(run))
    return completeness_of_purchase(bought(supply, announced(upload), report=False))


def _checked(purchase: Purchase) -> Supply:
    """The row, before its version is there. Raises InvalidInput."""
    supplier, origin = purchase.supplier.strip(), purchase.origin.strip()
    if not supplier:
        raise InvalidInput("Say who it was bought from.", field="supply.supplier")
    # Shown as text, never fetched, and never as a link: a page must not be led astray by it all the same.
    if origin and not ORIGIN.fullmatch(origin):
        raise InvalidInput("origin is an address, such as https://example.com/model.", field="supply.origin")
    if purchase.digest and not DIGEST.fullmatch(purchase.digest):
        raise InvalidInput("digest is sha256: and 64 lower-case hexadecimal digits.", field="supply.digest")
    return Supply(
        supplier=supplier, origin=origin, contract=purchase.contract.strip(), digest=purchase.digest
    )


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
    bases = [resolve(ref, by) for ref in refs]
    for base in bases:
        check_not_deleted(base)
    return bases
