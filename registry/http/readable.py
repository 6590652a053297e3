"""What no row can hold is refused before it is looked for: PostgreSQL has no NUL in a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from registry.http.endpoint import Endpoint

NUL = "\x00"


class Readable:
    """400, in plain text, for a NUL in a cookie or in the address of a page. The interface's own endpoints
    say it themselves, as problem documents."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # In a quoted cookie it may be written \000, which no web server stops.
        if any(NUL in value for value in request.COOKIES.values()):
            return _refusal("cookie")
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        made_of = getattr(view, "cls", None)
        if isinstance(made_of, type) and issubclass(made_of, Endpoint):
            return None
        asked = (text for key, values in request.GET.lists() for text in (key, *values))
        return _refusal("address") if NUL in request.path or any(NUL in text for text in asked) else None


def _refusal(place: str) -> HttpResponse:
    return HttpResponse(
        f"The {place} holds a NUL character.\n", status=400, content_type="text/plain; charset=utf-8"
    )
