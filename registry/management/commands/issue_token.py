"""Print a token for a user with a role in a namespace, and nothing else."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from registry.actions.people import create_user, issue_token
from registry.actions.roles import create_namespace, grant_role
from registry.errors import DomainError
from registry.models import SYSTEM, Namespace, User
from registry.roles import BY_TWO, Permission, Role


def _become_owner(role: str) -> None:
    """From here on this process is the owner of the database, as migrations are. Raises CommandError.

    A role that takes two is given by one who has the host, and the database asks for more than their word: the
    login that only the host has.
    """
    owner, connection = settings.DATABASE_OWNER, connections[DEFAULT_DB_ALIAS]
    if owner is None:
        raise CommandError(
            f"Set DATABASE_OWNER_URL: alone, {role} is given by the owner of the database. Or let an admin of the "
            "namespace ask for it, and somebody else confirm it."
        )
    connection.close()
    connection.settings_dict.update({key: owner[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME")})


class Command(BaseCommand):
    help = "Print a new token for a user with a role in a namespace (and nothing else, so it can be piped)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--namespace", required=True)
        parser.add_argument("--role", required=True, choices=[role.value for role in Role])
        parser.add_argument("--user", required=True)
        parser.add_argument(
            "--create", action="store_true", help="make the namespace and the user when missing"
        )
        parser.add_argument("--name", default="issue_token", help="what to call the token")
        parser.add_argument(
            "--scope",
            action="append",
            choices=[permission.value for permission in Permission],
            metavar="PERMISSION",
            help="the token may do this and what other --scope name, and nothing else its user may",
        )
        parser.add_argument(
            "--owner", help="with --create: the user is a service account that this person owns"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["role"] in BY_TWO:
            _become_owner(options["role"])
        with transaction.atomic():
            self._issue(options)

    def _issue(self, options: dict[str, Any]) -> None:
        try:
            namespace = self._namespace(options["namespace"], options["create"])
            user = self._user(options["user"], options["create"], options["owner"])
            grant_role(
                namespace=namespace,
                user=user,
                role=options["role"],
                by=SYSTEM,
                reason="Given at the server's command line.",
            )
            _, secret = issue_token(
                user=user,
                name=options["name"],
                namespace=namespace,
                scopes=options["scope"],
                by=SYSTEM,
            )
        except DomainError as refusal:
            raise CommandError(refusal.sentence) from refusal
        except ValidationError as refusal:
            raise CommandError("; ".join(refusal.messages)) from refusal
        self.stdout.write(secret)

    def _namespace(self, name: str, create: bool) -> Namespace:
        found = Namespace.objects.filter(name=name).first()
        if found is None and not create:
            raise CommandError(f"There is no namespace {name}; --create makes it.")
        return found or create_namespace(name=name, by=SYSTEM)

    def _user(self, name: str, create: bool, owner: str | None) -> User:
        found = User.objects.filter(username=name).first()
        if found is None and not create:
            raise CommandError(f"There is no user {name}; --create makes them.")
        if found is None and owner:
            answerable = User.objects.filter(username=owner).first()
            if answerable is None:
                raise CommandError(f"There is no user {owner} to own the service account.")
            return create_user(username=name, owner=answerable, by=SYSTEM)
        return found or create_user(username=name, by=SYSTEM)
