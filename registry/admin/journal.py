"""The journal and the evaluations: to read."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.decorators import display

from registry.admin.scoped import ReadOnlyInline, ScopedAdmin
from registry.http.authentication import principal_of
from registry.journal.checkpoints import checkpoint_containing
from registry.models import Evaluation, EvaluationMetric, Event, JournalEntry, Namespace
from registry.models.visibility import namespaces_where
from registry.roles import Permission

NEWEST = 5000


class TypeFilter(admin.SimpleListFilter):
    """Events by type: the types of the newest events, as to read them all would cost the more the more there are."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        newest = model_admin.get_queryset(request).order_by("-id").values_list("type", flat=True)
        return [(each, each) for each in sorted({*newest[:NEWEST], *filter(None, [self.value()])})]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(type=self.value()) if self.value() else queryset


class NamespaceFilter(admin.SimpleListFilter):
    """Rows by namespace: those the caller sees, whether or not they have rows, which would cost reading them all."""

    title = "namespace"
    parameter_name = "namespace"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        seen = namespaces_where(principal_of(request), Permission.NAMESPACE_READ)
        found = Namespace.objects.filter(pk__in=seen).order_by("name").values_list("pk", "name")
        return [(str(key), name) for key, name in found]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        try:
            return queryset.filter(namespace=self.value())
        except ValidationError as wrong:
            raise IncorrectLookupParameters(wrong) from wrong


@admin.register(Event)
class EventAdmin(ScopedAdmin):
    list_display = ("at", "type", "about", "who", "namespace", "short_reason")
    list_display_links = ("at", "type")
    list_filter = (TypeFilter, NamespaceFilter)
    list_select_related = ("namespace",)
    search_fields = ("subject_label", "actor_label", "type")
    search_help_text = "subject, actor or type"
    ordering = ("-id",)
    fields = (
        "id", "type", "at", "namespace", "subject_kind", "subject_label", "subject_id", "actor_label",
        "token_prefix", "reason", "was", "became", "place",
    )  # fmt: skip
    readonly_fields = fields

    @display(description="about")
    def about(self, row: Event) -> str:
        return shortened(row.subject_label, 40)

    @display(description="by")
    def who(self, row: Event) -> str:
        return row.actor_label

    @display(description="reason")
    def short_reason(self, row: Event) -> str:
        return shortened(row.reason, 80)

    @display(description="place in the journal")
    def place(self, row: Event) -> str:
        entry = JournalEntry.objects.filter(event=row).first()
        found = entry and checkpoint_containing(entry)
        if not entry or not found:
            return "It has none yet: the next checkpoint gives it one."
        return f"Entry {entry.pk}, in checkpoint {found.pk} of {found.at:%Y-%m-%d %H:%M} UTC and in all later ones"

    @display(description="before")
    def was(self, row: Event) -> str:
        return pretty(row.before)

    @display(description="after")
    def became(self, row: Event) -> str:
        return pretty(row.after)


class MetricInline(ReadOnlyInline):
    model = EvaluationMetric
    fields = ("name", "value", "low", "high")
    tab = False


@admin.register(Evaluation)
class EvaluationAdmin(ScopedAdmin):
    list_display = ("version", "dataset", "split", "slice", "metrics_told", "by", "at")
    list_select_related = ("version__model__namespace", "by")
    search_fields = ("version__model__name", "dataset", "dataset_digest")
    ordering = ("-at", "-pk")
    fields = ("version", "dataset", "dataset_digest", "split", "slice", "evaluator", "run_id", "by", "at")
    readonly_fields = fields
    inlines = (MetricInline,)
    to_namespace = "version.model.namespace"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("metrics")

    @display(description="metrics")
    def metrics_told(self, row: Evaluation) -> str:
        return ", ".join(f"{m.name} {m.value:.4g}" for m in sorted(row.metrics.all(), key=lambda m: m.name))


def shortened(text: str, most: int) -> str:
    """A text for a line of a list: its page has the whole."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def pretty(value: Any) -> str:
    """JSON for people; a dash for nothing."""
    if value in (None, {}, []):
        return "\u2013"
    return format_html('<pre class="json">{}</pre>', json.dumps(value, indent=2, sort_keys=True))
