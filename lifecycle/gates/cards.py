"""The gate on what people wrote about a model: its card, and the fields beside it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict
from registry.errors import InvalidInput

# What can be asked to be filled in: where it is kept, and how people call it.
FIELDS = {
    "task": ("model", "task", "the model's task"),
    "description": ("model", "description", "the model's description"),
    "intended_use": ("model", "intended_use", "the intended use"),
    "excluded_use": ("model", "excluded_use", "the excluded use"),
    "version_description": ("version", "description", "the version's description"),
}
# Text that says that nothing was said yet.
_NOTHING = re.compile(r"(todo|tbd|tba|fixme|xxx|lorem ipsum|\.\.\.|…|[-?_*\s])+[.:!]*", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|\Z)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")


class CardComplete(Gate):
    """The model's card has the sections, and the model the fields, that the policy names, and something in each.

    A section is a heading of the Markdown and all that stands below it, its own sub-sections too. Its name is
    compared without regard to case. Comments, and words such as `tbd` alone, count as nothing.
    """

    name = "card_complete"
    parameters = (
        Parameter("sections", list, default=[], help="headings that the model's card must have"),
        Parameter("fields", list, default=[], help=f"what must be filled in: {', '.join(FIELDS)}"),
        Parameter("words", float, default=1.0, least=1.0, help="how many words a section must have"),
    )

    def claim(self, given: dict[str, Any]) -> str:
        return f"the model card is complete: {_asked(given)}"

    def checked(self, given: Any, where: str) -> dict[str, Any]:
        checked = super().checked(given, where)
        for field in checked["fields"]:
            if field not in FIELDS:
                raise InvalidInput(
                    f"{field!r} is no field that can be asked for; {', '.join(FIELDS)} can.",
                    field=f"{where}.fields",
                )
        for section in checked["sections"]:
            if not _name(section):
                raise InvalidInput("A section has a name.", field=f"{where}.sections")
        return checked

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        model = context.version.model
        # By their digest: an approval is given to what was written.
        said = {
            field: getattr(model if of == "model" else context.version, column)
            for field, (of, column, _) in FIELDS.items()
            if field in given["fields"]
        }
        shown = json.dumps([model.card, said], sort_keys=True)
        evidence: dict[str, Any] = {"written": hashlib.sha256(shown.encode()).hexdigest()}
        missing = [FIELDS[field][2] for field, text in said.items() if not _words(text)]
        present = sections_of(model.card)
        absent, short = [], []
        for section in given["sections"] or ([] if given["fields"] else [""]):
            text = present.get(_name(section)) if section else model.card
            if text is None:
                absent.append(section)
            elif len(_words(text)) < given["words"]:
                short.append(section or "text")
        if not (missing or absent or short):
            return Finding(Verdict.PASS, f"The card of {model} has {_asked(given)}.", evidence)
        least = f"fewer than {given['words']:g} words" if given["words"] > 1 else "nothing"
        told = [
            *([f"it has no section {', '.join(absent)}"] if absent else []),
            *([f"it says {least} under {', '.join(short)}"] if short else []),
            *(
                [f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not filled in"]
                * bool(missing)
            ),
        ]
        return Finding(
            Verdict.FAIL,
            f"The card of {model} is not complete: {'; '.join(told)}.",
            {**evidence, "absent": absent, "short": short, "missing": missing},
        )


def _asked(given: dict[str, Any]) -> str:
    words = f", each of {given['words']:g} words or more" if given["words"] > 1 else ""
    parts = [f"the sections {', '.join(given['sections'])}{words}"] if given["sections"] else []
    parts += [FIELDS[field][2] for field in given["fields"]]
    return ", and ".join(parts) if parts else "some text"


def _name(heading: str) -> str:
    return " ".join(heading.casefold().split())


def _words(text: str) -> list[str]:
    """The words of a text in which something is said."""
    said = _COMMENT.sub(" ", text).strip()
    return [] if len(said) <= 200 and _NOTHING.fullmatch(said) else said.split()


def sections_of(card: str) -> dict[str, str]:
    """Name of each section -> the text below it; where two have a name, both texts."""
    found: dict[str, list[str]] = {}
    open_ones: list[tuple[int, str]] = []
    for level, line in _lines(_COMMENT.sub(" ", card)):
        if level:
            open_ones = [each for each in open_ones if each[0] < level]
            open_ones.append((level, _name(line)))
            found.setdefault(_name(line), [])
        else:
            for _, name in open_ones:
                found[name].append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def _lines(card: str) -> Iterator[tuple[int, str]]:
    """Each line with the level of the heading that it is, 0 for text."""
    fence = ""
    lines = card.splitlines()
    for at, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
            yield 0, line
        elif mark:
            fence = mark[1]
            yield 0, line
        elif heading := _HEADING.match(line):
            title = line[heading.end() :].strip()
            closed = title.rstrip("#")
            yield len(heading[1]), title if closed and not closed[-1].isspace() else closed
        elif _underlined(lines, at):
            yield (1 if "=" in lines[at + 1] else 2), line
        elif not (at and _UNDERLINE.fullmatch(line) and _underlined(lines, at - 1)):
            yield 0, line


def _underlined(lines: list[str], at: int) -> bool:
    """Whether the line is a heading by the line of = or - below it."""
    below = lines[at + 1] if at + 1 < len(lines) else ""
    return bool(lines[at].strip()) and bool(_UNDERLINE.fullmatch(below))
