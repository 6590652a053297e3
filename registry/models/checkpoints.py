"""The chain over the journal: each event's place in it, the signed checkpoints, and what waits to be numbered."""

from __future__ import annotations

from typing import ClassVar

import pgtrigger
from django.db import models

from registry.models.immutability import AppendOnlyModel
from registry.models.triggers import Always, AppendOnly, refuse

# The columns of an event whose text can be taken out: the chain holds a salted digest of each.
SALTED = ("subject_label", "reason", "before", "after")
# Held by whoever numbers events, and by a redaction while it is applied: SQL for the number of the lock.
JOURNAL_LOCK = "hashtext('registry_checkpoint')"


class ToBeNumbered(Always):
    """Every event is put in line for its number in its own transaction, whoever writes it."""

    name = "to_be_numbered"
    when = pgtrigger.After
    operation = pgtrigger.Insert

    def get_func(self, model: models.Model) -> str:
        return "INSERT INTO registry_unnumbered (event_id) VALUES (NEW.id); RETURN NULL;"


class SaltsGo(Always):
    """When a redaction takes a text out of an event, the salt of that column's digest goes with it: the digest stays
    in the chain, and nobody can find out by trying what it was made from."""

    name = "salts_go"
    when = pgtrigger.After
    operation = pgtrigger.Update

    def get_func(self, model: models.Model) -> str:
        kept = ", ".join(
            f"{column}_salt = CASE WHEN NEW.{column} IS NOT DISTINCT FROM OLD.{column} THEN {column}_salt END"
            for column in SALTED
        )
        return f"UPDATE registry_journalentry SET {kept} WHERE event_id = NEW.id; RETURN NULL;"


class JournalWaits(Always):
    """A redaction is applied before an event is numbered or after it, never meanwhile: the first thing that
    `registry_redact` does is to wait for the lock that numbering holds."""

    name = "journal_waits"
    when = pgtrigger.Before
    operation = pgtrigger.Update

    def get_func(self, model: models.Model) -> str:
        return (
            "IF NEW.state = 'applied' AND OLD.state <> 'applied' THEN "
            f"PERFORM pg_advisory_xact_lock({JOURNAL_LOCK}); END IF; RETURN NEW;"
        )


class OnlySaltsGo(Always):
    """Append-only, but for a salt that goes in the transaction of a redaction of just that column of the event."""

    name = "append_only"
    when = pgtrigger.Before
    operation = pgtrigger.Update | pgtrigger.Delete

    def get_func(self, model: models.Model) -> str:
        salts = ", ".join(f"'{column}_salt'" for column in SALTED)
        pairs = ", ".join(f"('{c}', OLD.{c}_salt, NEW.{c}_salt)" for c in SALTED)
        return f"""
            IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - ARRAY[{salts}] = to_jsonb(OLD) - ARRAY[{salts}]
                AND EXISTS (SELECT 1 FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
                    WHERE c.oid = TG_RELID AND o.rolname = current_user)
                AND NOT EXISTS (SELECT 1 FROM (VALUES {pairs}) AS s(col, was, becomes)
                    WHERE was IS DISTINCT FROM becomes AND (becomes IS NOT NULL OR NOT EXISTS (
                        SELECT 1 FROM registry_redactionplace p JOIN registry_redaction r ON r.id = p.redaction_id
                        WHERE p.table_name = 'registry_event' AND p.row_id = OLD.event_id::text
                            AND p.column_name = s.col AND r.state = 'applied'
                            AND r.applied_xid = pg_current_xact_id()::text::bigint)))
            THEN RETURN NEW; END IF;
            {refuse("append_only", f"{model._meta.db_table} is append-only")}
        """


class Unnumbered(models.Model):
    """An event that is in no checkpoint yet. Deleted in the transaction that numbers it."""

    event = models.OneToOneField(
        "registry.Event", on_delete=models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="+"
    )


class JournalEntry(AppendOnlyModel):
    """An event's place in the journal: its number, from 1 without gaps, in an order in which nothing can come between
    any more, and its leaf in the tree that the checkpoints are signed over.

    Each column that can be redacted is in the leaf as sha256 of a salt and its content; both are null where the column
    is empty, and the salt alone where a redaction took something out of it.
    """

    id = models.BigIntegerField(primary_key=True, help_text="the number")
    event = models.OneToOneField("registry.Event", on_delete=models.PROTECT, related_name="entry")
    leaf = models.BinaryField(help_text="32 bytes: RFC 6962's hash of the leaf")
    subject_label_digest = models.BinaryField(null=True)
    subject_label_salt = models.BinaryField(null=True)
    reason_digest = models.BinaryField(null=True)
    reason_salt = models.BinaryField(null=True)
    before_digest = models.BinaryField(null=True)
    before_salt = models.BinaryField(null=True)
    after_digest = models.BinaryField(null=True)
    after_salt = models.BinaryField(null=True)

    class Meta:
        triggers: ClassVar = [OnlySaltsGo()]
        verbose_name_plural = "journal entries"

    def __str__(self) -> str:
        return f"entry {self.pk}"


class JournalNode(AppendOnlyModel):
    """The hash over 256, 65,536, ... entries that begin at a multiple of as many: what a proof is made from without
    reading the journal. `level` 8 covers 2**8 entries, and node `index` those from index * 2**level + 1."""

    id = models.BigAutoField(primary_key=True)
    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    hash = models.BinaryField(help_text="32 bytes")

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["level", "index"], name="one_hash_per_journal_node")
        ]


class Checkpoint(AppendOnlyModel):
    """What the journal was at a time: how long, the root of the tree over all its entries, signed by the server.

    `note` is what is signed, a C2SP tlog-checkpoint, with the signature: to be kept elsewhere, for whoever can write
    this table can write another one. The other columns repeat what it says.
    """

    id = models.BigIntegerField(primary_key=True, help_text="from 1, without gaps")
    first = models.BigIntegerField(unique=True, help_text="the number of the first entry that is new in it")
    size = models.BigIntegerField(unique=True, help_text="entries: the number of its last one")
    root = models.CharField(max_length=64, help_text="hex")
    # sha256 of the note before, hex; no two follow the same one.
    previous = models.CharField(max_length=64, unique=True)
    note = models.TextField()
    at = models.DateTimeField()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="checkpoint_has_entries", condition=models.Q(size__gte=models.F("first"))
            )
        ]

    def __str__(self) -> str:
        return f"checkpoint {self.pk}"

    @property
    def count(self) -> int:
        """How many entries are new in it."""
        return self.size - self.first + 1
