"""What is done with bytes, as operations that can be tried while the store misbehaves and gone on with afterwards."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rest_framework.test import APIClient

import assay
from registry.artifacts import storage
from registry.models import ModelVersion, Upload
from registry.tasks import artifacts as tasks
from tests.cast import Cast
from tests.faults import FaultProxy
from tests.registry.artifacts.crashing import forget_lease
from tests.registry.artifacts.sending import (
    again,
    parts_of,
    put,
    register,
    sign,
    staged,
)
from tests.registry.artifacts.wholeness import wrong_with

# Beyond one MiB nothing is read into memory at once, and what is published is copied inside the store.
LARGE = storage.MIB + 1000
READ_TIMEOUT = 1


@dataclass
class World:
    """The proxy, people, and the web over it."""

    proxy: FaultProxy
    cast: Cast
    web: str
    folder: Path

    def client(self) -> APIClient:
        """A REST client that answers with 500 what was not caught."""
        client = self.cast.client("ben")
        client.raise_request_exception = False
        return client

    def sdk(self) -> assay.Client:
        return assay.Client(self.web, self.cast.token("ben"), timeout=20, attempts=2)

    def place(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))


class Operation:
    """`prepare` while the store is well, `act` while it is not, `recover` when it is well again.

    `act` and `recover` return what is wrong, in words. `requests` are what is done wrong to: an operation of S3.
    """

    requests = ""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cast = world.cast
        self.content = os.urandom(LARGE)

    def prepare(self) -> None:
        pass

    def act(self) -> list[str]:
        raise NotImplementedError

    def recover(self) -> list[str]:
        raise NotImplementedError

    def upload(self) -> Upload:
        """The file in the staging area, unless it was sent before."""
        return staged(self.cast, {"model.bin": self.content})

    def made_ready(self, version: ModelVersion) -> list[str]:
        """What the sweep leads to; a version that failed is followed by another, of the same upload."""
        forget_lease(version)
        tasks.publish_version(version_id=str(version.pk))
        version = again(version)
        if version.status == ModelVersion.Status.FAILED:
            upload = version.manifest.upload
            self.send_again(upload)
            version = register(self.cast, upload)
            tasks.publish_version(version_id=str(version.pk))
            version = again(version)
        if version.status != ModelVersion.Status.READY:
            return [f"the version is {version.status}: {version.status_message}"]
        return wrong_with(version)

    def send_again(self, upload: Upload) -> None:
        """What the upload wants."""
        for file in upload.files.filter(status="wanted"):
            self.send_file(upload, file.index)

    def send_file(self, upload: Upload, index: int) -> None:
        client = self.cast.client("ben")
        answer = {"id": str(upload.pk)}
        parts = parts_of(self.content, upload.part_size)
        for url, part in zip(sign(client, answer, index, parts), parts, strict=True):
            assert put(url, part).status_code == 200
        done = client.post(
            f"/api/v1/uploads/{upload.pk}/complete", {"files": [{"index": index, "parts": []}]}
        )
        assert done.status_code == 200, done.json()


def judged(answer: Any) -> list[str]:
    """A request is done, or refused by somebody who knows: 503 with the time to come back, or a reason."""
    status = answer.status_code
    if status == 503:
        return [] if answer.headers.get("Retry-After") else ["503 that does not say when to come back"]
    return [f"answered {status}: {answer.content[:200]!r}"] if status >= 500 else []
