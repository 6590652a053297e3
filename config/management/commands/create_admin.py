"""`manage.py create_admin`: the first administrator, once."""

from typing import Any

from django.core.management.base import BaseCommand

from registry.actions.people import create_admin


class Command(BaseCommand):
    help = "Create the administrator `admin` and print a one-time password, once."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if password := create_admin():
            self.stdout.write(password)
