"""What a scan says: a format, the worst of what was found, and each finding with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

CLEAN, UNSCANNABLE, SUSPICIOUS, MALICIOUS = "clean", "unscannable", "suspicious", "malicious"
WORSE = {CLEAN: 0, UNSCANNABLE: 1, SUSPICIOUS: 2, MALICIOUS: 3}
MOST_FINDINGS = 50
MOST_CHARACTERS = 300
# What no text of a file may put on a page, in a terminal or into the database.
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Unscannable(Exception):
    """The file cannot be judged to its end; the sentence says why."""


class Malformed(Exception):
    """The bytes are not of the format they were taken for; the sentence says where."""


def fit(text: str) -> str:
    """Text out of a file, made harmless and short."""
    return UNFIT.sub("?", text)[:MOST_CHARACTERS]


def worst(verdicts: Any) -> str:
    """The worst of several verdicts; clean for none."""
    return max(verdicts, key=WORSE.__getitem__, default=CLEAN)


@dataclass
class Report:
    """The report on one file, while it is written."""

    format: str = "unknown"
    findings: list[dict[str, str]] = field(default_factory=list)
    # Findings beyond the most that are kept still count for the verdict.
    verdict: str = CLEAN

    def add(self, verdict: str, where: str, what: str, name: str = "") -> None:
        """Note one finding. The same one is noted once."""
        found = {"where": fit(where), "what": fit(what), "name": fit(name), "verdict": verdict}
        if found in self.findings:
            return
        self.verdict = worst((self.verdict, verdict))
        if len(self.findings) >= MOST_FINDINGS:
            least = min(self.findings, key=lambda each: WORSE[each["verdict"]])
            if WORSE[least["verdict"]] >= WORSE[verdict]:
                return
            self.findings.remove(least)
        self.findings.append(found)
