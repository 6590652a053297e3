"""`manage.py up`: the whole of Assay on this machine, in one terminal."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.embedded.console import run
from config.environment import home


class Command(BaseCommand):
    help = (
        "Start Postgres, Valkey and an S3 store (each unless its URL is set), migrate, make the buckets, "
        "and run web, worker and beat until Ctrl-C."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="the web port (8000, or a free one when that is taken)")

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(run(home(), options["port"]))
