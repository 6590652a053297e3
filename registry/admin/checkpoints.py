"""The checkpoints of the journal: to read, by whoever may verify it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from unfold.decorators import display

from registry.admin.scoped import ScopedAdmin
from registry.journal.checkpoints import JournalIsBroken, check_head, journal_name, opened, trusted_keys
from registry.journal.notes import own_key
from registry.models import Checkpoint, Event, Principal
from registry.models.visibility import namespaces_where
from registry.roles import Permission


@admin.register(Checkpoint)
class CheckpointAdmin(ScopedAdmin):
    list_display = ("number", "at", "count", "size", "state")
    list_display_links = ("number",)
    ordering = ("-id",)
    fields = ("number", "holds", "at", "range", "root", "previous", "signed", "key", "verified")
    readonly_fields = fields

    def scope(self, rows: Any, principal: Principal) -> Any:
        """All of them, to whoever verifies the journal of any namespace: what they tell is how much happened."""
        return rows if namespaces_where(principal, Permission.JOURNAL_VERIFY).exists() else rows.none()

    def namespace_of(self, row: Any) -> None:
        return None

    @display(description="checkpoint", ordering="id")
    def number(self, row: Checkpoint) -> str:
        return str(row.pk)

    @display(description="entries")
    def range(self, row: Checkpoint) -> str:
        return f"{row.first} to {row.size}: {row.count} new"

    @display(description="new entries")
    def count(self, row: Checkpoint) -> int:
        return row.count

    @display(description="state", label={"Signed": "success", "Not ours": "danger"})
    def state(self, row: Checkpoint) -> str:
        try:
            opened(row, trusted_keys())
        except JournalIsBroken:
            return "Not ours"
        return "Signed"

    @display(description="state")
    def holds(self, row: Checkpoint) -> str:
        """Whether the journal begins with what it was signed over."""
        try:
            check_head(row, trusted_keys())
        except JournalIsBroken as broken:
            return broken.sentence
        return f"Signed, and the journal begins with the {row.size} entries that it was signed over."

    @display(description="note, to be kept elsewhere")
    def signed(self, row: Checkpoint) -> str:
        return format_html('<pre class="json">{}</pre>', row.note)

    @display(description="public key of this server")
    def key(self, row: Checkpoint) -> str:
        return str(own_key(journal_name()))

    @display(description="verified last")
    def verified(self, row: Checkpoint) -> str:
        """What came of recomputing the whole journal."""
        told = Event.objects.filter(subject_kind="journal").order_by("-pk").first()
        if told is None:
            return "Not yet: it is done once a day, and by `manage.py journal verify`."
        return f"{told.at:%Y-%m-%d %H:%M} UTC: {told.reason}"
