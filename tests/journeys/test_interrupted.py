"""The client killed in the middle of an upload and of a download: the next one brings only what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import assay
from assay.transfer.hashing import PART_SIZE
from tests.cast import Cast
from tests.conftest import Live, Process
from tests.journeys.interrupting import NEVER, pull_killed_half_way, push_killed_half_way, run

pytestmark = pytest.mark.django_db(transaction=True)
SIZE = 7 * PART_SIZE + 12_345


@pytest.fixture
def env(live: Live, worker: Process, cast: Cast) -> dict[str, str]:
    return {**os.environ, "ASSAY_URL": live.url, "ASSAY_TOKEN": cast.token("ben"), "ASSAY_CACHE": "off"}


def test_it_goes_on(env: dict[str, str], cast: Cast, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    content = os.urandom(SIZE)
    (folder / "weights.bin").write_bytes(content)
    model = f"{cast.namespace.name}/card"
    reference, sent, most = push_killed_half_way(env, folder, model, side_by_side=1)
    assert sent <= most
    out = tmp_path / "out"
    fetched, most = pull_killed_half_way(env, reference, out, SIZE, side_by_side=1)
    assert fetched <= most
    assert [path.name for path in out.iterdir()] == ["weights.bin"]
    assert (out / "weights.bin").read_bytes() == content
    with assay.Client(env["ASSAY_URL"], env["ASSAY_TOKEN"]) as client:
        assert client.verify(out, reference)["ok"]
    # And once more, unchanged: hashed, and nothing sent.
    told = run(env, "push", folder, model, NEVER, 1)
    assert told is not None
    assert (told["moved"], told["hashed"], told["reference"]) == (0, SIZE, f"{model}:2")
