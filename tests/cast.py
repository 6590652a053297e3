"""The named cast: people with their roles in a fresh namespace, so a test can ask "and the stranger?"."""

from __future__ import annotations

import copy
import functools
import secrets
from dataclasses import dataclass, field

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient, ForceAuthClientHandler

from registry.actions.people import create_user, issue_token
from registry.actions.roles import create_namespace, grant_role
from registry.models import SYSTEM, Namespace, Principal, ServiceToken, User
from registry.roles import BY_TWO, Role

ROLES = {
    "ada": Role.NAMESPACE_ADMIN,
    "ben": Role.DATA_SCIENTIST,
    "eve": Role.ML_ENGINEER,
    "cora": Role.PRODUCTION_OPERATOR,
    "otto": Role.AUDITOR,
    "vera": Role.VIEWER,
    "ci": Role.DATA_SCIENTIST,  # a service account that ada answers for
}


@functools.cache
def _handler() -> ForceAuthClientHandler:
    """One for all clients: each of its own would look for every static file again, which takes longer than a call."""
    return ForceAuthClientHandler(enforce_csrf_checks=False)


@dataclass
class Cast:
    """`namespace` is theirs. mallory holds every right, but in `elsewhere` only."""

    namespace: Namespace
    elsewhere: Namespace
    people: dict[str, User]
    tokens: dict[str, ServiceToken] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def user(self, name: str) -> User:
        """The account of `ada`, `ben`, ... (its user name has a suffix, so that tests may commit)."""
        return self.people[name]

    def principal(self, name: str) -> Principal:
        """For calling actions."""
        return Principal(user=self.people[name])

    def token(self, name: str) -> str:
        """The secret of a real token; made at the first call."""
        if name not in self.secrets:
            row, secret = issue_token(user=self.people[name], name="test", by=SYSTEM)
            self.tokens[name], self.secrets[name] = row, secret
        return self.secrets[name]

    def client(self, name: str | None) -> APIClient:
        """A REST client with that person's token; without a name, nobody's."""
        client = APIClient()
        client.handler = _handler()
        if name is not None:
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.token(name)}")
        return client


def hold_role(namespace: Namespace, user: User, role: str) -> None:
    """Give somebody a role alone, as an administrator of the platform may, who is gone afterwards."""
    if role not in BY_TWO:
        grant_role(namespace=namespace, user=user, role=role, by=SYSTEM)
        return
    root = create_user(username=f"root-{secrets.token_hex(6)}", by=SYSTEM)
    root.is_superuser = True
    root.save(update_fields=["is_superuser"])
    grant_role(namespace=namespace, user=user, role=role, by=Principal(user=root))
    root.is_superuser = root.is_active = False
    root.save(update_fields=["is_superuser", "is_active"])


def make_cast() -> Cast:
    """A new namespace with its people, for tests that need more than one or commit."""
    suffix = secrets.token_hex(4)
    namespace = create_namespace(name=f"team-{suffix}", by=SYSTEM)
    elsewhere = create_namespace(name=f"elsewhere-{suffix}", by=SYSTEM)
    people: dict[str, User] = {}
    for name, role in ROLES.items():
        owner = people["ada"] if name == "ci" else None
        people[name] = create_user(username=f"{name}-{suffix}", owner=owner, by=SYSTEM)
        hold_role(namespace, people[name], role)
    people["mallory"] = create_user(username=f"mallory-{suffix}", by=SYSTEM)
    for role in Role:
        hold_role(elsewhere, people["mallory"], role)
    return Cast(namespace=namespace, elsewhere=elsewhere, people=people)


@pytest.fixture(scope="session", autouse=True)
def standing_cast(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Cast:
    """A cast that is committed, for all tests that are rolled back: to make one takes longer than most of them."""
    with django_db_blocker.unblock():
        return make_cast()


@pytest.fixture
def cast(db: None, standing_cast: Cast) -> Cast:
    """The cast in a namespace of its own. What a test that is rolled back does to it, the next one does not see."""
    if not connection.in_atomic_block:
        return make_cast()
    return copy.deepcopy(standing_cast)
