"""The journal for operators: verify it, sign what waits, and print what is kept elsewhere."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.journal import checkpoints, notes
from registry.journal.checkpoints import JournalIsBroken
from registry.journal.verifying import Verified, verify


class Command(BaseCommand):
    help = "Verify the journal against its signed checkpoints; print the newest one, and the key, to keep elsewhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        verifying = does.add_parser("verify", help="recompute everything from the database")
        verifying.add_argument(
            "--since",
            type=Path,
            metavar="FILE",
            help="a checkpoint that was kept: history before it is the same",
        )
        verifying.add_argument("--json", action="store_true", help="one JSON object instead of sentences")
        does.add_parser("head", help="sign what waits, and print the newest checkpoint, to be kept elsewhere")
        does.add_parser("key", help="print the public key, for auditors")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            match options["does"]:
                case "verify":
                    self._verify(options["since"], as_json=options["json"])
                case "head":
                    self._head()
                case _:
                    self.stdout.write(str(notes.own_key(checkpoints.journal_name())))
        except JournalIsBroken as broken:
            if options.get("json"):
                self.stdout.write(json.dumps({"ok": False, "wrong": broken.sentence}))
            raise CommandError(broken.sentence) from None

    def _verify(self, since: Path | None, *, as_json: bool) -> None:
        try:
            kept = since.read_text() if since else ""
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{since} cannot be read: {error}.") from None
        began = time.monotonic()
        found = verify(kept=kept)
        if as_json:
            self.stdout.write(json.dumps({"ok": True, **asdict(found)}))
        else:
            for line in _told(found, time.monotonic() - began):
                self.stdout.write(line)

    def _head(self) -> None:
        while checkpoints.add_checkpoint():
            pass
        newest = checkpoints.head()
        if newest is None:
            raise CommandError("The journal has no entries yet.")
        self.stdout.write(newest.note, ending="")


def _told(found: Verified, seconds: float) -> list[str]:
    lines = [
        f"OK: {found.entries} entries are what {found.checkpoints} checkpoints were signed over ({seconds:.1f} s)."
    ]
    if found.redacted:
        lines.append(
            f"Out of {found.redacted} of them two people took something; the rest of those is as it was."
        )
    if found.since:
        lines.append(f"The first {found.since} are those of the checkpoint that was kept.")
    if found.waiting:
        lines.append(f"{found.waiting} events wait for the next checkpoint: nothing proves them yet.")
    if not found.since:
        lines.append(
            "Whoever has the server's key could have signed another history: keep `manage.py journal head` elsewhere, "
            "and compare with --since."
        )
    return lines
