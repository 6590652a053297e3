"""For an auditor with no access: one command saves a version's evidence, and another one checks it with no server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assay.cli.app import app
from tests.cast import Cast
from tests.conftest import Live
from tests.journeys.conftest import Run
from tests.journeys.test_command_line import promoted, published
from tests.journeys.test_running import folded

pytestmark = pytest.mark.django_db(transaction=True)


def test_saved_and_checked(
    run: Run, cast: Cast, live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reference = published(run, cast, live, tmp_path / "one", "a", 3, "0.91")
    promoted(run, reference)
    run("cora", 0, "deployed", reference, "--target", "eu-1")
    assert "auditor" in run("ben", 1, "evidence", reference).stderr

    said = folded(run("otto", 0, "evidence", reference.partition(":")[0]).stdout)
    assert f"Evidence of {reference} is saved." in said
    html, saved = sorted(tmp_path.glob("*.evidence.*"))
    assert (html.suffix, saved.suffix) == (".html", ".json")
    document = json.loads(saved.read_text())
    assert document["digest"] in html.read_text()
    assert (
        document["digest"]
        in run("otto", 0, "log", cast.namespace.name, "--type", "evidence.exported", "--json").stdout
    )

    def alone(code: int, *arguments: str) -> str:
        """Where there is no server and no token."""
        nobody = {"ASSAY_URL": "http://127.0.0.1:9", "ASSAY_TOKEN": ""}
        result = CliRunner().invoke(app, ["verify", *arguments], env=nobody)
        assert result.exit_code == code, result.output
        return folded(result.output)

    told = alone(0, str(saved))
    assert "ok Nothing in it was changed since its digest was made." in told
    assert f"{reference} ok Its 1 file make" in told
    assert "ok The promotion to production: every gate passed or was waived; approved by cora" in told
    assert "NOT" not in told
    later = tmp_path / "later.json"
    run("otto", 0, "evidence", reference, "-o", str(later))
    assert "documents have are the same" in alone(0, str(later), "--against", str(saved))

    document["versions"][0]["promotions"][-1]["approvals"][0]["reason"] = "Not read."
    saved.write_text(json.dumps(document))
    assert "NOT It was changed" in alone(1, str(saved))
    assert json.loads(CliRunner().invoke(app, ["verify", str(saved), "--json"]).stdout)["ok"] is False

    period = ("evidence", cast.namespace.name, "--since", "2020-01-01T00:00:00Z")
    of_all = json.loads(run("otto", 0, *period, "--json").stdout)
    assert [told["version"]["reference"] for told in of_all["versions"]] == [reference]
    run("otto", 2, "evidence", cast.namespace.name)
    run("otto", 2, "evidence", reference, "--since", "2020-01-01T00:00:00Z")
    run("otto", 2, "evidence", reference, "-o", "evidence.pdf")
