"""Model versions: everything that is known of one, to read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from lifecycle import deletion
from lifecycle.actions.deletion import delete_version
from lifecycle.actions.retention import restore_version
from lifecycle.admin.catalog import STAGE_COLOURS
from lifecycle.admin.holds import place_page
from lifecycle.dossier import versions as facts
from lifecycle.models import CheckReport, Promotion
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.journal import pretty
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin
from registry.artifacts import garbage
from registry.http.authentication import principal_of
from registry.models import Artifact, Evaluation, Event, ModelVersion, Stage, StageChange

IN_USE = (Stage.STAGING, Stage.PRODUCTION)


class EvaluationInline(ReadOnlyInline):
    model = Evaluation
    fields = ("dataset", "split", "slice", "metrics_told", "evaluator", "by", "at")
    readonly_fields = fields
    ordering = ("-at",)
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).select_related("by", "version__model__namespace")
        return rows.prefetch_related("metrics")

    @display(description="metrics")
    def metrics_told(self, row: Evaluation) -> str:
        return ", ".join(f"{m.name} {m.value:.4g}" for m in sorted(row.metrics.all(), key=lambda m: m.name))


class PromotionInline(ReadOnlyInline):
    model = Promotion
    fk_name = "version"
    fields = ("target", "kind", "state", "requested_by", "requested_at", "outcome")
    readonly_fields = fields
    ordering = ("-requested_at",)
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("requested_by", "version__model__namespace")


class CheckInline(ReadOnlyInline):
    model = CheckReport
    fields = ("name", "passed", "sentence", "by", "at")
    readonly_fields = fields
    ordering = ("-at",)
    verbose_name_plural = "checks"


class StageChangeInline(ReadOnlyInline):
    model = StageChange
    fields = ("at", "from_stage", "to_stage", "move", "by", "reason")
    readonly_fields = fields
    ordering = ("-id",)
    verbose_name_plural = "stages"


@admin.register(ModelVersion)
class ModelVersionAdmin(ScopedAdmin):
    list_display = ("reference", "told_stage", "told_status", "format", "size", "created_by", "created_at")
    list_filter = ("stage", "status")
    list_select_related = ("model__namespace", "manifest", "created_by")
    search_fields = ("model__name", "model__namespace__name", "manifest__digest")
    search_help_text = "model, namespace or digest"
    ordering = ("-created_at", "-pk")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "reference", "told_stage", "told_status", "told_holds", "digest", "format", "size", "description",
                    "told_tags", "told_parameters", "created_by", "created_at", "ready_at", "status_message",
                    "deleted_at",
                ),
            },
        ),
        ("Artifacts", {"fields": ("artifacts",), "classes": ("tab",)}),
        ("Lineage", {"fields": ("completeness_told", "lineage"), "classes": ("tab",)}),
        ("Events", {"fields": ("events",), "classes": ("tab",)}),
    )  # fmt: skip
    readonly_fields = (
        "reference", "told_stage", "told_status", "told_holds", "digest", "format", "size", "description",
        "told_tags", "told_parameters", "created_by", "created_at", "ready_at", "status_message", "deleted_at",
        "artifacts", "completeness_told", "lineage", "events",
    )  # fmt: skip
    inlines = (EvaluationInline, PromotionInline, CheckInline, StageChangeInline)
    actions_detail = ("open_page", "evidence", "restore", "place_hold", "delete_for_good")
    to_namespace = "model.namespace"

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            row.reader = principal_of(request)
        return row

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("model__namespace", "manifest", "created_by")

    @display(description="version", ordering="model__name")
    def reference(self, row: ModelVersion) -> str:
        return row.reference

    @display(description="stage", label=STAGE_COLOURS, ordering="stage")
    def told_stage(self, row: ModelVersion) -> str:
        return str(row.stage)

    @display(
        description="status", ordering="status",
        label={
            "ready": "success", "verifying": "info", "pending": "info", "failed": "danger", "deleted": "warning",
        },
    )  # fmt: skip
    def told_status(self, row: ModelVersion) -> str:
        return row.status

    @display(description="legal holds")
    def told_holds(self, row: ModelVersion) -> str:
        return render_to_string("facts/holds.html", {"holds": facts.holds(row)})

    @display(description="digest")
    def digest(self, row: ModelVersion) -> str:
        return format_html("<code>sha256:{}</code>", row.manifest.digest) if row.manifest.digest else "\u2013"

    @display(description="bytes", ordering="manifest__size")
    def size(self, row: ModelVersion) -> str:
        return f"{row.manifest.size:,}"

    @display(description="tags")
    def told_tags(self, row: ModelVersion) -> str:
        return pretty(row.tags)

    @display(description="parameters")
    def told_parameters(self, row: ModelVersion) -> str:
        return pretty(row.parameters)

    @display(description="artifacts")
    def artifacts(self, row: ModelVersion) -> str:
        files, count = facts.artifacts(row)
        return render_to_string("facts/artifacts.html", {"files": files, "count": count})

    @display(description="provenance")
    def completeness_told(self, row: ModelVersion) -> str:
        return render_to_string("facts/completeness.html", {"completeness": row.completeness})

    @display(description="lineage")
    def lineage(self, row: Any) -> str:
        return render_to_string("facts/lineage.html", {"lineage": facts.lineage(row, row.reader)})

    @display(description="events")
    def events(self, row: Any) -> str:
        found: list[Event] = facts.events(row, row.reader)
        return render_to_string("facts/events.html", {"events": found})

    @page_action(description="Open its page", icon="open_in_new")
    def open_page(self, request: HttpRequest, row: ModelVersion) -> HttpResponse:
        model = row.model
        return HttpResponseRedirect(
            reverse("version-page", args=[model.namespace.name, model.name, row.number])
        )

    @page_action(description="Evidence", icon="download")
    def evidence(self, request: HttpRequest, row: ModelVersion) -> HttpResponse:
        model = row.model
        address = reverse("version-evidence", args=[model.namespace.name, model.name, row.number])
        return HttpResponseRedirect(f"{address}?as=html")

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        if (
            action == "restore"
            and not Artifact.objects.filter(manifest=row.manifest_id, blob__tier="cold").exists()
        ):
            return False
        if action == "place_hold" and row.deleted_at is not None:
            return False
        if action == "delete_for_good" and (row.deleted_at is not None or row.stage in IN_USE):
            return False
        return super().offers(request, action, row)

    @page_action(description="Restore", icon="local_fire_department")
    def restore(self, request: HttpRequest, row: ModelVersion) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            count = restore_version(version=row, reason=given["reason"], by=principal_of(request))
            return f"{count} file{'' if count == 1 else 's'} on the way back from the cold location."

        return ActPage(
            title=f"Restore {row.reference}",
            sentence="Its bytes are brought back from the cold location, and verified there and here.",
            consequences=("It can be downloaded once every file is back.",),
            button="Restore",
            back=reverse("admin:registry_modelversion_change", args=[row.pk]),
            form_class=ReasonForm,
            act=act,
        ).respond(request)

    @page_action(description="Place a hold", icon="lock")
    def place_hold(self, request: HttpRequest, row: ModelVersion) -> HttpResponse:
        return place_page(request, row)

    @page_action(description="Delete", icon="delete", danger=True)
    def delete_for_good(self, request: HttpRequest, row: ModelVersion) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            delete_version(version=row, reason=given["reason"], by=principal_of(request))
            return f"{row.reference} is deleted. What it was, and where it came from, stays to be read."

        freed = deletion.freed_by(row)
        days = f"{garbage.grace().total_seconds() / 86_400:.3g}"
        return ActPage(
            title=f"Delete {row.reference}",
            sentence="It can never be downloaded, promoted or restored again, and its number is not used again.",
            consequences=(
                *deletion.referrers(row, principal_of(request)),
                f"{freed.blobs} stored file{'' if freed.blobs == 1 else 's'} ({freed.bytes:,} bytes) that nothing "
                f"else needs will be removed after {days} days."
                if freed.blobs
                else "No stored bytes become free: others need them too.",
                "Its lineage, evaluations, promotions and events stay.",
            ),
            button="Delete for good",
            dangerous=True,
            back=reverse("admin:registry_modelversion_change", args=[row.pk]),
            form_class=ReasonForm,
            act=act,
        ).respond(request)
