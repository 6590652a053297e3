"""Remove stored bytes that no version needs, or tell what would be removed."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat

from registry.artifacts import garbage
from registry.artifacts.storage import StoreUnavailable

WORDS = {
    "collect": ("removed", "would be removed", "blobs that nobody needed for longer than the grace"),
    "strays": ("removed", "would be removed", "objects that no blob stands for"),
    "condemn": ("condemned", "would be condemned", "blobs that nobody needs any more"),
}


class Command(BaseCommand):
    help = "Remove stored bytes that no version needs. What --dry-run tells is what a run does."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="tell, and change nothing")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of sentences")

    def handle(self, *args: Any, **options: Any) -> None:
        dry = options["dry_run"]
        try:
            plan = garbage.plan() if dry else garbage.collect_garbage()
        except StoreUnavailable as error:
            raise CommandError(error.sentence) from error
        if plan is None:
            raise CommandError("A collection is under way already: let it come to its end.")
        told = plan.told()
        if options["json"]:
            self.stdout.write(json.dumps(told))
            return
        for kind, (done, would, what) in WORDS.items():
            counts = told[kind]
            number = counts.get("blobs", counts.get("objects", 0))
            size = filesizeformat(counts["bytes"]).replace("\xa0", " ")
            self.stdout.write(f"{number} {what} ({size}) {would if dry else done}.")
