"""Parts of request bodies that many endpoints read."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from registry.models.people import NAME

MOST_TAGS = 100


class Body(serializers.Serializer[Any]):
    """A JSON object. A key that means nothing is refused, so that a misspelt one is not lost silently."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(map(str, data)) - set(self.fields))):
            raise serializers.ValidationError(
                {unknown[0]: f"There is no such field. Fields: {', '.join(self.fields)}."}
            )
        return super().to_internal_value(data)


class NameField(serializers.RegexField):
    """The name of a namespace, model or alias."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(NAME, **kwargs)
        self.error_messages["invalid"] = (
            "Use 1 to 100 lower-case letters, digits, `.`, `_` or `-`, "
            "beginning and ending with a letter or digit."
        )


class TagsField(serializers.DictField):
    """Tags: at most 100, keys of 1 to 250 characters, text values; null takes a key away where that is meant."""

    def __init__(self, *, removable: bool = False, **kwargs: Any) -> None:
        child = serializers.CharField(
            allow_blank=True, allow_null=removable, trim_whitespace=False, max_length=5000
        )
        super().__init__(child=child, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        tags = super().to_internal_value(data)
        if len(tags) > MOST_TAGS:
            raise serializers.ValidationError(f"There are at most {MOST_TAGS} tags.")
        if any(not 1 <= len(key) <= 250 for key in tags):
            raise serializers.ValidationError("A tag's key has 1 to 250 characters.")
        return tags
