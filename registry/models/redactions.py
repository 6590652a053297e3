"""Content that two people together take out of what is otherwise never changed, and what stood there, by digest."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

import pgtrigger
from django.apps import apps
from django.db import models

from registry.models.checkpoints import JournalWaits
from registry.models.immutability import AppendOnlyModel
from registry.models.people import Namespace, User
from registry.models.triggers import (
    Always,
    AppendOnly,
    Fixed,
    LegalEdges,
    NeverDeleted,
    active_person,
    refuse,
    right,
)
from registry.models.visibility import scoped_by


def redactable_models() -> dict[str, type[models.Model]]:
    """The models some of whose text can be taken out, by kind: `run`, `event`, `modelversion`."""
    found = [m for m in apps.get_models() if getattr(m, "redactable", ()) and not m._meta.proxy]
    return {str(m._meta.model_name): m for m in found}


def redactable_columns() -> list[tuple[str, str, str, bool]]:
    """(kind, table, column, whether a document is meant) of all that can be redacted: what the database is told
    at the end of every migrate, and all that `registry_redact` touches."""
    files = [("attachment", "registry_attachment", "sha256", True)]
    return files + sorted(
        (
            kind,
            model._meta.db_table,
            name,
            False,
        )  # the column of a field that holds text has the field's name
        for kind, model in redactable_models().items()
        for name in getattr(model, "redactable", ())
    )


def models_that_keep_text() -> list[type[models.Model]]:
    """The models some of whose text stays whatever is asked; `stays` says of each such column why."""
    return [m for m in apps.get_models() if "stays" in vars(m) and not m._meta.proxy]


def rows_within(model: type[models.Model], namespace_id: Any) -> models.QuerySet[Any]:
    """The rows of the namespace. Where rows are shared among namespaces, and none is anybody's: those that only this
    one has a use for, which takes a look at each of them to know."""
    if within := getattr(model, "redactable_rows", None):
        shared: models.QuerySet[Any] = within(namespace_id)
        return shared
    return model._base_manager.filter(**{way_to_namespace(model): namespace_id})


def way_to_namespace(model: type[models.Model]) -> str:
    """The lookup from a row to the id of its namespace."""
    declared = getattr(model, "redactable_within", None)
    rows: Any = getattr(model, "objects")  # noqa: B009 - every model of ours has it, and mypy knows none
    return str(declared or rows.all().to_namespace)


class TwoPeople(Always):
    """A redaction is approved by an active person who holds the right, and neither asked for it nor answers for
    the account that did, nor is answered for by them. That it was applied is said by `registry_redact` only: it
    runs as the owner of the table."""

    name = "two_people"
    when = pgtrigger.Before
    operation = pgtrigger.Insert | pgtrigger.Update
    declare = [("ours", "bigint")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            ours := pg_current_xact_id()::text::bigint;
            IF TG_OP = 'INSERT' THEN
                NEW.asked_xid := ours;
                IF NEW.decided_by_id IS NOT NULL OR NEW.applied_xid IS NOT NULL OR NEW.outcome IS NOT NULL THEN
                    {refuse("redaction_not_approved", "a redaction begins undecided")}
                END IF;
                RETURN NEW;
            END IF;
            IF (NEW.state = 'applied' AND OLD.state <> 'applied')
                OR NEW.applied_xid IS DISTINCT FROM OLD.applied_xid OR NEW.outcome IS DISTINCT FROM OLD.outcome THEN
                IF NOT EXISTS (SELECT 1 FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
                    WHERE c.oid = TG_RELID AND o.rolname = current_user) THEN
                    {refuse("redaction_not_approved", "only registry_redact applies a redaction")}
                END IF;
            END IF;
            IF OLD.state = 'asked' AND NEW.state = 'approved' THEN
                IF NEW.decided_by_id IS NULL OR NEW.decided_by_id = NEW.asked_by_id OR EXISTS (
                    SELECT 1 FROM registry_user asker, registry_user decider
                    WHERE asker.id = NEW.asked_by_id AND decider.id = NEW.decided_by_id
                        AND (asker.owner_id = decider.id OR decider.owner_id = asker.id
                            OR asker.owner_id = decider.owner_id)
                ) THEN {refuse("own_redaction", "who asked does not decide")} END IF;
                IF NOT {active_person("NEW.decided_by_id", right("redaction.decide", "NEW.namespace_id"))} THEN
                    {refuse("not_a_decider", "who decides is an active person with the right to")}
                END IF;
            END IF;
            RETURN NEW;
        """


class NamedWhenAsked(Always):
    """Places are named in the transaction in which the redaction is asked for: none is added to what somebody
    else was shown, or has approved. Each is of a column that can be redacted, under its own kind's name."""

    name = "named_when_asked"
    when = pgtrigger.Before
    operation = pgtrigger.Insert

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF NOT EXISTS (SELECT 1 FROM registry_redaction r WHERE r.id = NEW.redaction_id
                AND r.state = 'asked' AND r.asked_xid = pg_current_xact_id()::text::bigint) THEN
                {refuse("redaction_not_approved", "places are named when a redaction is asked for")}
            END IF;
            IF NOT registry_redactable(NEW.kind, NEW.table_name, NEW.column_name, NEW.part = 'file') THEN
                {refuse("redaction_not_approved", "%.% is not redacted", "NEW.table_name", "NEW.column_name")}
            END IF;
            RETURN NEW;
        """


class Redaction(models.Model):
    """A request to take text out of named places, and the decision by somebody else.

    `salt` is kept, so that whoever knows the text can prove that it stood there: the digest of a place is
    sha256 of the salt and the text, both as UTF-8. Places with equal text get equal marks.
    """

    class State(models.TextChoices):
        ASKED = "asked"
        APPROVED = "approved"  # within the transaction that applies it
        APPLIED = "applied"
        REJECTED = "rejected"

    redactable: ClassVar[tuple[str, ...]] = ("reason", "decision_reason")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="redactions")
    state = models.CharField(max_length=8, choices=State.choices, default=State.ASKED)
    reason = models.TextField()
    # How many places in which fields, for lists: {"run.command": 1}. No paths: a key in one may be the secret.
    fields = models.JSONField(default=dict)
    # Whether the text stood in more places than one redaction takes: ask again when these are taken out.
    more = models.BooleanField(default=False)
    salt = models.CharField(max_length=64, help_text="random, hex")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.TextField(blank=True, default="")
    # The transactions in which it was asked and applied, set in the database: what they allow ends with them.
    asked_xid = models.BigIntegerField(null=True, editable=False)
    applied_xid = models.BigIntegerField(null=True, editable=False)
    # {"redacted": how many places, "changed": [ids of places where something else stood by then]}
    outcome = models.JSONField(null=True, editable=False)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            NeverDeleted(),
            TwoPeople(),
            JournalWaits(),
            Fixed(
                [
                    "id",
                    "namespace_id",
                    "reason",
                    "fields",
                    "more",
                    "salt",
                    "asked_by_id",
                    "asked_at",
                    "asked_xid",
                ]
            ),
            Fixed(
                ["decided_by_id", "decided_at", "decision_reason"],
                once="OLD.state <> 'asked'",
                name="decided",
            ),
            Fixed(["applied_xid"], once="OLD.applied_xid IS NOT NULL", name="applied_once"),
            Fixed(["outcome"], once="OLD.outcome IS NOT NULL", name="outcome_once"),
            LegalEdges(
                "state", [("asked", "approved"), ("asked", "rejected"), ("approved", "applied")], ["asked"]
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="redaction_decided_by_somebody",
                condition=models.Q(state="asked", decided_by=None, decided_at=None)
                | models.Q(~models.Q(state="asked"), decided_by__isnull=False, decided_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"redaction {str(self.pk)[:8]}"


class RedactionPlace(AppendOnlyModel):
    """One text in one field of one row: what a redaction takes out.

    `path` leads to it inside JSON, `[]` where the field is text: keys and positions; a number leads to a key too,
    by its place among the keys, where the key itself is not to be written down. A key that turns out to be another
    secret is redacted here too: it becomes the mark that it becomes where the way leads.
    """

    redactable: ClassVar[tuple[str, ...]] = ("path",)

    class Part(models.TextChoices):
        VALUE = "value"
        KEY = "key"  # the last key of the path, not what it leads to
        FILE = "file"  # the bytes of an attachment, by their sha256

    id = models.BigAutoField(primary_key=True)
    redaction = models.ForeignKey(Redaction, on_delete=models.PROTECT, related_name="places", db_index=False)
    kind = models.CharField(max_length=40)
    table_name = models.CharField(max_length=63)
    row_id = models.CharField(max_length=64)
    column_name = models.CharField(max_length=63)
    path = models.JSONField(default=list)
    part = models.CharField(max_length=5, choices=Part.choices, default=Part.VALUE)
    # What stood there when it was named: anything else is left alone.
    digest = models.CharField(max_length=64, help_text="sha256 of the redaction's salt and the text, hex")

    objects = scoped_by("redaction__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly(), NamedWhenAsked()]
        indexes: ClassVar = [
            models.Index(fields=["table_name", "row_id"], name="redaction_of_row"),
            # For the triggers, which ask it of every row that a redaction changes.
            models.Index(fields=["redaction", "table_name", "row_id"], name="redaction_places"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.row_id[:8]}, {self.words}"

    @property
    def words(self) -> str:
        """The field and the way inside it, as people write it."""
        return field_in_words(self.column_name, self.path, self.part)


def field_in_words(column: str, path: Sequence[str | int], part: str) -> str:
    """`command[2]`, `after.config.token`, `tags["a b"] (the key)`, `content`."""
    told = "content" if part == RedactionPlace.Part.FILE else column
    for step in path:
        plain = isinstance(step, str) and step.isidentifier()
        told += f".{step}" if plain else f"[{json.dumps(step, ensure_ascii=False)}]"
    return f"{told} (the key)" if part == RedactionPlace.Part.KEY else told
