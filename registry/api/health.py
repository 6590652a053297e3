"""Whether this process lives, and whether it can work."""

from __future__ import annotations

import logging
from collections.abc import Callable

from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from drf_spectacular.utils import extend_schema
from kombu.exceptions import OperationalError
from rest_framework.request import Request
from rest_framework.response import Response

from registry.artifacts.storage import Bucket
from registry.http.endpoint import Endpoint

logger = logging.getLogger(__name__)


class Alive(Endpoint):
    """200 while the process answers; asks nothing of anything else."""

    authentication_classes = ()

    @extend_schema(operation_id="healthz", responses=dict)
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class Ready(Endpoint):
    """200 when requests can be served, 503 otherwise. A broker that is down only delays work: it is told."""

    authentication_classes = ()

    @extend_schema(operation_id="readyz", responses=dict)
    def get(self, request: Request) -> Response:
        needed = {"database": _database, "migrations": _migrations, "store": _store}
        told = {name: _ask(name, check) for name, check in needed.items()}
        ready = all(said == "ok" for said in told.values())
        told["broker"] = _ask("broker", _broker)
        return Response({"status": "ok" if ready else "not ready", **told}, status=200 if ready else 503)


def _ask(name: str, check: Callable[[], None]) -> str:
    """`ok` or `failing`: why stands in the log, for this page is everybody's."""
    try:
        check()
    except Exception:
        logger.exception("%s is not ready", name)
        return "failing"
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise RuntimeError(f"{len(missing)} migrations are not applied, {missing[0][0]} the first")


def _store() -> None:
    # What is not there is an answer too: the store works and knows us.
    Bucket(settings.S3_BUCKETS["hot"]).head(f"{settings.S3_KEY_PREFIX}readyz")


def _broker() -> None:
    with current_app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=2)
        if not broker.connected:
            raise OperationalError("the broker does not answer")
