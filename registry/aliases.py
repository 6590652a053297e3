"""Where aliases point, and where they pointed.

Who may move them is decided by the callers: `registry.actions` for people,
`lifecycle.promotions` for protected ones.
"""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from registry.journal import record
from registry.models import Alias, AliasMove, ModelVersion, Principal, RegisteredModel

PRODUCTION = "production"


def point(
    *,
    model: RegisteredModel,
    name: str,
    version: ModelVersion,
    by: Principal,
    protected: bool = False,
    reason: str = "",
    at: datetime | None = None,
) -> Alias:
    """Let the alias point at the version, and write its move and its event.

    The caller holds the model's row lock, in a transaction. Pointing where it points already changes nothing.
    """
    now = at or timezone.now()
    alias: Alias | None = Alias.objects.select_related("version").filter(model=model, name=name).first()
    before = alias.version if alias else None
    if alias and before and before.pk == version.pk and alias.protected == protected:
        return alias
    if alias is None:
        alias = Alias(model=model, name=name)
    alias.version, alias.protected, alias.moved_at = version, protected, now
    alias.save()
    _moved(model, name, before, version, by, reason, now)
    return alias


def take_away(
    *,
    model: RegisteredModel,
    name: str,
    by: Principal,
    reason: str = "",
    at: datetime | None = None,
) -> bool:
    """Remove the alias, and write that. False: there was none. The caller holds the model's row lock."""
    alias: Alias | None = Alias.objects.select_related("version").filter(model=model, name=name).first()
    if alias is None:
        return False
    alias.delete()
    _moved(model, name, alias.version, None, by, reason, at or timezone.now())
    return True


def _moved(
    model: RegisteredModel,
    name: str,
    before: ModelVersion | None,
    after: ModelVersion | None,
    by: Principal,
    reason: str,
    now: datetime,
) -> None:
    AliasMove.objects.create(
        model=model, name=name, from_version=before, to_version=after, by=by.user, at=now
    )
    record(
        "alias.moved",
        subject=model,
        by=by,
        namespace=model.namespace,
        reason=reason,
        before={"alias": name, "version": before.number if before else None},
        after={"alias": name, "version": after.number if after else None},
        at=now,
    )
