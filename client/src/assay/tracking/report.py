"""What is said to the person at the terminal: one line for what happened, and what is missing beside it.

On standard error, so that a script's own output stays what it was.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

_MOST_NOTES = 5


def say(text: str) -> None:
    """Never raises: standard error may be closed. Nothing is said of an empty text."""
    if not text:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        pass


def registered(
    version: Mapping[str, Any], run_id: str, code: Mapping[str, Any] | None, datasets: int, packages: int
) -> str:
    """`registered fraud/scorer:3  sha256:1a2b…  from run 5f… (commit abc123, 2 datasets, 31 packages)`"""
    digest = str(version.get("digest") or "")
    shown = f"  {digest[:15]}…" if digest else ""
    return f"registered {version['reference']}{shown}  from run {run_id[:8]}… ({made_from(code, datasets, packages)})"


def finished(run_id: str, status: str, code: Mapping[str, Any] | None, datasets: int, packages: int) -> str:
    return f"assay: run {run_id[:8]}… {status} ({made_from(code, datasets, packages)})"


def made_from(code: Mapping[str, Any] | None, datasets: int, packages: int) -> str:
    commit = str((code or {}).get("commit") or "")
    known = f"commit {commit[:7]}" if commit else "no commit"
    if code and code.get("dirty"):
        known += " with changes"
    return f"{known}, {_count(datasets, 'dataset')}, {_count(packages, 'package')}"


def missing(state: str, *reasons: Sequence[str]) -> str:
    """The second line: empty when everything was captured. Reasons in their order, each once."""
    if state == "complete":
        return ""
    told = list(dict.fromkeys(str(reason).rstrip(".") for some in reasons for reason in some))
    shown = told[:_MOST_NOTES]
    if len(told) > _MOST_NOTES:
        shown.append(f"and {len(told) - _MOST_NOTES} more")
    return f"  provenance {state}: {'; '.join(shown)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
