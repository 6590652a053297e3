"""What is kept where, and for how long."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from lifecycle.actions.retention import MOST_DAYS, MOST_FORMER, edit_retention, run_retention
from lifecycle.models import RetentionPolicy, TierMove
from lifecycle.retention import plan
from registry.admin.acting import ActPage, page_action
from registry.admin.scoped import ScopedAdmin
from registry.errors import NotVisible
from registry.http.authentication import principal_of
from registry.models import ModelVersion, Principal
from registry.permissions import visible_namespace

_CONSEQUENCES = (
    "Cold bytes have to be restored before they can be downloaded; what is known of the version stays.",
    "Versions under a legal hold, with an alias, or brought back lately are left alone.",
)


class RetentionForm(forms.Form):
    """When bytes move to the cold location."""

    after_days = forms.IntegerField(
        min_value=0,
        max_value=MOST_DAYS,
        initial=90,
        label="Days after it was archived or deprecated",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    keep_former = forms.IntegerField(
        min_value=0,
        max_value=MOST_FORMER,
        initial=2,
        label="Former productions that stay hot",
        help_text="The newest of each model: what one rolls back to.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    enabled = forms.BooleanField(required=False, label="Run it by itself", widget=UnfoldBooleanWidget)


class NewRetentionForm(RetentionForm):
    """The same, for a namespace that is named."""

    namespace = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    field_order = ("namespace",)


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(ScopedAdmin):
    list_display = ("namespace", "enabled", "after_days", "keep_former", "updated_at")
    list_select_related = ("namespace",)
    search_fields = ("namespace__name",)
    ordering = ("namespace__name",)
    fields = ("namespace", "enabled", "after_days", "keep_former", "updated_at")
    readonly_fields = fields
    actions_list = ("set_policy",)
    actions_detail = ("edit", "run_now")

    @page_action(description="Set a policy", icon="add")
    def set_policy(self, request: HttpRequest, row: None) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            by = principal_of(request)
            try:
                namespace = visible_namespace(by, given.pop("namespace"))
            except NotVisible as refusal:
                refusal.field = "namespace"
                raise
            edit_retention(namespace=namespace, by=by, **given)
            return f"The retention policy of {namespace} is set."

        return ActPage(
            title="Set a retention policy",
            sentence="The bytes of archived and deprecated versions move to the cold location after a while.",
            consequences=_CONSEQUENCES,
            button="Set",
            back=reverse("admin:lifecycle_retentionpolicy_changelist"),
            form_class=NewRetentionForm,
            act=act,
        ).respond(request)

    @page_action(description="Edit", icon="edit")
    def edit(self, request: HttpRequest, row: RetentionPolicy) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            edit_retention(namespace=row.namespace, by=principal_of(request), **given)
            return f"The retention policy of {row.namespace} is set."

        return ActPage(
            title=f"Retention of {row.namespace}",
            sentence="The bytes of archived and deprecated versions move to the cold location after a while.",
            consequences=_CONSEQUENCES,
            button="Set",
            back=reverse("admin:lifecycle_retentionpolicy_change", args=[row.pk]),
            form_class=RetentionForm,
            initial={
                "after_days": row.after_days,
                "keep_former": row.keep_former,
                "enabled": row.enabled,
            },
            act=act,
        ).respond(request)

    @page_action(description="Run now", icon="ac_unit")
    def run_now(self, request: HttpRequest, row: RetentionPolicy) -> HttpResponse:
        planned = plan(row)

        def act(_given: dict[str, Any]) -> str:
            done = run_retention(namespace=row.namespace, by=principal_of(request))
            return f"{len(done)} version{'' if len(done) == 1 else 's'} on the way to the cold location."

        listed = tuple(f"{each.version.reference}: {each.size:,} bytes; {each.why}" for each in planned)
        return ActPage(
            title=f"Run the retention of {row.namespace}",
            sentence="These versions move to the cold location:" if listed else "Nothing is due.",
            consequences=listed,
            button="Move them" if listed else "",
            back=reverse("admin:lifecycle_retentionpolicy_change", args=[row.pk]),
            act=act,
        ).respond(request)


@admin.register(TierMove)
class TierMoveAdmin(ScopedAdmin):
    list_display = ("created_at", "version", "bytes_moved", "to_tier", "told_state", "moved_at", "error")
    list_filter = ("state", "to_tier")
    list_select_related = ("version__model__namespace", "blob")
    search_fields = ("version__model__name", "blob__sha256")
    ordering = ("-created_at", "-pk")
    fields = (
        "version",
        "blob_digest",
        "bytes_moved",
        "to_tier",
        "told_state",
        "created_at",
        "moved_at",
        "error",
    )
    readonly_fields = fields
    to_namespace = "version.model.namespace"

    def scope(self, rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
        return rows.filter(version__in=ModelVersion.objects.visible_to(principal))

    @display(description="bytes")
    def bytes_moved(self, row: TierMove) -> str:
        return f"{row.blob.size:,}"

    @display(description="blob")
    def blob_digest(self, row: TierMove) -> str:
        return f"sha256:{row.blob_id}"

    @display(
        description="state", ordering="state",
        label={"copying": "info", "moved": "info", "done": "success", "failed": "danger"},
    )  # fmt: skip
    def told_state(self, row: TierMove) -> str:
        return row.state
