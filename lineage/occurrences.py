"""How people name a dataset as it was at some time, and any node of the graph."""

from __future__ import annotations

import re
from uuid import UUID

from django.db.models import Q, QuerySet

from lineage.labels import Label, version_label
from lineage.models import DatasetVersion, LineageUse, Node
from registry.errors import InvalidInput, NotVisible
from registry.models import Principal
from registry.references import FORMS, resolve

DATASET_FORMS = "its id, its digest (sha256:...), or namespace/dataset@sha256:..."
_DIGEST = re.compile(r"[a-z0-9][a-z0-9-]{1,14}:[0-9a-f]{32,64}")


def occurrences(text: str, principal: Principal) -> QuerySet[DatasetVersion]:
    """Every dataset version of that content that the principal may see; by an id, that one and no other.

    Raises InvalidInput for what is no name of a dataset version, NotVisible when there is none.
    """
    rows: QuerySet[DatasetVersion] = DatasetVersion.objects.visible_to(principal)
    if (key := uuid_in(text)) is not None:
        found = rows.filter(pk=key)
    elif _DIGEST.fullmatch(text):
        found = rows.filter(_of_content(text))
    else:
        where, at, digest = text.rpartition("@")
        namespace, slash, name = where.partition("/")
        if not (at and slash and name and _DIGEST.fullmatch(digest)):
            raise InvalidInput(
                f"{text[:300]!r} is no dataset version. Write {DATASET_FORMS}.", field="dataset"
            )
        found = rows.filter(_of_content(digest), dataset__namespace__name=namespace, dataset__name=name)
    if not found.exists():
        raise NotVisible(f"There is no dataset version {text[:300]} that you can see.")
    return found


def _of_content(digest: str) -> Q:
    """Of reported runs, the uses know the content, and not what was written before it was told."""
    told = set(LineageUse.objects.filter(digest=digest).values_list("occurrence", flat=True))
    return Q(digest=digest) | Q(pk__in=told) if told else Q(digest=digest)


def node_named(text: str, principal: Principal) -> tuple[UUID, dict[UUID, Label]]:
    """The node that an id, a version's reference or a dataset's name with its digest means, and its label, where
    that is known already. Raises InvalidInput, NotVisible, NoProductionVersion."""
    if (key := uuid_in(text)) is not None:
        if not Node.objects.visible_to(principal).filter(pk=key).exists():
            raise NotVisible(f"The graph has no node {text} that you can see.")
        return key, {}
    try:
        version = resolve(text, principal)
    except (InvalidInput, NotVisible):
        if "@" not in text:
            raise
        # `namespace/name@sha256:...` may be a model's or a dataset's.
        return _the_one(text, principal), {}
    return version.pk, {version.pk: version_label(version)}


def _the_one(text: str, principal: Principal) -> UUID:
    found = list(occurrences(text, principal).order_by("pk").values_list("pk", flat=True)[:20])
    if len(found) > 1:
        listed = ", ".join(str(key) for key in found)
        raise InvalidInput(
            f"{text[:300]} was made more than once: name one by its id ({listed}).", field="node"
        )
    return found[0]


def uuid_in(text: str) -> UUID | None:
    """The UUID that a text is, with or without hyphens; None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


NODE_FORMS = f"an id of the graph, a version ({FORMS}), or namespace/dataset@sha256:..."
