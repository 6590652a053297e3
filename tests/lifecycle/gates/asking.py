"""Asking one gate about a version, as a promotion by eve would."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from lifecycle.gates import GATES, Finding
from lifecycle.gates.kinds import Context
from lifecycle.models import Promotion
from registry.models import ModelVersion
from tests.cast import Cast


def ask(
    cast: Cast,
    version: ModelVersion,
    gate: str,
    incumbent: ModelVersion | None = None,
    /,
    *,
    target: str = "production",
    **parameters: Any,
) -> Finding:
    """What the gate says of the version beside what is in production."""
    promotion = Promotion(
        version=version, target=target, requested_by=cast.user("eve"), requested_at=timezone.now()
    )
    asked = GATES[gate]
    context = Context(promotion=promotion, version=version, incumbent=incumbent, now=timezone.now())
    return asked.evaluate(context, asked.checked(parameters, gate))
