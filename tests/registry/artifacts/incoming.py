"""Bytes on their way in, as operations to be tried while the store misbehaves."""

from __future__ import annotations

from typing import Any

import httpx
from django.test import override_settings

from assay.errors import AssayError
from registry.models import ModelVersion, Upload
from registry.tasks import artifacts as tasks
from tests.registry.artifacts.operations import LARGE, READ_TIMEOUT, Operation, judged
from tests.registry.artifacts.sending import again, begin, put, register, sha256, sign
from tests.registry.artifacts.wholeness import wrong_with


class Sending(Operation):
    """The client sends parts."""

    requests = "put_part"

    def act(self) -> list[str]:
        self.source = self.world.place() / "model.bin"
        self.source.write_bytes(self.content)
        try:
            self.push()
        except AssayError:
            pass
        return []

    def push(self) -> Any:
        with self.world.sdk() as sdk:
            return sdk.push(self.source, f"{self.cast.namespace.name}/pushed", wait=False)

    def recover(self) -> list[str]:
        pushed = self.push()
        wrong: list[str] = []
        mine = ModelVersion.objects.filter(model__name="pushed", model__namespace=self.cast.namespace)
        for row in mine:
            tasks.publish_version(version_id=str(row.pk))
            version = again(row)
            wrong += wrong_with(version)
            if version.number == pushed["number"] and version.status != "ready":
                wrong.append(f"what was pushed again is {version.status}: {version.status_message}")
        return wrong


class Beginning(Operation):
    """Addresses for parts are asked for."""

    requests = "begin"

    def prepare(self) -> None:
        self.begun = begin(self.cast, {"model.bin": self.content})

    def act(self) -> list[str]:
        return judged(self.ask())

    def ask(self) -> Any:
        part = {"number": 1, "size": LARGE, "sha256": sha256(self.content)}
        body = {"files": [{"index": 0, "parts": [part]}]}
        return self.world.client().post(f"/api/v1/uploads/{self.begun['id']}/parts", body)

    def recover(self) -> list[str]:
        if (answer := self.ask()).status_code != 200:
            return [f"asked again: {answer.json()}"]
        upload = Upload.objects.get(pk=self.begun["id"])
        self.send_file(upload, 0)
        return self.made_ready(register(self.cast, upload))


class Completing(Beginning):
    """The parts of a file are joined."""

    requests = "join"

    def prepare(self) -> None:
        super().prepare()
        (part,) = sign(self.cast.client("ben"), self.begun, 0, [self.content])
        assert put(part, self.content).status_code == 200

    def ask(self) -> Any:
        body = {"files": [{"index": 0, "parts": []}]}
        return self.world.client().post(f"/api/v1/uploads/{self.begun['id']}/complete", body)

    def recover(self) -> list[str]:
        upload = Upload.objects.get(pk=self.begun["id"])
        if (answer := self.ask()).status_code != 200:
            if answer.json()["code"] not in ("parts-lost", "bytes-refused"):
                return [f"asked again: {answer.json()}"]
            self.send_again(upload)
        return self.made_ready(register(self.cast, upload))


class Streaming(Beginning):
    """A file is sent through the web process."""

    requests = "put_part"

    def ask(self) -> Any:
        path = f"/api/v1/uploads/{self.begun['id']}/files/0/content"
        return self.world.client().put(path, self.content, content_type="application/octet-stream")

    def recover(self) -> list[str]:
        if (answer := self.ask()).status_code != 200:
            return [f"sent again: {answer.json()}"]
        return self.made_ready(register(self.cast, Upload.objects.get(pk=self.begun["id"])))


class JoiningStreamed(Streaming):
    """What was sent through the web process becomes an object."""

    requests = "join"


class SendingUnchecked(Beginning):
    """Parts go to a store that does not check them."""

    requests = "put_part"

    def act(self) -> list[str]:
        with override_settings(S3_PART_CHECKSUMS=False):
            (part,) = sign(self.cast.client("ben"), self.begun, 0, [self.content])
            for _ in range(2):
                try:
                    if put(part, self.content, timeout=READ_TIMEOUT).status_code == 200:
                        break
                except httpx.TransportError:
                    continue
        return []

    def recover(self) -> list[str]:
        with override_settings(S3_PART_CHECKSUMS=False):
            body = {"files": [{"index": 0, "parts": []}]}
            answer = self.world.client().post(f"/api/v1/uploads/{self.begun['id']}/complete", body)
            upload = Upload.objects.get(pk=self.begun["id"])
            if answer.status_code != 200:
                self.send_again(upload)
            return self.made_ready(register(self.cast, upload))
