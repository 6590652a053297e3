"""deploy/make-secrets writes every secret that the compose file mounts; the repository holds none."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.deploy.compose import ROOT, document


def make(folder: Path) -> dict[str, str]:
    """Run a copy of the script in `folder`; the secrets by name."""
    (folder / "deploy").mkdir(exist_ok=True)
    script = shutil.copy(ROOT / "deploy" / "make-secrets", folder / "deploy")
    subprocess.run([script], check=True, capture_output=True, timeout=30)
    return {path.name: path.read_text() for path in (folder / "deploy" / "secrets").iterdir()}


def test_every_secret_of_the_compose_file_is_written(tmp_path: Path) -> None:
    assert set(document()["secrets"]) <= set(make(tmp_path))


def test_they_are_random_and_kept(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    one = make(first)
    assert make(first) == one
    other = make(second)
    assert all(one[name] != other[name] for name in one)
    assert min(len(value) for value in one.values()) >= 20


def test_they_agree_with_each_other(tmp_path: Path) -> None:
    made = make(tmp_path)
    owner, runtime = urlsplit(made["database_owner_url"]), urlsplit(made["database_url"])
    assert (owner.username, owner.password) == ("assay_owner", made["database_owner_password"])
    assert (runtime.username, runtime.password) == ("assay_app", made["database_app_password"])
    assert owner.hostname == runtime.hostname == "db"
    assert made["valkey.conf"].split() == ["requirepass", urlsplit(made["redis_url"]).password]
    (identity,) = json.loads(made["seaweedfs.json"])["identities"]
    assert identity["credentials"] == [
        {"accessKey": made["s3_access_key_id"], "secretKey": made["s3_secret_access_key"]}
    ]
    keys = tomllib.loads(made["seaweedfs_security.toml"])["jwt"]
    assert keys["signing"]["key"] != keys["filer_signing"]["key"]


def test_nobody_else_on_the_host_reaches_them_and_the_containers_do(tmp_path: Path) -> None:
    make(tmp_path)
    folder = tmp_path / "deploy" / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}


def test_git_ignores_them() -> None:
    assert (ROOT / "deploy" / "secrets" / ".gitignore").read_text().split() == ["*", "!.gitignore"]


@pytest.mark.parametrize("name", ["docker-compose.yml", "Dockerfile", ".env.example", "deploy/README.md"])
def test_no_password_is_shipped(name: str) -> None:
    for line in (ROOT / name).read_text().lower().splitlines():
        for word in ("minioadmin", "changeme", "password=", "secret=", "postgres:postgres"):
            assert word not in line.lstrip("# "), line
