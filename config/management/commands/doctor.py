"""`manage.py doctor`: is everything Assay depends on there, and does it behave?"""

import dataclasses
import itertools
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.doctor import broker, database, webhooks
from config.doctor.findings import Finding, examine
from config.doctor.store import Probe

_MARKS = {"ok": "ok  ", "fail": "FAIL", "untried": "-   "}


class Command(BaseCommand):
    help = "Test the database and both its roles, the broker and the object store; exit 1 when a check fails."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        probe = Probe.from_settings()
        findings = []
        try:
            for finding in examine(
                itertools.chain(database.checks(), webhooks.checks(), broker.checks(), probe.checks())
            ):
                findings.append(finding)
                if not options["json"]:
                    self._print(finding)
        finally:
            probe.clean_up()
        bad = [finding for finding in findings if finding.verdict != "ok"]
        if options["json"]:
            rows = [dataclasses.asdict(finding) for finding in findings]
            self.stdout.write(json.dumps({"ok": not bad, "findings": rows}, indent=1))
        else:
            summary = (
                f"{len(bad)} of {len(findings)} checks failed or were not tried." if bad else "All is well."
            )
            self.stdout.write((self.style.ERROR if bad else self.style.SUCCESS)(summary))
        if bad:
            sys.exit(1)

    def _print(self, finding: Finding) -> None:
        style = {"ok": self.style.SUCCESS, "fail": self.style.ERROR}.get(finding.verdict, self.style.WARNING)
        row = f"{finding.area:<9} {finding.check:<32} {finding.sentence}"
        self.stdout.write(f"{style(_MARKS[finding.verdict])} {row}")
        if finding.hint:
            self.stdout.write(f"     {'':<9} {'':<32} -> {finding.hint}")
