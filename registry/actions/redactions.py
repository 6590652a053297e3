"""Taking out text that should never have arrived: one person asks, another decides."""

from __future__ import annotations

import itertools
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.journal.enqueue import enqueue
from registry.models import Namespace, Principal, Redaction, RedactionPlace
from registry.models.redactions import redactable_models
from registry.permissions import check_can
from registry.redaction import places as standing
from registry.redaction.marks import digest_of
from registry.redaction.places import Place, Stays
from registry.roles import Permission
from registry.tasks.redactions import remove_redacted_files

MOST_PLACES = 10_000
LONGEST_REASON = 4_000
APPROVE, REJECT = "approve", "reject"


class OwnRedaction(Forbidden):
    """Who asked, and whoever answers for the account that did, do not decide."""

    code = "own-redaction"


class RedactionIsDecided(DomainError):
    """It was approved or rejected already."""

    code = "redaction-is-decided"


class NothingToRedact(DomainError):
    """The text stands nowhere that can be redacted."""

    code = "nothing-to-redact"


@dataclass(frozen=True)
class Named:
    """A place as somebody names it: a run's `command`, path [2]."""

    kind: str
    id: str
    field: str
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class Found:
    """Where a text stands: what a redaction would take out, whether there is more than one takes, and what would
    stay."""

    places: list[Place]
    stays: list[Stays]
    more: bool = False


def find_text(*, namespace: Namespace, text: str, by: Principal) -> Found:
    """Where a text stands in the namespace; nothing is written, the text least of all.

    Raises Forbidden, InvalidInput, StoreUnavailable.
    """
    check_can(by, Permission.REDACTION_ASK, namespace)
    _check_text(text)
    found = list(itertools.islice(standing.search(namespace, text), MOST_PLACES + 1))
    stays = standing.what_stays(namespace, text)
    return Found(found[:MOST_PLACES], stays, more=len(found) > MOST_PLACES)


@transaction.atomic
def ask_redaction(
    *,
    namespace: Namespace,
    reason: str,
    by: Principal,
    text: str | None = None,
    places: Sequence[Named] = (),
) -> Redaction:
    """Ask for a text to be taken out wherever it stands, or for the texts at named places. Nothing changes yet.
    Of a text that stands in more than MOST_PLACES, these are the first, and the redaction says that there is more.

    Raises Forbidden, NotVisible, InvalidInput, NothingToRedact, StoreUnavailable.
    """
    check_can(by, Permission.REDACTION_ASK, namespace)
    _check_reason(reason)
    if (text is None) == (not places):
        raise InvalidInput("Give the text to find, or the places: one of the two.", field="places")
    if text is not None:
        _check_text(text)
        standings = standing.search(namespace, text)
    else:
        standings = _named(namespace, places)
    found = list(itertools.islice(standings, MOST_PLACES + 1))
    more, found = len(found) > MOST_PLACES, found[:MOST_PLACES]
    if not found:
        raise NothingToRedact(f"The text stands nowhere in {namespace.name} that can be redacted.")
    if any(
        len(held) >= standing.SHORTEST and held in reason for held in {text or "", *(p.text for p in found)}
    ):
        raise InvalidInput("The reason holds what is to be taken out, and would keep it.", field="reason")
    counted = Counter(
        f"{p.kind}.{standing.FILE if p.part == RedactionPlace.Part.FILE else p.column}" for p in found
    )
    row = Redaction.objects.create(
        namespace=namespace,
        reason=reason,
        fields=dict(sorted(counted.items())),
        more=more,
        salt=secrets.token_hex(32),
        asked_by=by.account,
    )
    tables = {kind: model._meta.db_table for kind, model in redactable_models().items()}
    RedactionPlace.objects.bulk_create(
        RedactionPlace(
            redaction=row,
            kind=place.kind,
            table_name=tables[place.kind],
            row_id=place.row,
            column_name=place.column,
            path=list(place.path),
            part=place.part,
            digest=digest_of(row.salt, place.text),
        )
        for place in found
    )
    record("redaction.asked", subject=row, by=by, namespace=namespace, reason=reason, after=told(row))
    return row


@transaction.atomic
def decide_redaction(*, redaction: Redaction, verdict: str, reason: str = "", by: Principal) -> Redaction:
    """Approve, which takes the texts out at once and for good, or reject. Saying the same again changes nothing.

    Raises Forbidden, OwnRedaction, RedactionIsDecided, InvalidInput.
    """
    check_can(by, Permission.REDACTION_DECIDE, redaction.namespace)
    if verdict not in (APPROVE, REJECT):
        raise InvalidInput("A decision is approve or reject.", field="verdict")
    if verdict == REJECT:
        _check_reason(reason)
    elif len(reason) > LONGEST_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
    rows = Redaction.objects.select_for_update(of=("self",)).select_related(
        "namespace", "asked_by", "decided_by"
    )
    row: Redaction = rows.get(pk=redaction.pk)
    check_another(row, by)
    if row.state != Redaction.State.ASKED:
        became = Redaction.State.APPLIED if verdict == APPROVE else Redaction.State.REJECTED
        if (row.decided_by_id, row.state) == (by.account.pk, became):
            return row
        who = row.decided_by.get_username() if row.decided_by else "somebody"
        raise RedactionIsDecided(f"{who} decided on this already: it is {row.state}.")
    row.state = Redaction.State.APPROVED if verdict == APPROVE else Redaction.State.REJECTED
    row.decided_by, row.decided_at, row.decision_reason = by.account, timezone.now(), reason
    row.save(update_fields=["state", "decided_by", "decided_at", "decision_reason"])
    if verdict == REJECT:
        record(
            "redaction.rejected", subject=row, by=by, namespace=row.namespace, reason=reason, after=told(row)
        )
        return row
    with connection.cursor() as cursor:
        # The only way in which anything here changes: the database checks again who asked and who decided.
        cursor.execute("SELECT registry_redact(%s)", [row.pk])
    row = rows.get(pk=row.pk)
    record(
        "fact.redacted",
        subject=row,
        by=by,
        namespace=row.namespace,
        reason=reason or row.reason,
        after={**told(row), "asked_by": row.asked_by.get_username(), **_outcome(row)},
    )
    if row.places.filter(part=RedactionPlace.Part.FILE).exists():
        enqueue(remove_redacted_files.name)
    return row


def check_another(redaction: Redaction, by: Principal) -> None:
    """That the caller is a person, and neither who asked nor somebody who answers for that account. Raises
    Forbidden, OwnRedaction."""
    decider, asker = by.account, redaction.asked_by
    if decider.is_service:
        raise Forbidden("A redaction is decided by a person, not by a service account.")
    if decider.pk in {asker.pk, asker.owner_id} or decider.owner_id == asker.pk:
        raise OwnRedaction(
            "You, or an account that you answer for, asked for this: somebody else must decide."
        )


def told(redaction: Redaction) -> dict[str, Any]:
    """What the journal and the lists tell of a redaction: how many places, in which fields, and whether there were
    more of them."""
    return {
        "places": sum(redaction.fields.values()),
        "fields": redaction.fields,
        "more": redaction.more,
    }


def _outcome(redaction: Redaction) -> dict[str, Any]:
    outcome = redaction.outcome or {}
    return {"redacted": outcome.get("redacted", 0), "changed_since": len(outcome.get("changed", []))}


def _named(namespace: Namespace, places: Sequence[Named]) -> Iterator[Place]:
    seen: set[tuple[Any, ...]] = set()
    for position, each in enumerate(places):
        try:
            found = standing.named(namespace, kind=each.kind, row=each.id, column=each.field, path=each.path)
        except DomainError as refusal:
            refusal.field = f"places[{position}].{refusal.field or 'id'}"
            raise
        for place in found:
            key = (place.kind, place.row, place.column, place.path)
            if key not in seen:
                seen.add(key)
                yield place


def _check_text(text: str) -> None:
    if not standing.SHORTEST <= len(text) <= standing.LONGEST:
        raise InvalidInput(
            f"Give {standing.SHORTEST} to {standing.LONGEST} characters to look for.", field="find"
        )


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidInput(
            "Give a reason: the journal keeps it, and the other person reads it.", field="reason"
        )
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
