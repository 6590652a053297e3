"""The reviewers designated on one model."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.reviewers import designate_reviewer, dismiss_reviewer
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.permissions import designated_reviewers, known_user


class ReviewerBody(Body):
    user = serializers.CharField(max_length=150)


class Reviewers(Endpoint):
    """Whose approval counts for this model, beside those who decide in the namespace."""

    @extend_schema(operation_id="list_reviewers", responses=dict)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        people = sorted(user.get_username() for user in designated_reviewers(self.model(name)))
        return Response({"results": [{"user": each} for each in people], "next": None})

    @extend_schema(operation_id="designate_reviewer", request=ReviewerBody, responses={200: dict, 201: dict})
    def post(self, request: Request, namespace: str, name: str) -> Response:
        """Designate a person who holds a role in the namespace (201); 200 when they were already."""
        body = self.read(ReviewerBody, request)
        model = self.model(name)
        new = designate_reviewer(model=model, user=known_user(body["user"]), by=self.principal)
        return Response(body, status=201 if new else 200)


class OneReviewer(Endpoint):
    """One person's designation."""

    @extend_schema(operation_id="dismiss_reviewer", responses={204: None})
    def delete(self, request: Request, namespace: str, name: str, user: str) -> Response:
        dismiss_reviewer(model=self.model(name), user=known_user(user), by=self.principal)
        return Response(status=204)
