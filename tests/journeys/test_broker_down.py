"""The broker is away while ten versions are registered and promoted: nobody is told 5xx, and all of it is done
when it returns."""

from __future__ import annotations

import os
import time
from pathlib import Path

import httpx
import pytest

from config.embedded import programs
from lifecycle.models import Promotion
from registry.models import ModelVersion, OutboxItem
from tests.cast import Cast, make_cast
from tests.conftest import Live, Process
from tests.factories import evaluate, ready_version
from tests.registry.artifacts.sending import send

HOW_MANY = 10


@pytest.mark.timeout(240)
@pytest.mark.django_db(transaction=True)
def test_it_only_delays(live: Live, worker: Process, broker: Process, tmp_path: Path) -> None:
    # Celery forgets, when it connects again, that a queue it was once told to leave is to be served after all.
    worker.kill()
    worker.start()
    cast = make_cast()
    uploads = [send(cast, {"model.bin": os.urandom(2000)}) for _ in range(HOW_MANY)]
    staged = [ready_version(cast, model=f"model-{n}") for n in range(HOW_MANY)]
    for version in staged:
        evaluate(cast, version, 0.9)
    environment = programs.python_environment(
        {name: value for name, value in os.environ.items() if name != "DATABASE_OWNER_URL"}
    )
    beat = programs.beat(environment, tmp_path / "beat.log", tmp_path)
    beat.start()
    try:
        broker.kill()
        answers = _register_and_promote(live, cast, [str(upload.pk) for upload in uploads], staged)
        assert {answer.status_code for answer in answers} == {202}, [
            a.text for a in answers if a.status_code != 202
        ]
        assert max(answer.elapsed.total_seconds() for answer in answers) < 5
        assert _ready(cast) == 0
        assert _applied(cast) == 0

        broker.start()
        deadline = time.monotonic() + 90
        while _ready(cast) < HOW_MANY or _applied(cast) < HOW_MANY or _untold(cast):
            assert time.monotonic() < deadline, (_ready(cast), _applied(cast), _untold(cast))
            time.sleep(0.5)
    finally:
        beat.kill()


def _register_and_promote(
    live: Live, cast: Cast, uploads: list[str], staged: list[ModelVersion]
) -> list[httpx.Response]:
    base = f"{live.url}/api/v1/namespaces/{cast.namespace.name}/models"
    answers = []
    with httpx.Client(timeout=30) as web:
        for upload in uploads:
            headers = {"Authorization": f"Bearer {cast.token('ben')}"}
            answers.append(web.post(f"{base}/new/versions", json={"upload": upload}, headers=headers))
        for version in staged:
            headers = {"Authorization": f"Bearer {cast.token('eve')}"}
            path = f"{base}/{version.model.name}/versions/{version.number}/promotions"
            answers.append(web.post(path, json={"target": "staging"}, headers=headers))
    return answers


def _ready(cast: Cast) -> int:
    return ModelVersion.objects.filter(
        model__namespace=cast.namespace, model__name="new", status="ready"
    ).count()


def _applied(cast: Cast) -> int:
    return Promotion.objects.filter(version__model__namespace=cast.namespace, state="applied").count()


def _untold(cast: Cast) -> int:
    return OutboxItem.objects.filter(event__namespace=cast.namespace).count()
