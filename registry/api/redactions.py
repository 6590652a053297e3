"""Taking out text that should never have arrived. What is looked for is in the body of a call and kept nowhere."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.redactions import (
    APPROVE,
    REJECT,
    Found,
    Named,
    ask_redaction,
    decide_redaction,
    find_text,
    told,
)
from registry.api.shows import time_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import Principal, Redaction, RedactionPlace
from registry.models.redactions import field_in_words
from registry.permissions import can
from registry.redaction.marks import mark_of
from registry.redaction.places import FILE
from registry.roles import Permission

ROWS: QuerySet[Redaction] = Redaction.objects.select_related("namespace", "asked_by", "decided_by")
MOST_NAMED = 200


class StepField(serializers.Field):  # type: ignore[type-arg]
    """A key, or a position from 0."""

    def to_internal_value(self, data: Any) -> str | int:
        if isinstance(data, str) or (
            isinstance(data, int) and not isinstance(data, bool) and 0 <= data < 2**31
        ):
            return data
        raise serializers.ValidationError("A step is a key, or a position from 0.")


class PlaceBody(Body):
    kind = serializers.CharField(max_length=40)
    id = serializers.CharField(max_length=64)
    field = serializers.CharField(max_length=63)
    path = serializers.ListField(child=StepField(), max_length=64, default=list)


class FindBody(Body):
    find = serializers.CharField(max_length=10_000, trim_whitespace=False)


class RedactionBody(Body):
    reason = serializers.CharField(max_length=4000)
    find = serializers.CharField(max_length=10_000, trim_whitespace=False, required=False, allow_null=True)
    places = PlaceBody(many=True, required=False)

    def validate_places(self, places: list[Any]) -> list[Any]:
        if len(places) > MOST_NAMED:
            raise serializers.ValidationError(f"Name at most {MOST_NAMED} places, or send the text to find.")
        return places


class DecisionBody(Body):
    verdict = serializers.ChoiceField([APPROVE, REJECT])
    reason = serializers.CharField(max_length=4000, allow_blank=True, default="")


class Redactions(Endpoint):
    """The redactions of a namespace. Not kept for an Idempotency-Key: a digest of the body could be guessed from.
    Asked twice, the second finds other texts when it is approved, and leaves them."""

    repeatable = True

    @extend_schema(operation_id="list_redactions", responses=dict)
    def get(self, request: Request, namespace: str) -> Response:
        """Who asked for what to be taken out, who decided, and what came of it."""
        return page(
            request, ROWS.filter(namespace=self.namespace), redaction_json, order=("-asked_at", "-pk")
        )

    @extend_schema(operation_id="ask_redaction", request=RedactionBody, responses={201: dict})
    def post(self, request: Request, namespace: str) -> Response:
        """Ask for a text to be taken out wherever it stands (`find`), or for the texts at `places`."""
        given = self.read(RedactionBody, request)
        row = ask_redaction(
            namespace=self.namespace,
            reason=given["reason"],
            text=given.get("find"),
            places=[Named(**{**each, "path": tuple(each["path"])}) for each in given.get("places", [])],
            by=self.principal,
        )
        return Response(whole_json(ROWS.get(pk=row.pk), self.principal), status=201)


class FindText(Endpoint):
    """A search that writes nothing."""

    repeatable = True

    @extend_schema(operation_id="find_text", request=FindBody, responses=dict)
    def post(self, request: Request, namespace: str) -> Response:
        """Every place in the namespace at which a text stands, and those where it would stay."""
        text = self.read(FindBody, request)["find"]
        return Response(found_json(find_text(namespace=self.namespace, text=text, by=self.principal)))


class OneRedaction(Endpoint):
    """One redaction."""

    noun = (ROWS, "redaction")

    @extend_schema(operation_id="read_redaction", responses=dict)
    def get(self, request: Request, id: Any) -> Response:
        """With its places, their digests, and, for auditors, the salt: what stood there can be proved by both."""
        return Response(whole_json(self.row, self.principal))


class DecideRedaction(Endpoint):
    """The decision by somebody else."""

    noun = (ROWS, "redaction")

    @extend_schema(operation_id="decide_redaction", request=DecisionBody, responses=dict)
    def post(self, request: Request, id: Any) -> Response:
        """Approve: the texts are taken out at once, for good. Or reject, with a reason."""
        row = decide_redaction(redaction=self.row, by=self.principal, **self.read(DecisionBody, request))
        return Response(whole_json(ROWS.get(pk=row.pk), self.principal))


def redaction_json(row: Redaction) -> dict[str, Any]:
    """A redaction in a list."""
    return {
        "id": str(row.pk),
        "namespace": row.namespace.name,
        "state": row.state,
        "reason": row.reason,
        "asked_by": row.asked_by.get_username(),
        "asked_at": time_json(row.asked_at),
        "decided_by": row.decided_by.get_username() if row.decided_by else None,
        "decided_at": time_json(row.decided_at),
        "decision_reason": row.decision_reason,
        **told(row),
        "redacted": (row.outcome or {}).get("redacted", 0),
        "changed_since": len((row.outcome or {}).get("changed", [])),
    }


def whole_json(row: Redaction, principal: Principal) -> dict[str, Any]:
    """A redaction with its places. The salt is for those who verify: with it, a short text can be guessed."""
    verifies = can(principal, Permission.JOURNAL_VERIFY, row.namespace_id)
    changed = set((row.outcome or {}).get("changed", []))
    return {
        **redaction_json(row),
        "where": [
            {
                **_place_json(place.kind, place.row_id, place.column_name, place.path, place.part),
                "digest": place.digest,
                "mark": mark_of(place.digest) if place.part != RedactionPlace.Part.FILE else None,
                "changed_since": place.pk in changed,
            }
            for place in row.places.order_by("pk")
        ],
        "salt": row.salt if verifies else None,
    }


def found_json(found: Found) -> dict[str, Any]:
    """Where a text stands."""
    return {
        "where": [_place_json(p.kind, p.row, p.column, list(p.path), p.part) for p in found.places],
        "more": found.more,
        "stays": [{"kind": s.kind, "id": s.row, "field": s.column, "why": s.why} for s in found.stays],
    }


def _place_json(kind: str, row: str, column: str, path: list[str | int], part: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "id": row,
        "field": FILE if part == RedactionPlace.Part.FILE else column,
        "path": path,
        "part": part,
        "words": field_in_words(column, path, part),
    }
