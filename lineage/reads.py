"""What reported runs read, joined to what was written by name, and what their events told of the contents.

The joining is the database's (`lineage_writer`, `lineage_reads`): it is made when it is asked, never stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Func, TextField, UUIDField, Value

from lineage.models import LineageUse


@dataclass(frozen=True)
class Content:
    """What the events told of an occurrence. `digest` is ours, where it came in a facet, else empty."""

    digest: str
    version: str = ""
    size: int | None = None
    files: int | None = None
    rows: int | None = None
    columns: int | None = None
    schema: Any = None


def among(keys: Iterable[UUID]) -> Func:
    """A sub-select of these ids, for `pk__in`: one value for the database, not a thousand."""
    text = Value("{" + ",".join(map(str, keys)) + "}", output_field=TextField())
    return Func(text, template="(SELECT unnest(%(expressions)s::uuid[]))", output_field=UUIDField())


def reads_into(runs: Iterable[UUID]) -> list[tuple[UUID, UUID]]:
    """(occurrence, run) for everything that those of these nodes that are reported runs have read. One query."""
    runs = list(runs)
    if not runs:
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT source, target FROM lineage_reads(%s, false) ORDER BY id DESC", [runs])
        return [(source, target) for source, target in cursor.fetchall()]


def contents_of(occurrences: Collection[UUID]) -> dict[UUID, Content]:
    """What reported runs told of the contents of these occurrences; those that none told of are missing. One query.

    Who wrote it is believed before those who read it, and of these the one that began last.
    """
    if not occurrences:
        return {}
    rows = LineageUse.objects.filter(occurrence__in=among(occurrences)).order_by("role", "began_at", "run_id")
    # By role, `input` comes before `output`: what comes later stands.
    return {row.occurrence: _content(row) for row in rows}


def _content(row: LineageUse) -> Content:
    return Content(
        digest=row.digest,
        version=row.version,
        size=row.size,
        files=row.files,
        rows=row.rows,
        columns=len(row.schema) if isinstance(row.schema, dict) else None,
        schema=row.schema,
    )


def is_told(digest: str) -> bool:
    """Whether an occurrence of this digest is one whose content is told by uses, if by anything."""
    return not digest or digest.startswith("version:")


def digest_of(occurrence: UUID, digest: str, told: Content | None) -> str:
    """The digest that a content is compared by. Where none is known it is that of nothing but this occurrence."""
    return digest or (told.digest if told else "") or f"occurrence:{occurrence}"
