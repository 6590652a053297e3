"""Namespaces, who holds which role in them, and their groups."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.roles import (
    LONGEST_GROUP,
    LONGEST_REASON,
    Outcome,
    create_group,
    create_namespace,
    edit_namespace,
    grant_role,
    own_groups,
    revoke_role,
)
from registry.api.shows import namespace_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body, NameField
from registry.http.paging import page
from registry.models import Namespace, RoleGroup, User
from registry.models.visibility import namespaces_where
from registry.permissions import known_user
from registry.roles import Permission

ANSWERS = {Outcome.GRANTED: 201, Outcome.HELD: 200, Outcome.ASKED: 202}


class NamespaceBody(Body):
    name = NameField()
    description = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)


class NamespaceEditBody(Body):
    description = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    clean_downloads_only = serializers.BooleanField(
        required=False, help_text="keep versions from everybody that a scan has not found clean"
    )


class MemberBody(Body):
    user = serializers.CharField(max_length=150)
    role = serializers.CharField(max_length=LONGEST_GROUP, help_text="a role, or a group of the namespace's")
    reason = serializers.CharField(max_length=LONGEST_REASON, required=False, allow_blank=True, default="")


class GroupBody(Body):
    name = serializers.CharField(max_length=LONGEST_GROUP, help_text="such as risk")


class Namespaces(Endpoint):
    """The namespaces that the caller can see; new ones are made by the platform's administrators."""

    @extend_schema(operation_id="list_namespaces", responses=dict)
    def get(self, request: Request) -> Response:
        mine = namespaces_where(self.principal, Permission.NAMESPACE_READ)
        return page(request, Namespace.objects.filter(pk__in=mine), namespace_json, order=("name",))

    @extend_schema(operation_id="create_namespace", request=NamespaceBody, responses={201: dict})
    def post(self, request: Request) -> Response:
        body = self.read(NamespaceBody, request)
        return Response(namespace_json(create_namespace(by=self.principal, **body)), status=201)


class OneNamespace(Endpoint):
    """One namespace."""

    @extend_schema(operation_id="get_namespace", responses=dict)
    def get(self, request: Request, namespace: str) -> Response:
        return Response(namespace_json(self.namespace))

    @extend_schema(operation_id="edit_namespace", request=NamespaceEditBody, responses=dict)
    def patch(self, request: Request, namespace: str) -> Response:
        body = self.read(NamespaceEditBody, request)
        return Response(namespace_json(edit_namespace(namespace=self.namespace, by=self.principal, **body)))


class Members(Endpoint):
    """Who holds which role."""

    @extend_schema(operation_id="list_members", responses=dict)
    def get(self, request: Request, namespace: str) -> Response:
        rows = (
            User.groups.through.objects.filter(group__rolegroup__namespace=self.namespace)
            .select_related("user", "group__rolegroup")
            .order_by("pk")
        )
        return page(request, rows, _member_json, order=("pk",))

    @extend_schema(operation_id="grant_role", request=MemberBody, responses={200: dict, 201: dict, 202: dict})
    def post(self, request: Request, namespace: str) -> Response:
        """Give a role. 200: it was held; 202: it takes two, and somebody else confirms it (`.../grants`)."""
        body = self.read(MemberBody, request)
        outcome = grant_role(
            namespace=self.namespace,
            user=known_user(body["user"]),
            role=body["role"],
            reason=body["reason"],
            by=self.principal,
        )
        told = {"user": body["user"], "role": body["role"], "outcome": outcome}
        return Response(told, status=ANSWERS[outcome])


class OneMember(Endpoint):
    """One person's one role."""

    @extend_schema(operation_id="revoke_role", responses={204: None})
    def delete(self, request: Request, namespace: str, user: str, role: str) -> Response:
        revoke_role(namespace=self.namespace, user=known_user(user), role=role, by=self.principal)
        return Response(status=204)


class Groups(Endpoint):
    """The groups of people that a namespace keeps beside the roles: policies ask for approvals by them."""

    @extend_schema(operation_id="list_groups", responses=dict)
    def get(self, request: Request, namespace: str) -> Response:
        """Each group with its people; they are put in and out like members with a role."""
        rows = own_groups(self.namespace).prefetch_related("group__user_set")
        return page(request, rows, _group_json, order=("role",))

    @extend_schema(operation_id="create_group", request=GroupBody, responses={201: dict})
    def post(self, request: Request, namespace: str) -> Response:
        made = create_group(namespace=self.namespace, by=self.principal, **self.read(GroupBody, request))
        return Response(_group_json(made), status=201)


def _group_json(tied: RoleGroup) -> dict[str, Any]:
    return {"name": tied.role, "people": sorted(user.get_username() for user in tied.group.user_set.all())}


def _member_json(membership: Any) -> dict[str, Any]:
    tied: RoleGroup = membership.group.rolegroup
    return {
        "user": membership.user.get_username(),
        "display_name": membership.user.get_full_name(),
        "service": membership.user.is_service,
        "role": tied.role,
    }
