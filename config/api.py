"""The one place where a refusal becomes an answer."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response
from rest_framework.views import set_rollback

from registry.http.problems import answer


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """A problem document; None lets Django log the traceback and answer 500."""
    set_rollback()
    return answer(error)
