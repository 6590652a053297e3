"""Three in the morning, by the command line: what a bad commit went into, keeping it out, and clearing it again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import assay
from lineage.graph import Arrow, add_edges
from lineage.models import DatasetVersion, Edge
from registry.actions.people import create_user, issue_token
from registry.models import SYSTEM, ModelVersion
from tests.cast import Cast, hold_role
from tests.conftest import Live
from tests.factories import TRAINING, promotion_at, ready_version, staged_version
from tests.journeys.conftest import Run
from tests.lineage.scenes import CODE, a_run, read, wrote

pytestmark = pytest.mark.django_db(transaction=True)
WHY = "The labels were shifted by a row."


def repository(folder: Path, commits: int) -> list[str]:
    """A repository with so many commits, the first one first."""

    def git(*arguments: str) -> str:
        identity = (
            "-c",
            "user.name=ben",
            "-c",
            "user.email=ben@example.com",
            "-c",
            "init.defaultBranch=main",
        )
        done = subprocess.run(
            ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    made = []
    for number in range(commits):
        git("commit", "--quiet", "--allow-empty", "--message", str(number))
        made.append(git("rev-parse", "HEAD"))
    return made


def fed(cast: Cast, version: ModelVersion, commit: str) -> ModelVersion:
    """A version whose training read what a run of that commit wrote."""
    joined = a_run(cast, uses=[read("raw.csv"), wrote("joined.csv")], code={**CODE, "commit": commit})
    written = DatasetVersion.objects.get(produced_by=joined)
    assert version.run_id
    add_edges([Arrow(written.pk, version.run_id, Edge.Role.INPUT)])
    return version


def test_a_bad_range_of_commits(cast: Cast, live: Live, run: Run, tmp_path: Path) -> None:
    commits = repository(tmp_path, 4)
    # Fed before the promotion is asked for: what a version was made from is among what is approved, and the
    # worker, which looks at the gates too, ends a promotion whose evidence has changed.
    used = fed(cast, staged_version(cast), commits[1])
    promotion_at(cast, "applied", version=used)
    asked = promotion_at(
        cast, "awaiting_approval", version=fed(cast, staged_version(cast, model="other"), commits[2])
    )
    fed(cast, ready_version(cast, model="clean"), commits[0])
    since = ("--repository", str(tmp_path), "--commit", f"{commits[0][:10]}..HEAD")

    shown = run("vera", 0, "impact", *since).stdout
    assert "2 versions made from 2 places of the graph." in shown
    assert shown.index("production") < shown.index(used.reference) < shown.index("staging")
    assert "dataset joined.csv" in shown
    assert "clean" not in shown
    found = json.loads(run("vera", 0, "impact", *since, "--json").stdout)
    assert {each["reference"] for each in found["results"]} == {used.reference, asked.version.reference}
    assert run("vera", 2, "impact", "--repository", str(tmp_path), "--commit", "no-such-tag").exit_code == 2
    assert "go together" in run("vera", 2, "impact", *since, "--quarantine").stderr

    refused = run("eve", 1, "impact", *since, "--quarantine", "--reason", WHY).stderr
    assert "version.quarantine" in refused
    placed = run("cora", 0, "impact", *since, "--quarantine", "--reason", WHY).stdout
    assert "2 versions are under quarantine now" in placed
    assert f"The promotion of {asked.version.reference} to production is void." in " ".join(placed.split())
    assert f"assay rollback {cast.namespace.name}/scorer" in placed
    detail = run("vera", 0, "show", asked.version.reference).stdout
    assert "under quarantine" in detail
    assert WHY in detail
    assert run("vera", 0, "show", used.reference).stdout.splitlines()[0].split()[1] == "production"

    reference = asked.version.reference
    again = run("eve", 1, "promote", reference, "production", "--reason", "Please.").stderr
    assert WHY.rstrip(".") in " ".join(again.split())
    own = run("cora", 1, "quarantine", reference, "--lift", "--reason", "Fine.").stderr
    assert "somebody else must lift it" in " ".join(own.split())
    dora = create_user(username=f"dora-{cast.namespace.name}", by=SYSTEM)
    hold_role(cast.namespace, dora, "production_operator")
    cast.people["dora"], cast.secrets["dora"] = dora, issue_token(user=dora, name="test", by=SYSTEM)[1]
    lifted = run("dora", 0, "quarantine", reference, "--lift", "--reason", "The labels were right.").stdout
    assert lifted == f"{reference} is free again.\n"
    assert "quarantine" not in run("vera", 0, "show", reference).stdout
    log = run("vera", 0, "log", cast.namespace.name).stdout
    assert log.count("version.quarantined") == 2
    assert log.count("version.quarantine_lifted") == 1


def test_naming_versions(cast: Cast, run: Run) -> None:
    version = ready_version(cast)
    first = run("cora", 0, "quarantine", version.reference, "--reason", WHY).stdout
    assert first.startswith("1 version is under quarantine now")
    assert "Nothing new" in run("cora", 0, "quarantine", version.reference, "--reason", WHY).stdout
    assert run("cora", 2, "quarantine", "no-reference", "--reason", WHY).exit_code == 2


def test_the_client_asks_page_after_page(cast: Cast, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [ready_version(cast) for _ in range(5)]
    monkeypatch.setattr("assay.incidents.PAGE", 2)
    with assay.Client(live.url, cast.token("vera")) as vera:
        found = vera.impact(dataset=[TRAINING])
        assert sorted(each["reference"] for each in found["results"]) == sorted(v.reference for v in made)
        assert found["stages"]["development"] == 5
        root = DatasetVersion.objects.get(dataset__namespace=cast.namespace, digest=TRAINING)
        pages = list(vera.graph(str(root.pk), direction="down", limit=3))
        nodes: list[Any] = [node for page in pages for node in page["nodes"]]
        assert len(pages) == 4
        assert len(nodes) == len({node["id"] for node in nodes}) == 11
        way = vera.path(made[0].reference, str(root.pk))
        assert [node["kind"] for node in way["nodes"]] == ["model_version", "run", "dataset_version"]
        assert vera.quarantines() == []
