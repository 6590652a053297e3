"""One's own tokens, and the way out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from console.page import Page
from registry.actions.people import LONGEST_TOKEN_DAYS, TOKEN_DAYS, issue_token, revoke_token
from registry.errors import DomainError
from registry.models import Namespace, Principal, ServiceToken
from registry.models.visibility import namespaces_where
from registry.roles import Permission


class TokenForm(forms.Form):
    """A new token: what it is for, where it counts, for how long."""

    name = forms.CharField(max_length=100, label="What is it for?")
    namespace = forms.ModelChoiceField(
        queryset=Namespace.objects.none(),
        required=False,
        to_field_name="name",
        empty_label="everywhere I may",
        label="Where does it count?",
    )
    expires_in_days = forms.IntegerField(
        min_value=1, max_value=LONGEST_TOKEN_DAYS, initial=TOKEN_DAYS, label="Days until it expires"
    )

    def __init__(self, data: Any = None, *, principal: Principal) -> None:
        super().__init__(data, label_suffix="")
        mine = namespaces_where(principal, Permission.NAMESPACE_READ)
        namespace = self.fields["namespace"]
        if isinstance(namespace, forms.ModelChoiceField):
            namespace.queryset = Namespace.objects.filter(pk__in=mine).order_by("name")


class Tokens(Page):
    """One's own tokens. A new one is shown on the answer to its making, and never again."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(request, TokenForm(principal=self.principal))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = TokenForm(request.POST, principal=self.principal)
        if not form.is_valid():
            return self.show(request, form, status=422)
        given = form.cleaned_data
        try:
            _, secret = issue_token(
                user=self.principal.account,
                name=given["name"],
                namespace=given["namespace"],
                expires_at=timezone.now() + timedelta(days=given["expires_in_days"]),
                by=self.principal,
            )
        except DomainError as refusal:
            form.add_error(None, refusal.sentence)
            return self.show(request, form, status=refusal.status)
        return self.show(request, TokenForm(principal=self.principal), secret=secret)

    def show(
        self, request: HttpRequest, form: TokenForm, *, secret: str = "", status: int = 200
    ) -> HttpResponse:
        page = {"form": form, "secret": secret, "tokens": own_tokens(self.principal), "now": timezone.now()}
        answer = render(request, "console/tokens.html", page, status=status)
        answer["Cache-Control"] = "no-store"
        return answer


class Revoke(Page):
    """End one of one's own tokens."""

    def post(self, request: HttpRequest, id: UUID) -> HttpResponse:
        token = own_tokens(self.principal).filter(pk=id).first()
        if token is None:
            raise Http404
        revoke_token(token=token, by=self.principal)
        messages.success(
            request, f"The token {token.name} is revoked: whatever uses it is refused from now on."
        )
        return redirect("account-tokens")


class SignOut(Page):
    """End the session."""

    def post(self, request: HttpRequest) -> HttpResponse:
        logout(request)
        return redirect("admin:login")


def own_tokens(principal: Principal) -> QuerySet[ServiceToken]:
    """The reader's tokens, those in force first."""
    rows = ServiceToken.objects.filter(user=principal.account).select_related("namespace")
    return rows.order_by(F("revoked_at").asc(nulls_first=True), "-created_at", "-pk")
