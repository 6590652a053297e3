"""Registered models: what they are, their versions, and going back or taking out in an incident."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import F, OuterRef, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from lifecycle.actions.promotions import move_version, roll_back
from lifecycle.dossier.approvers import approvers
from lifecycle.dossier.versions import rollback_targets
from registry.actions.reviewers import designate_reviewer, dismiss_reviewer
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.journal import NamespaceFilter, pretty
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin
from registry.http.authentication import principal_of
from registry.models import Alias, ModelVersion, RegisteredModel, Stage
from registry.permissions import designated_reviewers, known_user

STAGE_COLOURS = {
    "production": "success",
    "staging": "info",
    "development": "default",
    "archived": "warning",
    "deprecated": "danger",
}


class ReviewerForm(forms.Form):
    """A person of the namespace, and whether they begin or end to review."""

    what = forms.ChoiceField(
        choices=[("designate", "designate"), ("dismiss", "dismiss")],
        label="What",
        widget=UnfoldAdminSelectWidget,
    )
    user = forms.CharField(
        max_length=150,
        label="User name",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="Somebody who holds a role in the namespace, such as viewer.",
    )


class VersionInline(ReadOnlyInline):
    model = ModelVersion
    fields = ("number", "stage", "status", "format", "created_by", "created_at")
    readonly_fields = fields
    ordering = ("-number",)
    show_change_link = True
    per_page = 20

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("created_by", "model__namespace")


class AliasInline(ReadOnlyInline):
    model = Alias
    fk_name = "model"
    fields = ("name", "version", "protected", "moved_at")
    readonly_fields = fields
    verbose_name_plural = "aliases"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("version__model__namespace")


@admin.register(RegisteredModel)
class RegisteredModelAdmin(ScopedAdmin):
    list_display = ("reference", "task", "in_production", "version_count", "owner", "created_at")
    list_filter = (NamespaceFilter,)
    list_select_related = ("namespace", "owner")
    search_fields = ("name", "namespace__name", "task")
    ordering = ("namespace__name", "name")
    fields = (
        "reference", "task", "description", "card", "told_tags", "owner", "risk_tier", "regulatory_class",
        "intended_use", "excluded_use", "who_approves", "created_by", "created_at",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (VersionInline, AliasInline)
    actions_detail = ("open_page", "reviewers", "roll_back", "suspend")

    def get_queryset(self, request: HttpRequest) -> Any:
        production = ModelVersion.objects.filter(model=OuterRef("pk"), stage=Stage.PRODUCTION)
        return (
            super()
            .get_queryset(request)
            .filter(deleted_at=None)
            .annotate(made=F("next_number") - 1, produced=Subquery(production.values("number")[:1]))
        )

    @display(description="model", ordering="name")
    def reference(self, row: RegisteredModel) -> str:
        return str(row)

    @display(description="in production", label={"none": "default"})
    def in_production(self, row: Any) -> str:
        return f"version {row.produced}" if row.produced else "none"

    @display(description="versions", ordering="made")
    def version_count(self, row: Any) -> int:
        return int(row.made)

    @display(description="tags")
    def told_tags(self, row: RegisteredModel) -> str:
        return pretty(row.tags)

    @display(description="who approves")
    def who_approves(self, row: RegisteredModel) -> str:
        return render_to_string("admin/parts/approvers.html", {"approvers": approvers(row)})

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        if action == "suspend" and not row.produced:
            return False
        return super().offers(request, action, row)

    @page_action(description="Open its page", icon="open_in_new")
    def open_page(self, request: HttpRequest, row: RegisteredModel) -> HttpResponse:
        return HttpResponseRedirect(reverse("model-page", args=[row.namespace.name, row.name]))

    @page_action(description="Reviewers", icon="how_to_reg")
    def reviewers(self, request: HttpRequest, row: RegisteredModel) -> HttpResponse:
        reviewing = [user.get_username() for user in designated_reviewers(row)]

        def act(given: dict[str, Any]) -> str:
            user, by = known_user(given["user"]), principal_of(request)
            if given["what"] == "dismiss":
                dismiss_reviewer(model=row, user=user, by=by)
                return f"{user.get_username()} is no designated reviewer of {row} any more."
            new = designate_reviewer(model=row, user=user, by=by)
            return (
                f"{user.get_username()} {'is now' if new else 'was already'} a designated reviewer of {row}."
            )

        return ActPage(
            title=f"Reviewers of {row}",
            sentence=f"Designated now: {', '.join(sorted(reviewing)) or 'nobody'}.",
            consequences=(
                "A designated reviewer approves or rejects what is asked for this model, and for no other.",
                "Nobody approves what they asked for or made. A policy can say that reviewers do not count.",
                "Dismissed, what they approved of open requests counts no more, unless another right gives it weight.",
            ),
            button="Save",
            back=reverse("admin:registry_registeredmodel_change", args=[row.pk]),
            form_class=ReviewerForm,
            act=act,
        ).respond(request)

    @page_action(description="Roll back", icon="undo")
    def roll_back(self, request: HttpRequest, row: Any) -> HttpResponse:
        targets = rollback_targets(row)
        choices = [
            (v.number, f"version {v.number}, in production until {at:%Y-%m-%d %H:%M} UTC")
            for v, at in targets
        ]

        class RollBackForm(ReasonForm):
            to = forms.TypedChoiceField(
                choices=choices, coerce=int, label="Go back to", widget=UnfoldAdminSelectWidget
            )
            field_order = ("to", "reason")

        def act(given: dict[str, Any]) -> str:
            made = roll_back(model=row, to=given["to"], reason=given["reason"], by=principal_of(request))
            return (
                f"The rollback to {made.version.reference} is under way: its bytes are verified, "
                "then it is in production."
            )

        now = f"Version {row.produced} is in production." if row.produced else "Nothing is in production."
        return ActPage(
            title=f"Roll back {row}",
            sentence=now if targets else f"{now} There is no former production version to go back to.",
            consequences=(
                "The version that you choose becomes production, and the alias `production` moves to it.",
                *([f"Version {row.produced} steps down to archived."] if row.produced else []),
                "Open requests for production are void: what they would replace has changed.",
                "Its bytes are read and verified first when that was more than 24 hours ago.",
            ),
            button="Roll back",
            dangerous=True,
            back=reverse("admin:registry_registeredmodel_change", args=[row.pk]),
            form_class=RollBackForm,
            act=act,
        ).respond(request)

    @page_action(description="Suspend production", icon="front_hand", danger=True)
    def suspend(self, request: HttpRequest, row: Any) -> HttpResponse:
        version = ModelVersion.objects.filter(model=row, stage=Stage.PRODUCTION).first()
        back = reverse("admin:registry_registeredmodel_change", args=[row.pk])
        if version is None:
            return HttpResponseRedirect(back)

        def act(given: dict[str, Any]) -> str:
            move_version(version=version, move="suspend", reason=given["reason"], by=principal_of(request))
            return f"{version.reference} is suspended. {row} has no version in production now."

        return ActPage(
            title=f"Suspend {version.reference}",
            sentence="For an incident: it is taken out of production at once, and nothing takes its place.",
            consequences=(
                f"{row} has no production version until one is promoted or rolled back to.",
                f"Whoever asks for {row} gets an error that says so.",
                "The version is deprecated, and can never be rolled back to again.",
            ),
            button="Suspend",
            dangerous=True,
            back=back,
            form_class=ReasonForm,
            act=act,
        ).respond(request)
