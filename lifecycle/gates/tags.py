"""The gate on tags: that they are there, and say what they may."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict
from registry.errors import InvalidInput

LONGEST_VALUE = 200
LONGEST_PATTERN = 100
MOST_RULES = 20
# Without groups, and with few repetitions, matching a value ends in a moment whatever the value is.
_OPEN_ENDED = re.compile(r"[*+?]|\{\d*,\d*\}")
MOST_OPEN_ENDED = 3


class MetadataValid(Gate):
    """Tags are there and say what they may: by a pattern that fits the whole value, or one of a list."""

    name = "metadata_valid"
    parameters = (
        Parameter(
            "version",
            dict,
            default={},
            help='tags of the version: {"ticket": "RISK-[0-9]+", "pii": ["none", "masked"], "owner": ""}; '
            "a pattern, a list of values, or nothing when it only has to be there",
        ),
        Parameter("model", dict, default={}, help="tags of the model, in the same way"),
        Parameter("schema", bool, default=False, help="the version tells its inputs and outputs"),
    )

    def claim(self, given: dict[str, Any]) -> str:
        parts = [
            f"{tag} of the {of}{_rule(rule)}"
            for of in ("version", "model")
            for tag, rule in sorted(given[of].items())
        ]
        parts += ["its inputs and outputs"] if given["schema"] else []
        return f"the metadata is valid: {', '.join(parts) or 'nothing is asked'}"

    def checked(self, given: Any, where: str) -> dict[str, Any]:
        checked = super().checked(given, where)
        for of in ("version", "model"):
            if len(checked[of]) > MOST_RULES:
                raise InvalidInput(f"At most {MOST_RULES} tags are asked for.", field=f"{where}.{of}")
            for tag, rule in checked[of].items():
                if wrong := _wrong_rule(rule):
                    raise InvalidInput(wrong, field=f"{where}.{of}.{tag}")
        return checked

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        version, model = context.version, context.version.model
        wrong: list[str] = []
        read: dict[str, Any] = {}
        for of, subject, called in (
            ("version", version, version.reference),
            ("model", model, f"the model {model}"),
        ):
            read[of] = {tag: subject.tags.get(tag) for tag in given[of]}
            wrong += [
                f"{called} {said}"
                for tag, rule in sorted(given[of].items())
                if (said := _wrong_tag(tag, read[of][tag], rule))
            ]
        if given["schema"]:
            schema = json.dumps(version.schema, sort_keys=True)
            read["schema"] = hashlib.sha256(schema.encode()).hexdigest()
            if not version.schema:
                wrong.append(f"{version.reference} does not tell its inputs and outputs")
        if wrong:
            return Finding(Verdict.FAIL, f"{_sentence(wrong)}.", {**read, "wrong": wrong})
        asked = len(given["version"]) + len(given["model"])
        counted = (
            "The one tag that is asked for is" if asked == 1 else f"All {asked} tags that are asked for are"
        )
        told = (
            f"{counted} there and may be what they are"
            if asked > 1
            else f"{counted} there and may be what it is"
        )
        schema_told = "its inputs and outputs are told" if given["schema"] else ""
        parts = [*([told] if asked else []), *([schema_told] if schema_told else [])]
        return Finding(Verdict.PASS, f"{_sentence(parts or ['nothing is asked'])}.", read)


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return text if ":" in text.split(maxsplit=1)[0] else text[:1].upper() + text[1:]


def _rule(rule: Any) -> str:
    if isinstance(rule, list):
        return f" (one of {', '.join(rule)})"
    return f" ({rule})" if rule else ""


def _wrong_tag(tag: str, value: Any, rule: Any) -> str:
    """What is wrong with a tag, as `has no tag pii`; "" when nothing is."""
    if not isinstance(value, str) or not value.strip():
        return f"has no tag {tag}"
    shown = value if len(value) <= 40 else f"{value[:40]}…"
    if isinstance(rule, list):
        return "" if value in rule else f"has the tag {tag}={shown}, but it must be one of {', '.join(rule)}"
    if not rule:
        return ""
    if len(value) > LONGEST_VALUE:
        return f"has a tag {tag} of {len(value)} characters, but of at most {LONGEST_VALUE} it is matched"
    return "" if re.fullmatch(rule, value) else f"has the tag {tag}={shown}, but it must match {rule}"


def _wrong_rule(rule: Any) -> str:
    """Why this cannot be asked of a tag; "" when it can."""
    if isinstance(rule, list):
        fine = rule and all(isinstance(each, str) and each.strip() for each in rule)
        return "" if fine else "The values that a tag may have are a list of texts."
    if not isinstance(rule, str):
        return "A tag is asked for by a pattern, by a list of values, or by nothing (an empty text)."
    if len(rule) > LONGEST_PATTERN:
        return f"A pattern has at most {LONGEST_PATTERN} characters."
    try:
        re.compile(rule)
    except (re.error, OverflowError, FutureWarning) as error:
        return f"{rule!r} is no pattern: {error}."
    without_classes = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", rule)
    if re.search(r"[()|]", without_classes):
        return "A pattern has no groups and no alternatives: ask for one of a list of values instead."
    if len(_OPEN_ENDED.findall(without_classes)) > MOST_OPEN_ENDED:
        return f"A pattern has at most {MOST_OPEN_ENDED} parts of open length (`*`, `+`, `?`, `{{1,3}}`)."
    return ""
