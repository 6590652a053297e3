"""A model's bytes, from a folder through the client, the store and the worker, and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import assay
from assay.digest import manifest_digest, scan
from assay.transfer import download, upload
from assay.transfer.hashing import PART_SIZE, Segment, hash_files
from assay.transfer.progress import Silence, Step
from assay.transfer.store import Address
from config.embedded.home import free_port
from tests.cast import Cast
from tests.conftest import Live, Process

pytestmark = pytest.mark.django_db(transaction=True)


class Counted:
    """A progress that remembers how many bytes each step announced."""

    def __init__(self) -> None:
        self.total: dict[Step, int] = {}

    def begin(self, step: Step, total: int) -> None:
        self.total[step] = total

    def advance(self, step: Step, amount: int) -> None:
        pass


@pytest.fixture
def sign_in(live: Live, worker: Process, cast: Cast) -> Iterator[Callable[[str], assay.Client]]:
    """A client of the running stack for one of the cast."""
    clients: list[assay.Client] = []

    def client(name: str) -> assay.Client:
        clients.append(assay.Client(live.url, cast.token(name)))
        return clients[-1]

    yield client
    for each in clients:
        each.close()


@pytest.fixture
def ben(sign_in: Callable[[str], assay.Client]) -> assay.Client:
    return sign_in("ben")


@pytest.fixture
def model(cast: Cast) -> str:
    return f"{cast.namespace.name}/card"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of one large file in two parts, small ones, and an empty one."""
    contents = {
        "weights.bin": os.urandom(PART_SIZE + 12_345),
        "conf/größe.json": b'{"depth": 3}',
        "conf/deep/er/vocab.txt": b"a\nb\n",
        "conf/__init__.py": b"",
    }
    for path, content in contents.items():
        target = tmp_path / "model" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return tmp_path / "model"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_works(ben: assay.Client, model: str, folder: Path, tmp_path: Path) -> None:
    version = ben.push(folder, model, description="First.", tags={"team": "fraud"})
    assert (version["reference"], version["status"], version["stage"]) == (
        f"{model}:1",
        "ready",
        "development",
    )
    assert (version["description"], version["tags"]) == ("First.", {"team": "fraud"})
    assert (version["files"], version["size"]) == (4, sum(map(len, contents(folder).values())))
    assert version["digest"] == manifest_digest(file.entry for file in hash_files(scan(folder), Silence()))
    by_digest = f"{model}@{version['digest']}"
    assert contents(ben.pull(by_digest, tmp_path / "out")) == contents(folder)
    found = ben.verify(tmp_path / "out", f"{model}:1")
    assert (found["ok"], found["digest"]) == (True, version["digest"])
    assert [each["reference"] for each in ben.versions(model)] == [f"{model}:1"]


def test_what_is_pushed_is_scanned_by_the_worker(ben: assay.Client, model: str, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    ref = ben.push(tmp_path / "model.pkl", model)["reference"]
    ends = time.monotonic() + 60
    while not (found := ben.scan(ref))["safety"] and time.monotonic() < ends:
        time.sleep(0.2)
    assert (found["safety"], ben.version(ref)["safety"]) == ("malicious", "malicious")
    (file,) = found["files"]
    assert (file["path"], file["format"], file["findings"][0]["name"]) == ("model.pkl", "pickle", "os.system")


def test_a_change_on_disk_is_named(ben: assay.Client, model: str, folder: Path) -> None:
    ben.push(folder, model)
    with (folder / "weights.bin").open("r+b") as file:
        file.seek(PART_SIZE)
        byte = file.read(1)
        file.seek(PART_SIZE)
        file.write(bytes([byte[0] ^ 1]))
    (folder / "conf/deep/er/vocab.txt").rename(folder / "conf/vocab.txt")
    found = ben.verify(folder, f"{model}:1")
    assert not found["ok"]
    assert found["differs"] == ["weights.bin"]
    assert found["missing"] == ["conf/deep/er/vocab.txt"]
    assert found["extra"] == ["conf/vocab.txt"]


def test_what_is_there_is_not_sent_again(ben: assay.Client, model: str, folder: Path) -> None:
    first, second = Counted(), Counted()
    one = ben.push(folder, model, progress=first)
    (folder / "conf/größe.json").write_bytes(b'{"depth": 4}')
    two = ben.push(folder, model, progress=second)
    assert first.total["upload"] == one["size"]
    assert second.total["upload"] == len(b'{"depth": 4}')
    assert two["number"] == 2
    assert one["digest"] != two["digest"]


def test_other_bytes_than_announced_never_arrive(
    ben: assay.Client, model: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store checks every part against the digest that was announced for it."""

    plan = upload.plan

    def other(item: upload.Item, part_size: int) -> Iterator[upload.Part]:
        for part in plan(item, part_size):
            yield replace(part, segments=tuple(elsewhere(segment) for segment in part.segments))

    def elsewhere(segment: Segment) -> Segment:
        """As many bytes of another file."""
        path = tmp_path / f"other-{segment.file.path.replace('/', '-')}"
        path.write_bytes(bytes(segment.file.size))
        file = hash_files(scan(path), Silence())[0]
        return replace(segment, file=file)

    monkeypatch.setattr(upload, "plan", other)
    with pytest.raises(assay.AssayError):
        ben.push(folder, model)
    with pytest.raises(assay.NotFound):
        ben.version(f"{model}:1")


def test_without_a_way_to_the_store_bytes_go_through_the_server(
    ben: assay.Client, model: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"

    def unreachable(url: str, headers: Mapping[str, str]) -> Address:
        return Address(f"{nobody}/{url.partition('//')[2].partition('/')[2]}", headers)

    monkeypatch.setattr(upload, "Address", unreachable)
    monkeypatch.setattr(download, "Address", unreachable)
    version = ben.push(folder, model)
    assert version["digest"] == manifest_digest(file.entry for file in hash_files(scan(folder), Silence()))
    assert contents(ben.pull(f"{model}:1", tmp_path / "out")) == contents(folder)


def test_a_repeated_registration_is_one_version(
    ben: assay.Client, cast: Cast, model: str, folder: Path
) -> None:
    files = hash_files(scan(folder), Silence())
    sent = upload.send(ben._connection, cast.namespace.name, files, Silence())
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/card/versions"
    answers = [ben.post(path, {"upload": sent["id"]}, idempotency_key="once") for _ in range(2)]
    assert [answer["number"] for answer in answers] == [1, 1]
    with pytest.raises(assay.Invalid):
        ben.post(path, {"upload": sent["id"], "description": "other"}, idempotency_key="once")
    assert ben.wait_until_ready(answers[0])["status"] == "ready"


def test_who_may_not(
    sign_in: Callable[[str], assay.Client], model: str, folder: Path, tmp_path: Path
) -> None:
    sign_in("ben").push(folder, model)
    with pytest.raises(assay.NotFound):
        sign_in("mallory").pull(f"{model}:1", tmp_path / "out")
    with pytest.raises(assay.NotFound):
        sign_in("mallory").push(folder, model)
    with pytest.raises(assay.Forbidden):
        sign_in("vera").push(folder, model)
    assert contents(sign_in("vera").pull(f"{model}:1", tmp_path / "out")) == contents(folder)


def test_on_the_command_line(
    cast: Cast, live: Live, worker: Process, model: str, folder: Path, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "ASSAY_URL": live.url,
        "ASSAY_TOKEN": cast.token("ben"),
        "COLUMNS": "80",
        "XDG_CONFIG_HOME": str(tmp_path),
    }

    def run(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-c", "from assay.cli import main; main()", *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    code, out, err = run("push", str(folder), model, "--tag", "team=fraud", "--json")
    assert code == 0, err
    version = json.loads(out)
    assert version["tags"] == {"team": "fraud"}
    code, out, err = run("show", f"{model}:1")
    assert (code, err) == (0, "")
    for words in (f"{model}:1", "development", version["digest"], "team=fraud", "4 files", version["url"]):
        assert words in out
    assert run("pull", f"{model}:1", str(tmp_path / "out"))[0] == 0
    assert contents(tmp_path / "out") == contents(folder)
    assert run("verify", str(tmp_path / "out"), f"{model}:1")[0] == 0
    (tmp_path / "out" / "weights.bin").write_bytes(b"")
    code, out, _ = run("verify", str(tmp_path / "out"), f"{model}:1")
    assert code == 1
    assert "differs  weights.bin" in out
    code, out, err = run("show", f"{model}:2")
    assert (code, out) == (1, "")
    assert err.startswith("Refused: ")
    assert run("show", "nonsense")[0] == 2
