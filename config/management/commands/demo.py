"""`manage.py demo`: the main job, from nothing, shown and checked."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.demo.run import run
from config.environment import home


class Command(BaseCommand):
    help = "Train, capture, publish, evaluate, promote, trace, roll back and archive, and check every claim."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="the web port (8000, or a free one when that is taken)")

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(run(home(), options["port"]))
