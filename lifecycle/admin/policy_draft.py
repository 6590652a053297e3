"""The page on which a policy is drafted: every gate with the fields of its own parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from lifecycle.actions.policies import LONGEST_REASON, draft_policy
from lifecycle.approvals import groups_of
from lifecycle.gates import GATES, Parameter
from lifecycle.models import Policy
from lifecycle.policies import MOST_APPROVALS, MOST_GATES
from registry.errors import DomainError
from registry.http.admin_site import site
from registry.http.authentication import principal_of
from registry.models import RegisteredModel

# A field's name is `<position>.<parameter>`, as `0.bound`.
Given = dict[str, Any]


class Scope(forms.Form):
    """For which models the policy is, how many approve, and why it is drafted."""

    model = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text="The name of one model of the namespace; empty: for every model, or those of the tier.",
    )
    risk_tier = forms.CharField(
        required=False,
        max_length=40,
        widget=UnfoldAdminTextInputWidget,
        help_text="For the models of this risk tier that have no policy of their own.",
    )
    approvals = forms.IntegerField(
        min_value=0,
        max_value=MOST_APPROVALS,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How many people must approve, none of whom asked for it or made the version.",
    )
    groups = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="How many of them from which group or role, one a line, as `risk: 1`; `designated_reviewers` are "
        "those of the model. One person stands for one group.",
    )
    without_designated = forms.BooleanField(
        required=False,
        label="Designated reviewers of a model do not count",
        widget=UnfoldBooleanWidget,
    )
    reason = forms.CharField(
        required=False,
        max_length=LONGEST_REASON,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Why, for whoever publishes it and for the journal.",
    )

    def clean_groups(self) -> list[dict[str, Any]]:
        """The lines as the policy holds them."""
        found: list[dict[str, Any]] = []
        for line in filter(str.strip, self.cleaned_data["groups"].splitlines()):
            name, _, count = (part.strip() for part in line.partition(":"))
            if not (name and (count or "1").isdecimal() and len(count) < 4):
                raise forms.ValidationError(f"{line.strip()!r} is not of the form `risk: 1`.")
            found.append({"group": name, "count": int(count or 1)})
        return found


@dataclass
class GateOnPage:
    """A gate as it stands on the page: its name, and what is written in the fields of its parameters."""

    name: str
    values: Given
    errors: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)

    def form(self, position: int) -> forms.Form:
        """Its parameters as fields."""
        known = GATES.get(self.name)
        form = forms.Form(initial={f"{position}.{name}": value for name, value in self.values.items()})
        for parameter in known.parameters if known else ():
            form.fields[f"{position}.{parameter.name}"] = _field(parameter, self.wrong.get(parameter.name))
        return form

    def asked(self) -> dict[str, Any]:
        """The gate as a policy holds it; what is not understood stays as it was written, to be refused."""
        known = GATES.get(self.name)
        typed = {p.name: _typed(p, self.values.get(p.name)) for p in known.parameters} if known else {}
        said = {name: value for name, value in typed.items() if value is not None}
        return {"gate": self.name, "parameters": said}


def _field(parameter: Parameter, wrong: str | None) -> forms.Field:
    said = parameter.help[:1].upper() + parameter.help[1:]
    shared: dict[str, Any] = {
        "label": parameter.name.replace("_", " "),
        "required": parameter.required,
        "help_text": f"{wrong} {said}".strip() if wrong else said,
    }
    attributes = {"aria-invalid": "true"} if wrong else {}
    if parameter.choices:
        return forms.ChoiceField(
            choices=[(each, each) for each in parameter.choices],
            widget=UnfoldAdminSelectWidget(attrs=attributes),
            **shared,
        )
    if parameter.kind is bool:
        return forms.BooleanField(
            widget=UnfoldBooleanWidget(attrs=attributes), **{**shared, "required": False}
        )
    if parameter.kind is list:
        shared["help_text"] = f"{shared['help_text'] or 'Texts'}; one in a line."
        return forms.CharField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, **attributes}), **shared)
    return forms.CharField(widget=UnfoldAdminTextInputWidget(attrs=attributes), **shared)


def _shown(parameter: Parameter, value: Any) -> Any:
    """A parameter's value as it stands in its field."""
    if parameter.kind is list:
        return "\n".join(str(each) for each in value or [])
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else value


def _typed(parameter: Parameter, written: Any) -> Any:
    """What is written in a field, as the gate takes it; an empty field says nothing."""
    if parameter.kind is bool:
        return bool(written)
    if parameter.kind is list:
        return [line.strip() for line in str(written or "").splitlines() if line.strip()]
    text = str(written or "").strip()
    if parameter.kind in (int, float) and text:
        try:
            return parameter.kind(text)
        except ValueError:
            return text
    return text or None


def _of_policy(policy: Policy) -> list[GateOnPage]:
    found = []
    for gate in policy.gates:
        known = GATES.get(gate["gate"])
        values = (
            {p.name: _shown(p, gate["parameters"].get(p.name)) for p in known.parameters} if known else {}
        )
        found.append(GateOnPage(gate["gate"], values))
    return found


def _of_post(sent: QueryDict) -> list[GateOnPage]:
    """The gates as they were sent, with one added, taken away or moved when a button says so."""
    found = []
    for position, name in enumerate(sent.getlist("gate")[: MOST_GATES + 1]):
        known = GATES.get(name)
        values = {p.name: sent.get(f"{position}.{p.name}", "") for p in known.parameters} if known else {}
        found.append(GateOnPage(name, values))
    verb, _, at = sent.get("do", "").partition("-")
    pressed = int(at) if at.isdecimal() and int(at) < len(found) else None
    if verb == "add" and (known := GATES.get(sent.get("new", ""))):
        found.append(GateOnPage(known.name, {p.name: _shown(p, p.default) for p in known.parameters}))
    elif verb == "remove" and pressed is not None:
        del found[pressed]
    elif verb == "up" and pressed:
        found.insert(pressed - 1, found.pop(pressed))
    return found


def respond(request: HttpRequest, row: Policy) -> HttpResponse:
    """The page, which begins as a copy of `row`; saved, it is a draft, and the answer leads there."""
    sent = request.POST if request.method == "POST" else None
    begun = {
        "model": row.model.name if row.model else "",
        "risk_tier": row.risk_tier,
        "approvals": row.approvals.get("count", 0),
        "groups": "\n".join(f"{name}: {n}" for name, n in groups_of(row.approvals).items()),
        "without_designated": not row.approvals.get("designated_reviewers", True),
    }
    scope = Scope(sent, initial=begun)
    gates = _of_policy(row) if sent is None else _of_post(sent)
    if sent is not None and sent.get("do") == "save":
        if scope.is_valid() and (answer := _saved(request, row, scope, gates)):
            return answer
    elif sent is not None:
        # A button that only changes the page: nothing is judged yet.
        scope = Scope(initial={name: sent.get(name, "") for name in scope.fields})
    context = {
        **site().each_context(request),
        "title": f"Draft a {row.target} policy of {row.namespace}",
        "row": row,
        "scope": scope,
        "gates": [
            {"gate": gate, "form": gate.form(position), "position": position, "about": _about(gate.name)}
            for position, gate in enumerate(gates)
        ],
        "known": sorted(GATES),
        "full": len(gates) >= MOST_GATES,
        "back": reverse("admin:lifecycle_policy_change", args=[row.pk]),
    }
    return TemplateResponse(request, "admin/policy_draft.html", context)


def _about(name: str) -> str:
    """What the gate is about: the first sentence of its docstring."""
    known = GATES.get(name)
    first = ((known.__doc__ if known else "") or "").strip().split("\n\n")[0]
    return " ".join(first.split())


def _saved(request: HttpRequest, row: Policy, scope: Scope, gates: list[GateOnPage]) -> HttpResponse | None:
    """Draft it; a refusal is put where it points, and nothing is answered."""
    given = scope.cleaned_data
    try:
        model = None
        if given["model"]:
            model = RegisteredModel.objects.filter(
                namespace=row.namespace, name=given["model"], deleted_at=None
            ).first()
            if model is None:
                scope.add_error("model", f"{row.namespace} has no model of this name.")
                return None
        policy, made = draft_policy(
            namespace=row.namespace,
            target=row.target,
            gates=[gate.asked() for gate in gates],
            approvals={
                "count": given["approvals"],
                "groups": given["groups"],
                "designated_reviewers": not given["without_designated"],
            },
            model=model,
            risk_tier=given["risk_tier"],
            reason=given["reason"],
            by=principal_of(request),
        )
    except DomainError as refusal:
        _point(scope, gates, refusal)
        return None
    said = f"{policy} is drafted." if made else f"{policy} says just this: nothing was drafted."
    messages.success(request, said)
    return HttpResponseRedirect(reverse("admin:lifecycle_policy_change", args=[policy.pk]))


def _point(scope: Scope, gates: list[GateOnPage], refusal: DomainError) -> None:
    at, _, parameter = (refusal.field or "").partition(".parameters.")
    if at.startswith("gates[") and at[6:-1].isdecimal():
        gate = gates[int(at[6:-1])]
        gate.errors.append(refusal.sentence)
        if parameter:
            gate.wrong[parameter] = refusal.sentence
        return
    name = {"approvals.groups": "groups", "approvals.designated_reviewers": "without_designated"}.get(
        at.partition("[")[0], at.partition(".")[0]
    )
    scope.add_error(name if name in scope.fields else None, refusal.sentence)
