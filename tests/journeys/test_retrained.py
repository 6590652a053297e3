"""Models of one size, trained again and again: what is published is what was pushed, whatever was sent before."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import assay
from assay.digest import manifest_digest, scan
from assay.transfer import upload
from assay.transfer.hashing import PART_SIZE, hash_files
from assay.transfer.progress import Silence
from tests.cast import Cast
from tests.conftest import Live, Process

pytestmark = pytest.mark.django_db(transaction=True)
# Just large enough to be announced without a digest.
SIZE = 4 * PART_SIZE + 1


@pytest.fixture
def client(live: Live, worker: Process, cast: Cast) -> assay.Client:
    return assay.Client(live.url, cast.token("ben"))


def trained(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "weights.bin").write_bytes(os.urandom(SIZE))
    return folder


def digest_of(folder: Path) -> str:
    return manifest_digest([file.entry for file in hash_files(scan(folder), Silence())])


def test_what_was_sent_and_never_registered_is_not_published(
    client: assay.Client, cast: Cast, tmp_path: Path
) -> None:
    name, folder = cast.namespace.name, trained(tmp_path / "model")
    upload.send(client._connection, name, scan(folder), Silence())
    trained(folder)
    assert client.push(folder, f"{name}/card")["digest"] == digest_of(folder)


@pytest.mark.parametrize("later", [0.2, 0.4])
def test_two_that_are_pushed_at_once_do_not_meet(
    client: assay.Client, cast: Cast, tmp_path: Path, later: float
) -> None:
    """The second finds the upload of the first and goes on with it, at one point or another."""
    name = cast.namespace.name
    folders = [trained(tmp_path / str(number)) for number in range(2)]

    def push(number: int) -> assay.Version:
        time.sleep(number * later)
        return client.push(folders[number], f"{name}/card")

    with ThreadPoolExecutor(2) as pool:
        pushed = list(pool.map(push, range(2)))
    assert [version["digest"] for version in pushed] == [digest_of(folder) for folder in folders]
