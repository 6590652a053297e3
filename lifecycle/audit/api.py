"""Evidence over REST: a download, as JSON or as a page."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from lifecycle.api.production import time_of
from lifecycle.audit.export import export_period, export_version
from lifecycle.audit.page import page_of
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
AS = OpenApiParameter("as", str, enum=("json", "html"), description="json unless html is asked for")


class VersionEvidence(Endpoint):
    """All that speaks for and against a version, for somebody who has no access."""

    @extend_schema(operation_id="version_evidence", parameters=[AS], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str, name: str, number: int) -> HttpResponse:
        """One document: the version, its files and lineage, evaluations, gates, waivers, approvals, incidents,
        quarantines, legal holds, deployments, stages, and the journal's entries with their digests. That it was
        taken, by whom, is itself an entry of the journal (`evidence.exported`), with the document's digest."""
        kind = _kind(request)
        document = export_version(version=self.version(name, number), by=self.principal)
        return _file(document, kind, f"{namespace}-{name}-{number}")


class PeriodEvidence(Endpoint):
    """The same of all versions that something happened to in a period."""

    @extend_schema(
        operation_id="period_evidence",
        parameters=[AS, OpenApiParameter("since", str, required=True), OpenApiParameter("until", str)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, namespace: str) -> HttpResponse:
        """`?since=&until=` times in UTC, or days, the last of which is within it; `until` by default now: the versions
        that were in production meanwhile, moved, were asked for or decided on, ran somewhere, or had an incident."""
        kind, asked, now = _kind(request), request.query_params, timezone.now()
        until = min(now, _end(asked["until"], "until", timedelta(days=1))) if asked.get("until") else now
        since = _end(asked.get("since", ""), "since", timedelta(0))
        document = export_period(namespace=self.namespace, since=since, until=until, by=self.principal)
        return _file(document, kind, f"{namespace}-{since:%Y%m%d}-{until:%Y%m%d}")


def _end(given: str, name: str, later: timedelta) -> datetime:
    """A time, or a day and so much later. Raises InvalidInput."""
    if not DAY.fullmatch(given):
        return time_of(given, name)
    try:
        return datetime.combine(date.fromisoformat(given), time(0), UTC) + later
    except (ValueError, OverflowError):
        raise InvalidInput(f"{name} is a day, such as 2026-01-31, or a time in UTC.", field=name) from None


def _kind(request: Request) -> str:
    kind = request.query_params.get("as", "json")
    if kind not in ("json", "html"):
        raise InvalidInput("as is json or html.", field="as")
    return kind


def _file(document: dict[str, Any], kind: str, name: str) -> HttpResponse:
    """A download, never a page of ours: what it shows was written by many."""
    if kind == "html":
        answer = HttpResponse(page_of(document), content_type="text/html; charset=utf-8")
    else:
        text = json.dumps(document, ensure_ascii=False, indent=1)
        answer = HttpResponse(f"{text}\n", content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="{name}.evidence.{kind}"'
    answer["Cache-Control"] = "no-store"
    return answer
