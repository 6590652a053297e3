"""Which tables never change: the list the grants, the triggers and the tests are all made from."""

from __future__ import annotations

from typing import ClassVar

from django.apps import apps
from django.db import models

from registry.models.triggers import AppendOnly


class AppendOnlyModel(models.Model):
    """Rows are facts: inserted once, never changed or deleted, by trigger and by privilege.

    A subclass declares its own Meta with `AppendOnlyModel.Meta` as base, or repeats `append_only` in triggers.
    """

    append_only: ClassVar[bool] = True

    class Meta:
        abstract = True
        triggers: ClassVar = [AppendOnly()]


class SealedModel(models.Model):
    """Rows may change until they are sealed (a version that is ready, a manifest that is sealed), by trigger."""

    sealable: ClassVar[bool] = True

    class Meta:
        abstract = True


def immutable_tables() -> list[str]:
    """Tables on which the runtime role holds neither UPDATE nor DELETE."""
    return sorted({m._meta.db_table for m in apps.get_models() if getattr(m, "append_only", False)})


def sealed_tables() -> list[str]:
    """Tables whose rows are frozen by trigger once they are sealed."""
    return sorted({m._meta.db_table for m in apps.get_models() if getattr(m, "sealable", False)})
