"""The Content-Security-Policy: strict, with one exception for the admin's theme."""

from __future__ import annotations

from typing import Any

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

ADMIN = "/admin/"


class ContentSecurity(CSPMiddleware):
    """The policy of the settings; under /admin/ with what Alpine, which the theme is built on, cannot work
    without: evaluated expressions and style attributes."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if request.path.startswith(ADMIN) and not report_only:
            more: dict[str, Any] = settings.ADMIN_CONTENT_SECURITY
            parts.replace = {**(parts.replace or {}), **more}
        return parts
