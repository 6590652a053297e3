"""Moving aliases by hand."""

from __future__ import annotations

from django.db import transaction

from registry.aliases import PRODUCTION, point, take_away
from registry.errors import DomainError, NotVisible
from registry.models import Alias, ModelVersion, Principal, RegisteredModel
from registry.permissions import check_can
from registry.references import check_alias, check_not_deleted
from registry.roles import Permission


class AliasIsProtected(DomainError):
    """This alias is moved by a promotion only."""

    code = "alias-is-protected"


class VersionIsNotReady(DomainError):
    """The version's bytes are not proven, so nothing may point at it."""

    code = "version-not-ready"


@transaction.atomic
def move_alias(*, model: RegisteredModel, name: str, version: ModelVersion, by: Principal) -> Alias:
    """Let an alias point at a ready version of the model, making it when it is new.

    Raises Forbidden, InvalidInput, AliasIsProtected, VersionIsNotReady, VersionDeleted.
    """
    check_can(by, Permission.ALIAS_MOVE, model.namespace)
    check_alias(name)
    locked = _lock(model, name)
    row = ModelVersion.objects.select_related("model__namespace").get(pk=version.pk, model=locked)
    check_not_deleted(row)
    if row.status != ModelVersion.Status.READY:
        raise VersionIsNotReady(f"{row.reference} is {row.status}: an alias points at ready versions only.")
    return point(model=locked, name=name, version=row, by=by)


@transaction.atomic
def delete_alias(*, model: RegisteredModel, name: str, by: Principal) -> None:
    """Take an alias away; its history stays. Raises Forbidden, NotVisible, AliasIsProtected."""
    check_can(by, Permission.ALIAS_MOVE, model.namespace)
    locked = _lock(model, name)
    if not take_away(model=locked, name=name, by=by):
        raise NotVisible(f"{locked} has no alias {name}.")


def _lock(model: RegisteredModel, name: str) -> RegisteredModel:
    """The model, locked so that moves of its aliases and stages queue up. Raises AliasIsProtected."""
    row: RegisteredModel = (
        RegisteredModel.objects.select_for_update(no_key=True, of=("self",))
        .select_related("namespace")
        .get(pk=model.pk)
    )
    if name == PRODUCTION or Alias.objects.filter(model=row, name=name, protected=True).exists():
        raise AliasIsProtected(
            f"{name} of {row} is moved by a promotion only: ask for one to {PRODUCTION}, or roll back."
        )
    return row
