"""Who trains: Ben, at the real server, with a model to be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import assay
from tests.cast import Cast
from tests.conftest import Live, Process


@pytest.fixture
def ben(live: Live, worker: Process, cast: Cast) -> Iterator[assay.Client]:
    with assay.Client(live.url, cast.token("ben")) as client:
        yield client


@pytest.fixture
def model(cast: Cast) -> str:
    return f"{cast.namespace.name}/scorer"
