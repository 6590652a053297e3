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
from registry.journal.checkpoints import checkpoint_containing
from registry.models import Evaluation, EvaluationMetric, Event, JournalEntry


class TypeFilter(admin.SimpleListFilter):
    """Events by type: the types that are there."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        types = model_admin.get_queryset(request).order_by("type").values_list("type", flat=True).distinct()
        return [(t, t) for t in types]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(type=self.value()) if self.value() else queryset


class NamespaceFilter(admin.SimpleListFilter):
    """Rows by namespace: those the caller sees."""

    title = "namespace"
    parameter_name = "namespace"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        seen = model_admin.get_queryset(request).order_by("namespace__name")
        return [
            (str(key), name)
            for key, name in seen.values_list("namespace", "namespace__name").distinct()
            if key
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        try:
            return queryset.filter(namespace=self.value())
        except ValidationError as wrong:
            raise IncorrectLookupParameters(wrong) from wrong


@admin.register(Event)
class EventAdmin(ScopedAdmin):
    list_display = ("at", "type", "subject_label", "actor_label", "namespace", "short_reason")
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

    @display(description="reason")
    def short_reason(self, row: Event) -> str:
        return row.reason if len(row.reason) <= 80 else f"{row.reason[:79]}…"

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


def pretty(value: Any) -> str:
    """JSON for people; a dash for nothing."""
    if value in (None, {}, []):
        return "\u2013"
    return format_html('<pre class="json">{}</pre>', json.dumps(value, indent=2, sort_keys=True))
