"""Print STATES.md."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from lifecycle.states_page import render


class Command(BaseCommand):
    help = "Print the page of states (lifecycle/STATES.md), made from the tables."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(render(), ending="")
