"""The keys whose signatures a namespace believes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from registry.actions.keys import add_signing_key, revoke_signing_key
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.journal import NamespaceFilter
from registry.admin.scoped import ScopedAdmin
from registry.errors import NotVisible
from registry.http.authentication import principal_of
from registry.models import SigningKey
from registry.permissions import visible_namespace


class KeyForm(forms.Form):
    """A new key."""

    namespace = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget, help_text="As release-2026.")
    pem = forms.CharField(
        max_length=10_000,
        label="Public key",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text="PEM of an elliptic-curve public key: P-256, P-384 or P-521.",
    )


@admin.register(SigningKey)
class SigningKeyAdmin(ScopedAdmin):
    list_display = ("name", "namespace", "short_fingerprint", "state", "added_by", "added_at")
    list_filter = (NamespaceFilter,)
    list_select_related = ("namespace", "added_by")
    search_fields = ("name", "fingerprint")
    ordering = ("-added_at", "-pk")
    fields = (
        "name", "namespace", "state", "fingerprint", "pem", "added_by", "added_at", "revoked_by", "revoked_at",
    )  # fmt: skip
    readonly_fields = fields
    actions_list = ("new_key",)
    actions_detail = ("revoke",)

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        return row.revoked_at is None and super().offers(request, action, row)

    @display(description="fingerprint")
    def short_fingerprint(self, row: SigningKey) -> str:
        return f"{row.fingerprint[:16]}…"

    @display(description="state", label={"believed": "success", "revoked": "danger"})
    def state(self, row: SigningKey) -> str:
        return "revoked" if row.revoked_at else "believed"

    @page_action(description="New key", icon="add")
    def new_key(self, request: HttpRequest, row: None) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            by = principal_of(request)
            try:
                namespace = visible_namespace(by, given["namespace"])
            except NotVisible as refusal:
                refusal.field = "namespace"
                raise
            key = add_signing_key(namespace=namespace, name=given["name"], pem=given["pem"], by=by)
            return f"{namespace.name} believes what {key.name} signs."

        return ActPage(
            title="New key",
            sentence="A public key of OpenSSF model_signing whose signatures a namespace believes.",
            consequences=(
                "Versions signed with it pass the gate signature_valid.",
                "Signatures that waited for a key are verified again.",
            ),
            button="Add",
            back=reverse("admin:registry_signingkey_changelist"),
            form_class=KeyForm,
            act=act,
        ).respond(request)

    @page_action(description="Revoke", icon="key_off", danger=True)
    def revoke(self, request: HttpRequest, row: SigningKey) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            revoke_signing_key(key=row, reason=given["reason"], by=principal_of(request))
            return f"{row.name} is revoked."

        return ActPage(
            title="Revoke a key",
            sentence=f"Believe {row.name} of {row.namespace.name} no more?",
            consequences=(
                "What it signed passes the gate signature_valid no more, whenever it was signed.",
                "Versions in production stay there. The key cannot be added again.",
            ),
            button="Revoke",
            dangerous=True,
            form_class=ReasonForm,
            back=reverse("admin:registry_signingkey_change", args=[row.pk]),
            act=act,
        ).respond(request)
