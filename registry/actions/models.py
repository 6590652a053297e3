"""Registered models, and what may change about their versions."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from registry.actions.roles import NameTaken
from registry.errors import InvalidInput
from registry.journal import record
from registry.models import ModelVersion, Namespace, Principal, RegisteredModel
from registry.models.people import name_is_valid
from registry.permissions import check_can
from registry.roles import Permission

EDITABLE = ("task", "description", "card", "intended_use", "excluded_use", "risk_tier", "tags")


@transaction.atomic
def create_model(
    *,
    namespace: Namespace,
    name: str,
    by: Principal,
    task: str = "",
    description: str = "",
    card: str = "",
    tags: dict[str, str] | None = None,
) -> RegisteredModel:
    """A new model without versions; one that was deleted revives, and its numbers continue.

    Raises Forbidden, InvalidInput, NameTaken.
    """
    check_can(by, Permission.MODEL_CREATE, namespace)
    name_is_valid(name)
    rows = RegisteredModel.objects.select_for_update(no_key=True)
    model = rows.filter(namespace=namespace, name=name).first()
    if model is not None and model.deleted_at is None:
        raise NameTaken(f"There is a model {namespace.name}/{name} already.", field="name")
    if model is None:
        model = RegisteredModel(namespace=namespace, name=name, created_by=by.account)
    revived = model.deleted_at is not None
    model.deleted_at = None
    model.task, model.description, model.card, model.tags = task, description, card, tags or {}
    model.save()
    record(
        "model.created",
        subject=model,
        by=by,
        namespace=namespace,
        after={"name": name, "task": task, "revived": revived},
    )
    return model


def ensure_model(
    *, namespace: Namespace, name: str, by: Principal, **about: Any
) -> tuple[RegisteredModel, bool]:
    """The model of that name, and whether this call made it (with `about`: task, description, card, tags).

    Somebody else making it at the same moment is no error. Raises Forbidden, InvalidInput.
    """
    rows = RegisteredModel.objects.select_related("namespace").filter(
        namespace=namespace, name=name, deleted_at=None
    )
    found = rows.first()
    if found is not None:
        return found, False
    try:
        return create_model(namespace=namespace, name=name, by=by, **about), True
    except (IntegrityError, NameTaken):
        return rows.get(), False


@transaction.atomic
def edit_model(*, model: RegisteredModel, by: Principal, **changes: Any) -> RegisteredModel:
    """Change task, description, card, intended and excluded use, risk tier, or tags. In tags, the keys given are
    set, and removed when null. The risk tier, by which policies go, is changed by who may edit those.

    An edit that changes nothing records nothing. Raises Forbidden, InvalidInput.
    """
    check_can(by, Permission.MODEL_EDIT, model.namespace)
    if "risk_tier" in changes:
        check_can(by, Permission.POLICY_EDIT, model.namespace)
    rows = RegisteredModel.objects.select_for_update(no_key=True, of=("self",)).select_related("namespace")
    row: RegisteredModel = rows.get(pk=model.pk)
    _edit("model.edited", row, row.namespace, by, EDITABLE, changes)
    return row


@transaction.atomic
def edit_version(*, version: ModelVersion, by: Principal, **changes: Any) -> ModelVersion:
    """Change the description or tags of a version: all that may change about it by hand.

    In tags, the keys given are set, and removed when null. Raises Forbidden, InvalidInput.
    """
    check_can(by, Permission.VERSION_TAG, version.model.namespace)
    rows = ModelVersion.objects.select_for_update(no_key=True, of=("self",))
    row: ModelVersion = rows.select_related("model__namespace").get(pk=version.pk)
    _edit("version.edited", row, row.model.namespace, by, ("description", "tags"), changes)
    return row


def merged(tags: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Tags after a change: keys given are set, null takes a key away."""
    after = {**tags, **changes}
    return {key: value for key, value in after.items() if value is not None}


def _edit(
    event: str,
    row: RegisteredModel | ModelVersion,
    namespace: Namespace,
    by: Principal,
    editable: tuple[str, ...],
    changes: dict[str, Any],
) -> None:
    if unknown := sorted(set(changes) - set(editable)):
        raise InvalidInput(f"{unknown[0]} cannot be changed; {', '.join(editable)} can.", field=unknown[0])
    before, after = {}, {}
    for name, value in changes.items():
        old = getattr(row, name)
        new = merged(old, value) if name == "tags" else value
        if new != old:
            before[name], after[name] = old, new
            setattr(row, name, new)
    if after:
        row.save(update_fields=sorted(after))
        record(event, subject=row, by=by, namespace=namespace, before=before, after=after)
