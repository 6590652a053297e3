"""Having what nobody needs removed now, and not in an hour."""

from __future__ import annotations

from django.db import transaction

from registry.artifacts import garbage
from registry.artifacts.garbage import STORE, Plan
from registry.errors import Forbidden
from registry.journal import record
from registry.journal.enqueue import enqueue
from registry.models import Principal
from registry.tasks.artifacts import collect_garbage


@transaction.atomic
def request_collection(*, by: Principal) -> Plan:
    """Have a worker do what the plan says, which is returned. Raises Forbidden, StoreUnavailable."""
    if by.user is not None and not by.user.is_superuser:
        raise Forbidden("Only the platform's administrators have garbage collected: it is every namespace's.")
    planned = garbage.plan()
    record("garbage.requested", subject=STORE, by=by, namespace=None, after=planned.told())
    enqueue(collect_garbage.name)
    return planned
