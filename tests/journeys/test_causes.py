"""Single causes that the client sees by itself, from a training to the page: each is named alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import assay
from tests.cast import Cast, make_cast
from tests.conftest import Live, Process

pytestmark = pytest.mark.django_db(transaction=True)

# What it seeds with stands in none of the places where settings are.
SCRIPT = """
import os, random, sys
import assay

with assay.run(namespace=sys.argv[1].partition("/")[0], config="params.yaml") as run:
    run.log_parameters({"test_size": os.environ["SHARE"]})
    random.seed(int(os.environ["START"]))
    rows = open("data/train.csv").read()
    with open("model.onnx", "wb") as file:
        file.write(b"\\x08\\x07" + rows.encode())
    run.log_model("model.onnx", sys.argv[1])
"""


class Workshop:
    """A work tree with a lock file, a folder of installed packages, and what is in the environment."""

    def __init__(self, root: Path, url: str, token: str, model: str) -> None:
        self.root, self.model = root, model
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DATABASE")},
            "ASSAY_URL": url, "ASSAY_TOKEN": token, "ASSAY_IMAGE_DIGEST": "sha256:" + "1" * 64,
            "PYTHONPATH": str(root.parent / "installed"), "START": "1", "SHARE": "0.2",
            "XDG_CACHE_HOME": str(root.parent / "cache"), "XDG_STATE_HOME": str(root.parent / "state"),
        }  # fmt: skip
        (root / "data").mkdir(parents=True)
        self.write(".gitignore", "data/\nmodel.onnx\n")
        self.write("train.py", SCRIPT)
        self.write("params.yaml", "depth: 3\n")
        self.write("uv.lock", "planted 1.0\n")
        self.write("data/train.csv", "a,y\n1,0\n")
        self.install("1.0")
        self.do("git", "init", "-q", "-b", "main")
        self.commit()

    def do(self, *command: str) -> None:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def install(self, version: str) -> None:
        place = self.root.parent / "installed" / "planted.dist-info"
        place.mkdir(parents=True, exist_ok=True)
        (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: planted\nVersion: {version}\n")

    def commit(self) -> None:
        self.do("git", "add", "-A")
        self.do("git", "-c", "user.name=ben", "-c", "user.email=ben@example.com", "commit", "-qm", "work")

    def train(self) -> None:
        self.do(sys.executable, "train.py", self.model)

    def seed(self) -> None:
        self.environment["START"] = "2"

    def share(self) -> None:
        self.environment["SHARE"] = "0.3"

    def image(self) -> None:
        self.environment["ASSAY_IMAGE_DIGEST"] = "sha256:" + "2" * 64

    def threads(self) -> None:
        self.environment["OMP_NUM_THREADS"] = "1"

    def package(self) -> None:
        """Locked anew and committed, as one does."""
        self.install("2.0")
        self.write("uv.lock", "planted 2.0\n")
        self.commit()

    def configuration(self) -> None:
        self.write("params.yaml", "depth: 4\n")
        self.commit()


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


@pytest.fixture
def ben(live: Live, worker: Process, cast: Cast) -> Iterator[assay.Client]:
    with assay.Client(live.url, cast.token("ben")) as client:
        yield client


def test_what_was_changed_is_named_alone(live: Live, ben: assay.Client, cast: Cast, tmp_path: Path) -> None:
    """One after the other, so that each version differs from the one before in one thing."""
    model = f"{cast.namespace.name}/scorer"
    shop = Workshop(tmp_path / "project", live.url, cast.token("ben"), model)
    shop.train()
    shop.train()
    equal = ben.why(f"{model}:1", f"{model}:2")
    assert (equal["cause"], equal["sentence"]) == (
        None, f"{model}:1 and {model}:2 hold the same bytes, and nothing recorded differs between them."
    )  # fmt: skip
    planted = [
        (shop.seed, "seed", "Only the seed differs: the seed of random changed: 1 in "),
        (shop.share, "split", "Only the split of the data differs: the parameter test_size changed: 0.2 in "),
        (shop.image, "image", "Only the container image differs: the container image changed: sha256:11111111… in "),
        (shop.threads, "hardware", "Only the hardware differs: the variable OMP_NUM_THREADS changed: not set in "),
        (shop.package, "environment", "Only the environment differs: the package planted changed: 1.0 in "),
        (shop.configuration, "config", "Only the configuration differs: the configuration params.yaml changed: "),
    ]  # fmt: skip
    for number, (change, kind, told) in enumerate(planted, start=2):
        change()
        shop.train()
        found = ben.why(f"{model}:{number}", f"{model}:{number + 1}")
        assert (found["cause"], found["sentence"][: len(told)]) == (kind, told)
        assert found["reservations"] == []
    last = ben.version(f"{model}:{len(planted) + 2}")["completeness"]
    assert (last["state"], last["score"], last["absent"]) == ("complete", 100, {})
