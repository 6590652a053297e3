"""Impact over REST: what something that turned out bad went into."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lineage.api.drawing import Drawing
from lineage.api.nodes import limit_of
from lineage.impact import BEGINNING, MOST_COMMITS, MOST_OTHERS, WHAT, Impact, Question, impact
from lineage.occurrences import uuid_in
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import decode, next_page, not_ours
from registry.models import Principal


def _texts(most: int) -> Any:
    return serializers.ListField(
        child=serializers.CharField(max_length=700), max_length=most, default=list, allow_empty=True
    )


class QuestionBody(Body):
    """What is doubted, as in the query of a GET, with lists."""

    dataset = _texts(MOST_OTHERS)
    commit = _texts(MOST_COMMITS)
    package = _texts(MOST_OTHERS)
    image = _texts(MOST_OTHERS)
    base = _texts(MOST_OTHERS)


def question_of(given: dict[str, list[str]]) -> Question:
    """The question of a body that was checked, or of a query."""
    return Question(
        datasets=given["dataset"],
        commits=given["commit"],
        packages=given["package"],
        images=given["image"],
        bases=given["base"],
    )


def impact_json(found: Impact, principal: Principal) -> dict[str, Any]:
    """The page's versions, each with its stage and the way to it, beside how many there are in every stage."""
    on_the_ways = {node for each in found.affected for node in each.way}
    drawing = Drawing(on_the_ways.union(found.starts), principal)
    return {
        "from": {"count": found.sources, "nodes": [drawing.node(node) for node in found.starts]},
        "stages": found.stages,
        "restricted": found.restricted,
        "notes": found.notes,
        "results": [
            {
                **drawing.node(each.id),
                "reference": drawing.node(each.id)["label"],
                "stage": each.stage,
                "distance": len(each.way) - 1,
                "path": [drawing.node(node) for node in each.way],
            }
            for each in found.affected
        ],
    }


class ImpactOf(Endpoint):
    """Every version that something went into."""

    # A POST that only asks: its body is a question too long for an address.
    repeatable = True

    @extend_schema(
        operation_id="impact",
        parameters=[
            *(OpenApiParameter(name, str, many=True, description=told) for name, told in WHAT.items()),
            OpenApiParameter("limit", int, description="1 to 1,000"),
            OpenApiParameter("cursor", str),
        ],
        responses=dict,
    )
    def get(self, request: Request) -> Response:
        """The versions that datasets, commits, packages, images or bases went into, at any distance, by stage.

        `stages` and `restricted` (versions that you may not see) count all of them; `results` come by pages, in the
        order of their ids, each with a shortest path from what was asked.
        """
        return self._answer(request, {name: request.query_params.getlist(name) for name in WHAT})

    @extend_schema(operation_id="impact_of_many", request=QuestionBody, responses=dict)
    def post(self, request: Request) -> Response:
        """The same for a question that is too long for an address; `next` takes the same body. Changes nothing."""
        return self._answer(request, self.read(QuestionBody, request))

    def _answer(self, request: Request, given: dict[str, list[str]]) -> Response:
        limit = limit_of(request)
        after = BEGINNING
        if cursor := request.query_params.get("cursor"):
            if (place := uuid_in(str(decode(cursor, 1)[0]))) is None:
                raise not_ours()
            after = place
        found = impact(question_of(given), self.principal, after=after, most=limit)
        following = next_page(request, [str(found.affected[-1].id)], limit) if found.more else None
        return Response({**impact_json(found, self.principal), "next": following})
