"""Bytes in the worker and on their way out, as operations to be tried while the store misbehaves."""

from __future__ import annotations

import os
from typing import Any

from assay.errors import AssayError
from registry.artifacts import reap, scrub, storage
from registry.models import Upload
from registry.tasks import artifacts as tasks
from tests.registry.artifacts.corner import collect, delete, kinds
from tests.registry.artifacts.crashing import one_at_a_time
from tests.registry.artifacts.operations import Operation, judged
from tests.registry.artifacts.sending import again, publish_all, register, sha256, staged
from tests.registry.artifacts.wholeness import reap_now, wrong_with

# ---- in the worker


class Reading(Operation):
    """Publishing reads what was sent."""

    requests = "get"

    def prepare(self) -> None:
        self.version = register(self.cast, self.upload())

    def act(self) -> list[str]:
        tasks.publish_version(version_id=str(self.version.pk))
        return []

    def recover(self) -> list[str]:
        return self.made_ready(self.version)


class Looking(Reading):
    """Publishing looks whether there is an object."""

    requests = "head"


class Copying(Reading):
    """Publishing copies inside the store."""

    requests = "copy"


class Placing(Reading):
    """Publishing writes a small file."""

    requests = "put"

    def prepare(self) -> None:
        self.content = os.urandom(3000)
        super().prepare()


class InPieces(Reading):
    """Publishing copies a large file inside the store, in pieces."""

    requests = "copy_part"

    def prepare(self) -> None:
        self.content = os.urandom(6 * storage.MIB)
        super().prepare()

    def act(self) -> list[str]:
        with one_at_a_time():
            return super().act()

    def recover(self) -> list[str]:
        with one_at_a_time():
            return super().recover()


class Joining(InPieces):
    """Publishing makes the pieces an object."""

    requests = "join"


class Scrubbing(Operation):
    """Published bytes are read again."""

    requests = "get"

    def prepare(self) -> None:
        self.version = publish_all(self.cast, self.upload())

    def act(self) -> list[str]:
        try:
            scrub.verify_blob(sha256(self.content))
        except storage.StoreUnavailable:
            pass
        return []

    def recover(self) -> list[str]:
        wrong = [] if scrub.verify_blob(sha256(self.content)) else ["sound bytes are not found sound"]
        return wrong + wrong_with(again(self.version))


class Reaping(Operation):
    """The staging area of an upload that was given up is emptied."""

    requests = "delete"

    def prepare(self) -> None:
        self.given_up = self.upload()
        Upload.objects.filter(pk=self.given_up.pk).update(state=Upload.State.ABORTED)

    def act(self) -> list[str]:
        tasks.reap_upload(upload_id=str(self.given_up.pk))
        return []

    def recover(self) -> list[str]:
        if str(self.given_up.pk) in reap.due():
            tasks.reap_upload(upload_id=str(self.given_up.pk))
        reap_now()
        left = [key for key, _ in storage.hot().keys(storage.staging_prefix(self.given_up.pk))]
        return [f"{key} is still there" for key in left]


class Listing(Reaping):
    """The same, where the listing fails."""

    requests = "list"


# ---- on the way out


class Collecting(Operation):
    """Bytes that nobody needs are removed; others, of a version that lives, lie beside them."""

    requests = "delete"

    def prepare(self) -> None:
        self.living = publish_all(self.cast, staged(self.cast, {"other.bin": os.urandom(300)}))
        delete(self.cast, publish_all(self.cast, self.upload()))
        collect()

    def act(self) -> list[str]:
        tasks.collect_garbage()
        return []

    def recover(self) -> list[str]:
        collect()
        collect()
        found = kinds(self.content)
        wrong = [] if found == ("gone", False, False) else [f"what nobody needs is {found}"]
        return wrong + wrong_with(again(self.living))


class LookingForStrays(Collecting):
    """The same, where the listing fails."""

    requests = "list"


class Pulling(Operation):
    """The client pulls by a presigned address."""

    requests = "get"

    def prepare(self) -> None:
        self.version = publish_all(self.cast, self.upload())
        self.target = self.world.place()

    def act(self) -> list[str]:
        try:
            self.pull()
        except AssayError:
            pass
        file = self.target / "model.bin"
        taken = file.exists() and file.read_bytes() != self.content
        return ["other bytes have the file's name"] if taken else []

    def pull(self) -> None:
        with self.world.sdk() as sdk:
            sdk.pull(again(self.version).reference, self.target)

    def recover(self) -> list[str]:
        self.pull()
        if {path.name for path in self.target.rglob("*")} != {"model.bin"}:
            return [f"beside the file there is {sorted(path.name for path in self.target.rglob('*'))}"]
        right = (self.target / "model.bin").read_bytes() == self.content
        return [] if right else ["other bytes were pulled"]


class Downloading(Pulling):
    """A file is streamed through the web process."""

    def act(self) -> list[str]:
        reference = f"namespaces/{self.cast.namespace.name}/models/scorer/versions/{self.version.number}"
        answer: Any = self.world.client().get(f"/api/v1/{reference}/artifacts/model.bin?as=stream")
        if answer.status_code != 200:
            return judged(answer)
        received = b""
        try:
            for block in answer.streaming_content:
                received += block
        except Exception:
            return []  # the connection breaks off, and the length says that something is missing
        whole = len(received) == int(answer["Content-Length"])
        return ["other bytes were answered whole"] if whole and received != self.content else []

    def recover(self) -> list[str]:
        wrong = self.act()
        return wrong + wrong_with(again(self.version))
