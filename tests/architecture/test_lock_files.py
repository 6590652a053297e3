"""The lock files hold everything, by hash, and no address of a package index."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.tree import ROOT, pyproject

FULL, SERVER = "requirements.lock", "requirements-server.lock"
# What the campaign on DVC installs for itself, beside the project.
DVC = "requirements-dvc.lock"
OURS = {"assay-client", "assay-registry"}
INDEX_ADDRESS = re.compile(r"(?m)^\s*(--(extra-)?index-url|-i|--find-links|-f)\b|https?://|file://")


@dataclass
class Locked:
    """One entry of a lock file."""

    requirement: Requirement
    hashes: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        """`name==version`, without the platforms it is for."""
        return f"{canonicalize_name(self.requirement.name)}{self.requirement.specifier}"


def parse(text: str) -> list[Locked]:
    """The entries of a lock file: lines continued by a backslash, comments on lines of their own."""
    entries = []
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for entry in "\n".join(lines).replace("\\\n", " ").splitlines():
        requirement, *hashes = re.split(r"\s+--hash=", entry.strip())
        entries.append(Locked(Requirement(requirement.strip()), {value.strip() for value in hashes}))
    return entries


def locked(name: str) -> list[Locked]:
    """The entries of a lock file of this project."""
    return parse((ROOT / name).read_text())


def declared(*extras: str) -> list[Requirement]:
    """What the project asks for, with the named extras; our own packages left out."""
    project = pyproject()["project"]
    lines = project["dependencies"] + [
        line for extra in extras for line in project["optional-dependencies"][extra]
    ]
    return [r for r in map(Requirement, lines) if canonicalize_name(r.name) not in OURS]


def missing(wanted: list[Requirement], entries: list[Locked]) -> list[str]:
    """The requirements that no entry meets on this Python."""
    environment = {name: str(value) for name, value in default_environment().items()}

    def met(requirement: Requirement) -> bool:
        return any(
            canonicalize_name(entry.requirement.name) == canonicalize_name(requirement.name)
            and (entry.requirement.marker is None or entry.requirement.marker.evaluate(environment))
            and all(requirement.specifier.contains(pin.version) for pin in entry.requirement.specifier)
            for entry in entries
        )

    return [str(r) for r in wanted if not met(r)]


def test_a_broken_lock_is_seen() -> None:
    (entry,) = parse(
        "django==5.2.19 ; python_full_version < '3.12' \\\n"
        "    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via axes\n"
    )
    assert entry.requirement.name == "django"
    assert entry.hashes == {"sha256:aa", "sha256:bb"}
    assert missing([Requirement("django>=5.2"), Requirement("celery")], [entry]) == ["celery"]
    assert missing([Requirement("django>=6.1")], [entry]) == ["django>=6.1"]
    assert INDEX_ADDRESS.search("--extra-index-url there")
    assert INDEX_ADDRESS.search("a @ https://somewhere/a.whl")


@pytest.mark.parametrize("name", [FULL, SERVER, DVC])
def test_every_package_is_pinned_and_hashed(name: str) -> None:
    entries = locked(name)
    assert len(entries) > 40
    loose = [
        e.key for e in entries if [s.operator for s in e.requirement.specifier] != ["=="] or not e.hashes
    ]
    assert loose == []
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for entry in entries for value in entry.hashes)


@pytest.mark.parametrize("name", [FULL, SERVER, DVC])
def test_no_package_index_is_named(name: str) -> None:
    assert not INDEX_ADDRESS.search((ROOT / name).read_text())


def test_the_full_lock_meets_everything_declared() -> None:
    client = pyproject("client/pyproject.toml")["project"]["dependencies"]
    extras = pyproject()["project"]["optional-dependencies"]
    assert missing(declared(*extras) + [Requirement(line) for line in client], locked(FULL)) == []


def test_the_server_lock_meets_what_the_server_needs_and_no_more() -> None:
    entries = locked(SERVER)
    assert missing(declared(), entries) == []
    extras = pyproject()["project"]["optional-dependencies"]
    names = {canonicalize_name(entry.requirement.name) for entry in entries}
    heavy = {canonicalize_name(Requirement(line).name) for line in extras["embedded"] + extras["demo"]}
    assert names & heavy == set()
    assert names & {"pytest", "mypy", "ruff"} == set()


def test_the_server_lock_is_a_part_of_the_full_one() -> None:
    full = {entry.key: entry.hashes for entry in locked(FULL)}
    differ = [entry.key for entry in locked(SERVER) if full.get(entry.key) != entry.hashes]
    assert differ == []
