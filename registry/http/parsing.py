"""Request bodies: JSON that can be kept. What Postgres or Python would choke on later is refused here."""

from __future__ import annotations

import json
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from registry.errors import DomainError, InvalidInput

DEEPEST = 32
LARGEST_INTEGER = 2**63 - 1


class BodyTooLarge(DomainError):
    """More than a request of metadata may hold."""

    code = "body-too-large"
    status = 413


class StrictJSONParser(BaseParser):
    """UTF-8 JSON, at most 32 deep, without NUL, lone surrogates, NaN, repeated keys, integers beyond 64 bits.

    Raises ParseError (it is no JSON), InvalidInput (it is, but cannot be kept), BodyTooLarge.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Any = None,
    ) -> Any:
        """The body as Python values."""
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(most + 1)
        if len(raw) > most:
            raise BodyTooLarge(f"A body holds at most {most} bytes; bytes of models are sent as uploads.")
        try:
            value = json.loads(
                raw.decode(),
                parse_constant=_no_constant,
                parse_int=_integer,
                parse_float=_finite,
                object_pairs_hook=_object,
            )
        except RecursionError:
            raise InvalidInput(f"The body is nested deeper than {DEEPEST} levels.") from None
        except ValueError as error:
            raise ParseError(f"The body is not JSON in UTF-8: {error}") from None
        check_storable(value)
        return value


def check_storable(value: Any) -> None:
    """Refuse text that Postgres cannot keep and nesting that nothing needs. Raises InvalidInput."""
    level = [value]
    for _ in range(DEEPEST + 1):
        if not level:
            return
        following: list[Any] = []
        for item in level:
            if isinstance(item, str):
                check_text(item)
            elif isinstance(item, dict):
                following += [*item, *item.values()]
            elif isinstance(item, list):
                following += item
        level = following
    raise InvalidInput(f"The body is nested deeper than {DEEPEST} levels.")


def check_text(text: str, *, field: str | None = None) -> None:
    """Refuse NUL and lone surrogates. Raises InvalidInput."""
    if "\x00" in text or (not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)):
        raise InvalidInput("Text cannot hold NUL characters or lone surrogates.", field=field)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"The key {twice[:100]!r} is given twice.")
    return made


def _integer(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > LARGEST_INTEGER:
        raise InvalidInput("A whole number has at most 64 bits.")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise InvalidInput("A number lies beyond what can be kept.")
    return number


def _no_constant(name: str) -> Any:
    raise InvalidInput(f"{name} is not JSON: numbers are finite.")
