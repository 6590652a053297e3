"""The pages on which something is done: what will follow is said, then one domain call is made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.decorators import action as unfold_action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from registry.errors import DomainError
from registry.http.admin_site import site

Act = Callable[[dict[str, Any]], str]


class ReasonForm(forms.Form):
    """A reason, which the journal keeps."""

    reason = forms.CharField(
        max_length=4000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autofocus": True}),
        help_text="Written in the journal, and read by whoever asks why.",
    )


@dataclass(frozen=True)
class ActPage:
    """A page for one change. `act` takes the form's cleaned data, makes the change, and says what was done. Without
    a `button` there is nothing to do, and the page only says so."""

    title: str
    sentence: str
    button: str
    back: str
    act: Act
    form_class: type[forms.Form] = forms.Form
    initial: dict[str, Any] = field(default_factory=dict)
    consequences: tuple[str, ...] = ()
    dangerous: bool = False
    # Shown once, when the change made something secret: the sentence above it is what `act` returned.
    shows: Callable[[], str | None] = lambda: None

    def respond(self, request: HttpRequest) -> HttpResponse:
        """The page; or, sent and accepted, the way back. A refusal is shown where it was asked."""
        form = self.form_class(request.POST if request.method == "POST" else None, initial=self.initial)
        shown_once = done = None
        if request.method == "POST" and form.is_valid():
            try:
                done = self.act(form.cleaned_data)
                shown_once = self.shows()
                if shown_once is None:
                    messages.success(request, done)
                    return HttpResponseRedirect(self.back)
            except DomainError as refusal:
                refuse(form, refusal)
            except ValidationError as refusal:
                refuse_invalid(form, refusal)
        context = {
            **site().each_context(request),
            "title": self.title,
            "page": self,
            "form": form,
            "done": done,
            "shown_once": shown_once,
        }
        return TemplateResponse(request, "admin/act.html", context)


def refuse(form: forms.Form, refusal: DomainError) -> None:
    """Put a refusal on the form: at its field when it has one, its reasons below it."""
    at = refusal.field if refusal.field in form.fields else None
    for sentence in (refusal.sentence, *refusal.reasons):
        form.add_error(at, sentence)


def refuse_invalid(form: forms.Form, refusal: ValidationError) -> None:
    """Put what a model's own validation refused on the form: at the field of that name, or above them."""
    if not hasattr(refusal, "error_dict"):
        form.add_error(None, refusal)
        return
    for name, wrong in refusal.error_dict.items():
        form.add_error(name if name in form.fields else None, wrong)


def page_action(*, description: str, icon: str | None = None, danger: bool = False) -> Callable[..., Any]:
    """A method `(self, request, row)` of a ScopedAdmin as a button and page of its own.

    The row is found as the caller sees it (404), and the rule of that name in ADMIN_RULES is asked (403).
    """

    def decorate(method: Callable[..., HttpResponse]) -> Any:
        @functools.wraps(method)
        def guarded(self: Any, request: HttpRequest, object_id: str | None = None) -> HttpResponse:
            row = self.found(request, object_id) if object_id is not None else None
            self.check_may(request, method.__name__, row)
            return method(self, request, row)

        return unfold_action(
            description=description,
            icon=icon,
            url_path=method.__name__.replace("_", "-"),
            variant=ActionVariant.DANGER if danger else ActionVariant.DEFAULT,
        )(guarded)

    return decorate
