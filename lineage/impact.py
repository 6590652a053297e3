"""Impact: from something that turned out bad to every model version that was made from it.

What is asked of leads to nodes of the graph: a dataset's occurrences, the runs of a commit, of a package's releases or
of an image, a version. Everything below them is walked, across all namespaces and at any distance. Versions that the
reader may not see are counted, not named; so are the runs and datasets on the way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Q, QuerySet
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from lineage.models import COMMIT, IMAGE, Package, Run
from lineage.occurrences import DATASET_FORMS, occurrences
from registry.errors import InvalidInput
from registry.models import ModelVersion, Principal, Stage
from registry.models.visibility import namespaces_where
from registry.references import FORMS, resolve
from registry.roles import Permission

MOST_COMMITS = 10_000
MOST_PREFIXES = 1000
MOST_OTHERS = 100
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9-]{1,14}:[0-9a-f]{32,128}")
SHA1, SHA256 = 40, 64
# The first id of all: a page begins after the last of the one before.
BEGINNING = UUID(int=0)


@dataclass(frozen=True)
class Question:
    """What is doubted: all of it together. Commits are given in full or by their first 7 digits or more; a package as
    `numpy` or `numpy<2.1`; a base as a reference."""

    datasets: Sequence[str] = ()
    commits: Sequence[str] = ()
    packages: Sequence[str] = ()
    images: Sequence[str] = ()
    bases: Sequence[str] = ()


@dataclass(frozen=True)
class Affected:
    """A version, and how it came of what is doubted: `way` leads from there to it, both included."""

    id: UUID
    stage: str
    way: list[UUID]


@dataclass(frozen=True)
class Impact:
    """Every version that the reader may see is in `stages` (by stage, all five); `restricted` counts the others.

    `affected` is the page that was asked for, in the order of their ids, which never changes; `starts` are the first
    of the `sources`, how many nodes the walk began at. `notes` say what could not be compared.
    """

    stages: dict[str, int]
    restricted: int
    affected: list[Affected]
    more: bool
    sources: int
    starts: list[UUID]
    notes: list[str] = field(default_factory=list)


# `reached` is walked once for counts, page and ways together. A way is followed back from the version to the node
# that the walk began at: the one before the first that lies a single step from it.
_IMPACT = """
WITH RECURSIVE roots AS MATERIALIZED (SELECT ARRAY({roots}) AS ids),
reached AS MATERIALIZED (SELECT r.id, r.via, r.depth FROM roots CROSS JOIN LATERAL lineage_reached(roots.ids) r),
hit AS MATERIALIZED (
    SELECT v.id, v.stage, {seen} AS seen FROM reached r
    JOIN registry_modelversion v ON v.id = r.id JOIN registry_registeredmodel m ON m.id = v.model_id
),
page AS MATERIALIZED (SELECT id, stage FROM hit WHERE seen AND id > %s ORDER BY id LIMIT %s),
way(version, id, step, done) AS (
    SELECT id, id, 0, false FROM page
    UNION ALL
    SELECT w.version, r.via, w.step + 1, r.depth = 1 FROM way w JOIN reached r ON r.id = w.id WHERE NOT w.done
),
ways AS (SELECT version, jsonb_agg(id ORDER BY step DESC) AS way FROM way GROUP BY version)
SELECT
    (SELECT coalesce(jsonb_object_agg(stage, versions), '{{}}') FROM (
        SELECT stage, count(*) AS versions FROM hit WHERE seen GROUP BY stage
    ) s),
    (SELECT count(*) FROM hit WHERE NOT seen),
    (SELECT coalesce(jsonb_agg(jsonb_build_array(p.id, p.stage, w.way) ORDER BY p.id), '[]')
        FROM page p JOIN ways w ON w.version = p.id),
    (SELECT cardinality(ids) FROM roots),
    (SELECT ids[1:%s] FROM roots)
"""
_ALL = """
WITH roots AS MATERIALIZED (SELECT ARRAY({roots}) AS ids)
SELECT v.id FROM roots CROSS JOIN LATERAL lineage_reached(roots.ids) r JOIN registry_modelversion v ON v.id = r.id
JOIN registry_registeredmodel m ON m.id = v.model_id WHERE {seen} ORDER BY v.id LIMIT %s
"""


def impact(
    question: Question, principal: Principal, *, after: UUID = BEGINNING, most: int = 200, starts: int = 20
) -> Impact:
    """The versions that what is doubted went into; at most `most` of them, after that id. The number of queries
    depends on what is asked, not on what is found. Raises InvalidInput, NotVisible."""
    sources, notes = sources_of(question, principal)
    (roots, given), (seen, who) = _union(sources), _seen(principal)
    with connection.cursor() as cursor:
        statement = _IMPACT.format(roots=roots, seen=seen)
        cursor.execute(statement, [*given, *who, after, most + 1, starts])
        stages, restricted, page, count, first = cursor.fetchone()
    affected = [
        Affected(UUID(key), stage, [UUID(node) for node in way]) for key, stage, way in json.loads(page)
    ]
    counted = json.loads(stages)
    return Impact(
        stages={stage: counted.get(stage, 0) for stage in Stage.values},
        restricted=restricted,
        affected=affected[:most],
        more=len(affected) > most,
        sources=count,
        starts=list(first),
        notes=notes,
    )


def affected_versions(question: Question, principal: Principal, *, most: int) -> list[UUID]:
    """The ids of all of them that the reader may see, without their ways; at most `most`."""
    sources, _ = sources_of(question, principal)
    (roots, given), (seen, who) = _union(sources), _seen(principal)
    with connection.cursor() as cursor:
        cursor.execute(_ALL.format(roots=roots, seen=seen), [*given, *who, most])
        return [row[0] for row in cursor.fetchall()]


def sources_of(question: Question, principal: Principal) -> tuple[list[QuerySet[Any]], list[str]]:
    """The nodes that what is doubted leads to, among what the principal may see, and what could not be compared.

    Raises InvalidInput, NotVisible.
    """
    _check(question)
    rows: list[QuerySet[Any]] = [occurrences(text, principal) for text in question.datasets]
    runs = Run.objects.visible_to(principal)
    if question.commits:
        rows.append(runs.alias(commit=COMMIT).filter(_commits(question.commits)))
    if question.images:
        rows.append(runs.alias(image=IMAGE).filter(image__in=[image[:100] for image in question.images]))
    notes: list[str] = []
    for text in question.packages:
        matched, unread = _releases(text)
        rows.append(runs.filter(_recorded(matched)))
        notes += _told(text, runs, unread)
    if question.bases:
        bases = [resolve(ref, principal).pk for ref in question.bases]
        rows.append(ModelVersion.objects.filter(pk__in=bases))
    return [each.order_by().values("pk") for each in rows], notes


def _check(question: Question) -> None:
    """Raises InvalidInput for nothing, too much, or what is of no known form."""
    asked = (question.datasets, question.commits, question.packages, question.images, question.bases)
    if not any(asked):
        raise InvalidInput(
            "Say what is doubted: dataset, commit, package, image or base, each once or more.",
            field="dataset",
        )
    for name, values, most in (
        ("dataset", question.datasets, MOST_OTHERS),
        ("commit", question.commits, MOST_COMMITS),
        ("package", question.packages, MOST_OTHERS),
        ("image", question.images, MOST_OTHERS),
        ("base", question.bases, MOST_OTHERS),
    ):
        if len(values) > most:
            raise InvalidInput(f"At most {most:,} of them are asked at once.", field=name)
    for commit in question.commits:
        if not _COMMIT.fullmatch(commit):
            raise InvalidInput(
                f"{commit[:80]!r} is no commit: write it in full, or its first 7 hexadecimal digits or more, in "
                "lower case.",
                field="commit",
            )
    for image in question.images:
        if not _IMAGE.fullmatch(image):
            raise InvalidInput(
                f"{image[:80]!r} is no digest of an image: write sha256: and 64 hexadecimal digits.",
                field="image",
            )


def _commits(commits: Sequence[str]) -> Q:
    whole = [commit for commit in commits if len(commit) in (SHA1, SHA256)]
    parts = [commit for commit in commits if len(commit) not in (SHA1, SHA256)]
    if len(parts) > MOST_PREFIXES:
        raise InvalidInput(
            f"At most {MOST_PREFIXES:,} shortened commits are asked at once: write them in full.",
            field="commit",
        )
    wanted = Q(commit__in=whole)
    for part in parts:
        wanted |= Q(commit__startswith=part)
    return wanted


def _releases(text: str) -> tuple[list[Package], list[Package]]:
    """The recorded releases that the condition is true of, and those whose version cannot be compared."""
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        raise InvalidInput(
            f"{text[:80]!r} is no package: write its name, and a condition when it matters, as numpy<2.1.",
            field="package",
        ) from None
    if wanted.extras or wanted.marker or wanted.url:
        raise InvalidInput("A package is a name and a condition on its version, no more.", field="package")
    known = list(Package.objects.filter(canonical=canonicalize_name(wanted.name)))
    if not wanted.specifier:
        return known, []
    matched, unread = [], []
    for release in known:
        try:
            # 2.0rc1 is below 2.1; that 2.1rc1 is not, is PEP 440's to say.
            if wanted.specifier.contains(Version(release.version), prereleases=True):
                matched.append(release)
        except InvalidVersion:
            unread.append(release)
    return matched, unread


def _recorded(releases: Sequence[Package]) -> Q:
    """Runs that recorded one of these releases; none for none."""
    found = Q(pk__in=[])
    for release in releases:
        found |= Q(environment__packages__contains={release.name: release.version})
    return found


def _told(text: str, runs: QuerySet[Run], unread: Sequence[Package]) -> Iterator[str]:
    """A sentence when runs that the reader may see recorded versions that no condition can be compared with."""
    versions = sorted(release.version for release in unread if runs.filter(_recorded([release])).exists())
    if versions:
        yield (
            f"Not compared with {text}: runs that recorded version {', '.join(versions[:10])}"
            f"{' and others' if len(versions) > 10 else ''}, which is no version by PEP 440."
        )


def _union(sources: Sequence[QuerySet[Any]]) -> tuple[str, list[Any]]:
    parts: list[str] = []
    given: list[Any] = []
    for rows in sources:
        try:
            sql, parameters = rows.query.sql_with_params()
        except EmptyResultSet:
            continue  # nothing that could match is recorded
        parts.append(f"({sql})")
        given += parameters
    return " UNION ".join(parts) or "SELECT NULL::uuid WHERE false", given


def _seen(principal: Principal) -> tuple[str, list[Any]]:
    """A condition on the model `m`: whether the principal may see its versions."""
    if principal.is_system:
        return "true", []
    rows = namespaces_where(principal, Permission.NAMESPACE_READ)
    try:
        sql, parameters = rows.query.sql_with_params()
    except EmptyResultSet:
        return "false", []
    return f"m.namespace_id IN ({sql})", list(parameters)


WHAT = {
    "dataset": DATASET_FORMS,
    "commit": "in full, or its first 7 digits or more",
    "package": "a name, with a condition on its version where it matters, as numpy<2.1",
    "image": "sha256:...",
    "base": FORMS,
}
