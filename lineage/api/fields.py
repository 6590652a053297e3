"""Values as they travel: times with a zone, numbers that JSON cannot write, free JSON of a bounded size."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def number_json(value: float) -> float | str:
    """A number, or its name where JSON has none."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


@extend_schema_field(
    {"oneOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]}
)
class MetricValue(serializers.Field[float, Any, Any, Any]):
    """A number, or one of the strings NaN, Infinity and -Infinity."""

    default_error_messages = {
        "invalid": 'A metric is a number, or one of the strings "NaN", "Infinity" and "-Infinity".'
    }

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, str) and data in SPECIAL:
            return SPECIAL[data]
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return float(data)

    def to_representation(self, value: float) -> float | str:
        return number_json(value)


@extend_schema_field(OpenApiTypes.DATETIME)
class Time(serializers.Field[datetime, Any, Any, Any]):
    """A moment with its zone (`Z` or an offset); given back in UTC. A time without one is refused."""

    default_error_messages = {
        "invalid": "Write a time as 2026-05-04T09:30:00Z.",
        "naive": "A time needs its zone: write it in UTC, ending in Z.",
    }

    def to_internal_value(self, data: Any) -> datetime:
        try:
            found = parse_datetime(data) if isinstance(data, str) else None
            if found is None:
                self.fail("invalid")
            if found.tzinfo is None:
                self.fail("naive")
            return found.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("invalid")

    def to_representation(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Document(serializers.JSONField):
    """A JSON value of at most `most` bytes; an object unless `kinds` says otherwise."""

    def __init__(self, *, most: int, kinds: tuple[type, ...] = (dict,), **kwargs: Any) -> None:
        self.most, self.kinds = most, kinds
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, self.kinds):
            wanted = " or ".join("an object" if kind is dict else "an array" for kind in self.kinds)
            raise serializers.ValidationError(f"This is {wanted}.")
        if len(json.dumps(data, ensure_ascii=False).encode()) > self.most:
            raise serializers.ValidationError(f"This holds at most {self.most:,} bytes.")
        return data


@dataclass(frozen=True)
class Shape:
    """What a value is: how that is said, and whether it is so."""

    words: str
    holds: Callable[[Any], bool]


TEXT = Shape("a text", lambda value: isinstance(value, str))
FLAG = Shape("true or false", lambda value: isinstance(value, bool))
OBJECT = Shape("an object", lambda value: isinstance(value, dict))
TEXT_LIST = Shape(
    "a list of texts", lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value)
)
TEXT_MAP = Shape(
    "an object of texts",
    lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
)


class Facts(Document):
    """An object whose known keys hold what `shapes` says, each when it is there; other keys are kept as they are."""

    def __init__(self, shapes: Mapping[str, Shape], **kwargs: Any) -> None:
        self.shapes = shapes
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        found = super().to_internal_value(data)
        wrong = {
            key: [f"This is {shape.words}."]
            for key, shape in self.shapes.items()
            if key in found and not shape.holds(found[key])
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        return found


class Texts(serializers.DictField):
    """An object of texts: `{key: text}`, of at most `entries` entries, keys of 1 to 250 characters."""

    def __init__(self, *, entries: int, longest: int, **kwargs: Any) -> None:
        self.entries = entries
        child = serializers.CharField(allow_blank=True, max_length=longest, trim_whitespace=False)
        super().__init__(child=child, **kwargs)

    def to_internal_value(self, data: Any) -> dict[Any, Any]:
        if isinstance(data, dict):
            if len(data) > self.entries:
                raise serializers.ValidationError(f"At most {self.entries:,} at once.")
            for key in data:
                if not 1 <= len(str(key)) <= 250:
                    raise serializers.ValidationError(
                        f"A key has 1 to 250 characters; {str(key)[:40]!r} has {len(str(key))}."
                    )
        return super().to_internal_value(data)
