"""Who tells, and short events."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from rest_framework.test import APIClient

from registry.actions.people import issue_token
from registry.models import SYSTEM
from tests.cast import Cast
from tests.protocols.openlineage.pipeline import PRODUCER, SPEC

AT = "2026-05-04T09:{:02}:00Z"


def teller(cast: Cast, name: str = "ci") -> APIClient:
    """A client with a token that is bound to the namespace."""
    _, secret = issue_token(user=cast.user(name), name="airflow", namespace=cast.namespace, by=SYSTEM)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def tell(client: APIClient, body: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/lineage", body)
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def place(name: str, role: str = "", facets: dict[str, Any] | None = None, **own: Any) -> dict[str, Any]:
    """A dataset of the lake; `own` are the facets of its role."""
    more = {f"{role}Facets": own} if role else {}
    return {"namespace": "s3://lake", "name": name, "facets": facets or {}, **more}


def an_event(
    kind: str = "COMPLETE",
    minute: int = 0,
    *,
    run: str = "",
    job: str = "etl",
    reads: list[Any] | None = None,
    writes: list[Any] | None = None,
    facets: dict[str, Any] | None = None,
    job_facets: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "eventType": kind,
        "eventTime": AT.format(minute),
        "producer": PRODUCER,
        "schemaURL": SPEC + "RunEvent",
        "run": {"runId": run or str(uuid4()), "facets": facets or {}},
        "job": {"namespace": "airflow", "name": job, "facets": job_facets or {}},
        "inputs": [place(each) if isinstance(each, str) else each for each in reads or []],
        "outputs": [place(each) if isinstance(each, str) else each for each in writes or []],
    }


def shown(cast: Cast, run: str) -> dict[str, Any]:
    """A run by its id, as anybody in the namespace sees it."""
    answer = cast.client("vera").get(f"/api/v1/runs/{run}")
    assert answer.status_code == 200, answer.content
    return dict(answer.json())
