"""`manage.py migrate`: Django's, as the owner role, then the runtime role's grants and the permissions."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connections

from config.grants import grant_runtime_role
from registry.actions.people import create_admin
from registry.actions.roles import sync_permissions


class Command(migrate.Command):
    help = f"{migrate.Command.help} Runs as the owner, then grants the runtime role its rights."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--create-admin",
            action="store_true",
            help="as create_admin does, when there is no administrator yet",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        owner = settings.DATABASE_OWNER
        if owner is None:
            raise CommandError(
                "Set DATABASE_OWNER_URL: migrations run as the role that owns the database, "
                "never as the runtime role of DATABASE_URL."
            )
        connection = connections[DEFAULT_DB_ALIAS]
        runtime_role = str(connection.settings_dict["USER"])
        if owner["USER"] == runtime_role:
            raise CommandError("DATABASE_OWNER_URL and DATABASE_URL name the same role: they must be two.")
        connection.close()
        connection.settings_dict.update(
            {key: owner[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME")}
        )
        super().handle(*args, **options)
        if options["plan"] or options["check_unapplied"]:
            return
        grant_runtime_role(DEFAULT_DB_ALIAS, runtime_role)
        sync_permissions()
        if options["create_admin"] and (password := create_admin()):
            self.stdout.write(password)
