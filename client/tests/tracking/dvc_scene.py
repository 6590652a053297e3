"""A repository as DVC leaves it: three stages, a file that is tracked, a cache. Made by hand, to DVC's format."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import yaml

from client.tests.tracking.conftest import Project

PREPARE = "import sys\n# rows of raw.csv, cleaned\n"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Repository:
    """`data/raw.csv` (dvc add) -> prepare -> `data/prepared/` -> features -> `data/table.csv` -> train -> `model.bin`.

    `reproduce` writes what `dvc repro` would: data, lock and cache.
    """

    project: Project
    secret: str = ""
    files: dict[str, bytes] = field(default_factory=dict)

    def begin(self) -> None:
        self.project.write(".gitignore", "__pycache__/\nout/\n/model.bin\n")
        self.project.write("data/.gitignore", "/raw.csv\n/prepared\n/table.csv\n")
        self.project.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
        self.project.write(
            ".dvc/config", "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://bucket/x\n"
        )
        self.project.write(
            ".dvc/config.local", f"['remote \"store\"']\n    secret_access_key = {self.secret or 'none'}\n"
        )
        self.project.write("src/prepare.py", PREPARE)
        stages: dict[str, Any] = {
            "prepare": {
                "cmd": "python src/prepare.py", "deps": ["data/raw.csv", "src/prepare.py"],
                "outs": ["data/prepared"],
            },
            "features": {"cmd": "make features", "deps": ["data/prepared"], "outs": ["data/table.csv"]},
            "train": {
                "cmd": ["fit", "measure"], "deps": ["data/table.csv"], "outs": ["model.bin"],
                "metrics": [{"metrics.json": {"cache": False}}],
            },
        }  # fmt: skip
        self.project.write("dvc.yaml", yaml.safe_dump({"stages": stages}))

    def reproduce(self, raw: str = "a,b\n1,2\n3,4\n", auc: float = 0.9, seed: int = 1) -> None:
        rows = raw.encode()
        train, test = rows + f"#{seed}\n".encode(), rows[:8]
        table, model = b"table\n" + train, b"model\n" + train
        metrics = json.dumps({"auc": auc, "by": {"f1": 0.5}, "label": "x"}).encode()
        self.project.write("params.yaml", f"prepare: {{seed: {seed}, api_key: '{self.secret}'}}\n")
        raw_item = self._out("data/raw.csv", rows)
        listed = [
            {"md5": self._keep(test), "relpath": "test.csv"},
            {"md5": self._keep(train), "relpath": "train.csv"},
        ]
        listing = json.dumps(listed).encode()
        self._keep(listing, ".dir")
        self.project.write("data/prepared/train.csv", train)
        self.project.write("data/prepared/test.csv", test)
        prepared = {
            "path": "data/prepared", "hash": "md5", "md5": f"{md5(listing)}.dir", "size": len(train) + len(test),
            "nfiles": 2,
        }  # fmt: skip
        self.files |= {"data/prepared/train.csv": train, "data/prepared/test.csv": test}
        script = {"path": "src/prepare.py", "hash": "md5", "md5": md5(PREPARE.encode()), "size": len(PREPARE)}
        table_item = self._out("data/table.csv", table)
        password = f" --password {self.secret}" if self.secret else ""
        lock = {
            "train": {
                "cmd": ["fit --lr 0.1", "measure"], "deps": [table_item],
                "params": {"params.yaml": {"train": {"lr": 0.1}}},
                "outs": [self._out("metrics.json", metrics, cached=False), self._out("model.bin", model)],
            },
            "prepare": {
                "cmd": f"python src/prepare.py{password}", "deps": [raw_item, script],
                "params": {"params.yaml": {"prepare.seed": seed, "prepare.api_key": self.secret or None}},
                "outs": [prepared],
            },
            "features": {"cmd": "make features", "deps": [prepared], "outs": [table_item]},
        }  # fmt: skip
        self.project.write("dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": lock}, sort_keys=False))
        tracked = {key: value for key, value in raw_item.items() if key != "path"}
        self.project.write("data/raw.csv.dvc", yaml.safe_dump({"outs": [{**tracked, "path": "raw.csv"}]}))

    def lock(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.project.root / "dvc.lock").read_text()))

    def _out(self, path: str, content: bytes, *, cached: bool = True) -> dict[str, Any]:
        self.project.write(path, content)
        self.files[path] = content
        if cached:
            self._keep(content)
        return {"path": path, "hash": "md5", "md5": md5(content), "size": len(content)}

    def _keep(self, content: bytes, ending: str = "") -> str:
        name = md5(content) + ending
        self.project.write(f".dvc/cache/files/md5/{name[:2]}/{name[2:]}", content)
        return name


def repository(project: Project, secret: str = "") -> Repository:
    """One state, committed."""
    made = Repository(project, secret)
    made.begin()
    made.reproduce()
    project.commit()
    return made
