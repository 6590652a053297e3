"""What an event is about, and whether an endpoint asked to hear of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from registry.models import Event, ModelVersion, Stage, Webhook

# The subjects that are called `namespace/model`, `namespace/model:3`.
OF_A_MODEL = {"registeredmodel", "modelversion"}


@dataclass(frozen=True)
class About:
    """The model an event is about, if it is about one, and the stages that it concerns."""

    model: str | None
    stages: frozenset[str]


def about(events: Iterable[Event]) -> dict[int, About]:
    """Of each event, by id: in one query, however many there are."""
    rows = list(events)
    named = {event.pk: _stages_named(event) for event in rows}
    # An event of a version that names no stage concerns the one in which the version is.
    asked = {e.subject_id for e in rows if e.subject_kind == "modelversion" and not named[e.pk]}
    now = {
        str(pk): stage for pk, stage in ModelVersion.objects.filter(pk__in=asked).values_list("pk", "stage")
    }
    return {
        event.pk: About(
            _model_of(event),
            named[event.pk] or frozenset(filter(None, [now.get(event.subject_id)])),
        )
        for event in rows
    }


def asked_by_type(type_: str) -> Q:
    """The condition on webhooks that asked for events of this type, all of its noun's, or all."""
    return Q(events__overlap=["*", type_, f"{type_.partition('.')[0]}.*"])


def passes(webhook: Webhook, it: About) -> bool:
    """Whether the webhook's filters by model and stage let it through; what is about none passes no filter."""
    if webhook.of_models and it.model not in webhook.of_models:
        return False
    return not webhook.stages or bool(it.stages & set(webhook.stages))


def _stages_named(event: Event) -> frozenset[str]:
    """Where it moved from and to, where a promotion goes, what a deployment serves."""
    keys = {"promotion": ("target",), "deployment": ("serves",)}.get(event.subject_kind, ("stage",))
    found = (body.get(key) for body in _bodies(event) for key in keys)
    return frozenset(stage for stage in found if isinstance(stage, str) and stage in Stage.values)


def _model_of(event: Event) -> str | None:
    if event.namespace is None:
        return None
    references = [event.subject_label] if event.subject_kind in OF_A_MODEL else []
    references += [body[key] for body in _bodies(event) for key in ("version", "model") if key in body]
    head = f"{event.namespace.name}/"
    for reference in references:
        if isinstance(reference, str) and reference.startswith(head):
            return reference.removeprefix(head).partition(":")[0].partition("@")[0]
    return None


def _bodies(event: Event) -> list[dict[str, Any]]:
    return [body for body in (event.after, event.before) if isinstance(body, dict)]
