"""Places at which text stands: found by the text itself, or named by kind, id, field and path.

A search reads the rows into this process and compares here: as an argument of a statement, the text would be
in the database's activity view and, where slow statements are logged, in its log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.db.models.functions import Cast

from registry.artifacts import attachments
from registry.errors import InvalidInput, NotVisible
from registry.models import Attachment, IdempotencyKey, Namespace, RedactionPlace
from registry.models.redactions import (
    models_that_keep_text,
    redactable_models,
    rows_within,
    way_to_namespace,
)

SHORTEST, LONGEST = 4, 10_000
FILE = "content"
BATCH = 2_000
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A text in a field of a row. The text itself is never shown, logged or kept."""

    kind: str
    row: str
    column: str
    path: Path = ()
    part: str = RedactionPlace.Part.VALUE.value
    text: str = field(repr=False, default="")


@dataclass(frozen=True)
class Stays:
    """A field that holds the text and cannot be redacted, and why."""

    kind: str
    row: str
    column: str
    why: str


class Number(str):
    """A number of a JSON document, in the letters in which the database writes it."""

    __slots__ = ()


# A key is its name and its place among the keys, by which it is told when its name is what is looked for.
Step = int | tuple[str, int]


def search(namespace: Namespace, text: str) -> Iterator[Place]:
    """Every place in the namespace at which the text stands, as it is written. Raises StoreUnavailable."""
    for kind, model in redactable_models().items():
        shared = hasattr(model, "redactable_rows")
        for row, columns in _rows(model, namespace):
            found = list(_in_row(model, kind, row, columns, text))
            if found and (not shared or rows_within(model, namespace.pk).filter(pk=row).exists()):
                yield from found
    yield from _in_files(namespace, text)


def what_stays(namespace: Namespace, text: str) -> list[Stays]:
    """The fields that hold the text and cannot be redacted: of those that say the same, one."""
    found = []
    for model in models_that_keep_text():
        kept: dict[str, str] = getattr(model, "stays", {})
        for column, why in kept.items():
            spelt = _in_letters(text) if _is_json(model, column) else text
            rows = _as_text(model, [column]).filter(**{way_to_namespace(model): namespace.pk})
            told = rows.order_by(f"{column}_text").distinct(f"{column}_text")
            found += [
                Stays(str(model._meta.model_name), str(pk), column, why)
                for pk, content in told.values_list("pk", f"{column}_text").iterator(chunk_size=BATCH)
                if spelt in (content or "")
            ]
    return found


def named(
    namespace: Namespace, *, kind: str, row: str, column: str, path: Sequence[str | int]
) -> list[Place]:
    """The texts at a place that somebody names: one, or all below it. Raises InvalidInput, NotVisible."""
    model = redactable_models().get(kind)
    if model is None:
        kinds = ", ".join(sorted(redactable_models()))
        raise InvalidInput(f"Nothing of kind {kind[:60]!r} is redacted. Kinds: {kinds}.", field="kind")
    if model is Attachment and column == FILE:
        return [_file(_one(Attachment.objects.all(), Attachment, namespace, row))]
    declared: tuple[str, ...] = getattr(model, "redactable", ())
    if column not in declared:
        raise InvalidInput(
            f"{column[:60]!r} of a {kind} is not redacted. Fields: {', '.join(declared)}.", field="field"
        )
    together = [column, *(twin for twin, of in _twins(model).items() if of == column)]
    found = _one(_as_text(model, together), model, namespace, row)
    content = getattr(found, f"{column}_text")
    if not _is_json(model, column):
        if path:
            raise InvalidInput(f"{column} is text: it has no path inside.", field="path")
        told = {name: getattr(found, f"{name}_text") for name in together}
        places = [Place(kind, row, name, text=text) for name, text in told.items() if text]
    else:
        held = _descend(_parsed(content), path)
        places = [
            Place(kind, row, column, (*path, *_plain(way)), part, text)
            for way, part, text in _texts(held)
            if part == RedactionPlace.Part.VALUE and text
        ]
    if not places:
        raise InvalidInput("No text stands there.", field="path" if path else "field")
    return places


def _rows(
    model: type[models.Model], namespace: Namespace
) -> Iterator[tuple[str, dict[str, tuple[str, bool]]]]:
    """Each row of the namespace: its key, and the redactable columns that hold something, JSON as text."""
    columns: tuple[str, ...] = getattr(model, "redactable", ())
    rows = _as_text(model, columns).order_by("pk")
    if not hasattr(model, "redactable_rows"):  # else each is asked for when it holds the text
        rows = rows.filter(pk__in=rows_within(model, namespace.pk).values("pk"))
    if model is IdempotencyKey:
        # Answers that members were given: what says that it is another namespace's is left alone.
        rows = rows.exclude(models.Q(body__has_key="namespace") & ~models.Q(body__namespace=namespace.name))
    kinds = {column: _is_json(model, column) for column in columns}
    wanted = rows.values_list("pk", *[f"{column}_text" for column in columns])
    for pk, *contents in wanted.iterator(chunk_size=BATCH):
        told = dict(zip(columns, contents, strict=True))
        yield str(pk), {column: (text, kinds[column]) for column, text in told.items() if text}


def _as_text(model: type[models.Model], columns: Sequence[str]) -> models.QuerySet[Any]:
    texts = {f"{column}_text": Cast(column, models.TextField()) for column in columns}
    rows: models.QuerySet[Any] = model._base_manager.annotate(**texts)
    return rows


def _one(rows: models.QuerySet[Any], model: type[models.Model], namespace: Namespace, row: str) -> Any:
    try:
        return rows.get(pk=row, pk__in=rows_within(model, namespace.pk).filter(pk=row).values("pk"))
    except (model.DoesNotExist, ValidationError, ValueError, OverflowError):  # type: ignore[attr-defined]
        raise NotVisible(f"There is no {model._meta.model_name} {row[:64]} in {namespace.name}.") from None


def _is_json(model: type[models.Model], column: str) -> bool:
    try:
        return isinstance(model._meta.get_field(column), models.JSONField)
    except FieldDoesNotExist:
        raise TypeError(f"{model.__name__} calls {column} redactable, and has no such field") from None


def _in_row(
    model: type[models.Model], kind: str, row: str, columns: dict[str, tuple[str, bool]], text: str
) -> Iterator[Place]:
    twins = _twins(model)
    for column, (content, is_json) in columns.items():
        if is_json:
            yield from _in_json(kind, row, column, content, text)
        elif text in content or text in columns.get(twins.get(column, column), ("", False))[0]:
            yield Place(kind, row, column, text=content)


def _twins(model: type[models.Model]) -> dict[str, str]:
    """Columns that say what another says in other letters, and which."""
    declared: dict[str, str] = getattr(model, "redactable_with", {})
    return declared


def _in_letters(text: str) -> str:
    """The text as it is written in JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_json(kind: str, row: str, column: str, content: str, text: str) -> Iterator[Place]:
    # Most rows do not hold it, and this asks without parsing.
    if _in_letters(text) not in content:
        return
    for way, part, found in _texts(_parsed(content)):
        if text in found:
            yield Place(kind, row, column, _plain(way, text), part, found)


def _parsed(content: str | None) -> Any:
    return None if content is None else json.loads(content, parse_float=Number, parse_int=Number)


def _texts(held: Any, way: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], str, str]]:
    """Every key and every text or number in a document: the way to it, which part it is, and what it says."""
    if isinstance(held, dict):
        for position, (key, inner) in enumerate(held.items()):
            here = (*way, (key, position))
            yield here, RedactionPlace.Part.KEY.value, key
            yield from _texts(inner, here)
    elif isinstance(held, list):
        for position, inner in enumerate(held):
            yield from _texts(inner, (*way, position))
    elif isinstance(held, str):
        yield way, RedactionPlace.Part.VALUE.value, str(held)


def _plain(way: tuple[Step, ...], secret: str | None = None) -> Path:
    """The way as it is kept: a key that holds the secret by its position."""
    return tuple(
        step if isinstance(step, int) else step[1] if secret is not None and secret in step[0] else step[0]
        for step in way
    )


def _descend(held: Any, path: Sequence[str | int]) -> Any:
    for position, step in enumerate(path):
        here = f"path[{position}]"
        inside = isinstance(held, list) and isinstance(step, int) and 0 <= step < len(held)
        if not inside and not (isinstance(held, dict) and step in held):
            raise InvalidInput(f"There is nothing at {str(step)[:60]!r}.", field=here)
        held = held[step]
    return held


def _in_files(namespace: Namespace, text: str) -> Iterator[Place]:
    """Attached documents that hold the text. Signatures are public, and what is damaged is handed to nobody."""
    rows = Attachment.objects.filter(version__model__namespace=namespace).order_by("sha256")
    known: dict[str, bool] = {}
    for row in rows.exclude(kind=Attachment.Kind.SIGNATURE):
        if row.sha256 not in known:
            try:
                known = {row.sha256: text.encode() in attachments.content_of(row)}
            except (attachments.AttachmentDamaged, attachments.AttachmentRedacted):
                continue
        if known[row.sha256]:
            yield _file(row)


def _file(row: Attachment) -> Place:
    if row.kind == Attachment.Kind.SIGNATURE:
        raise InvalidInput("A signature is made to be shown: its content is not redacted.", field="field")
    return Place("attachment", str(row.pk), "sha256", (), RedactionPlace.Part.FILE.value, row.sha256)
