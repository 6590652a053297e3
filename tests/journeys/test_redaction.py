"""At three in the morning: a token is in a run's command line. Found, asked, approved by another, gone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from assay.cli import app
from lineage.models import Run
from tests.cast import make_cast
from tests.conftest import Live
from tests.lineage.scenes import a_run, a_version
from tests.registry.redaction.planting import columns_that_hold

SECRET = "ghp_aTokenThatWasPasted4711"


@pytest.mark.django_db(transaction=True)
def test_the_way_by_the_command_line(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    cast = make_cast()
    monkeypatch.setenv("ASSAY_URL", live.url)
    monkeypatch.setenv("COLUMNS", "100")
    space = cast.namespace.name

    def assay(who: str, code: int, *arguments: str, text: str | None = None) -> Any:
        monkeypatch.setenv("ASSAY_TOKEN", cast.token(who))
        result = CliRunner().invoke(app, ["redact", *arguments], input=text)
        assert result.exit_code == code, result.output + result.stderr
        assert SECRET not in result.output
        return result

    run = a_run(cast, command=["python", "train.py", SECRET], parameters={"token": SECRET})
    a_version(cast, run)
    found = assay("ada", 0, "find", space, text=f"{SECRET}\n").stdout
    assert "command[2]" in found
    assert "parameters.token" in found  # the version's snapshot
    assert "Refused" in assay("ben", 1, "find", space, text=SECRET).stderr
    asked = json.loads(
        assay("ada", 0, "ask", space, "-r", "a token was pasted", "--json", text=SECRET).stdout
    )
    assert "somebody else must decide" in " ".join(assay("ada", 1, "approve", asked["id"]).stderr.split())
    assert Run.objects.get(pk=run.pk).command[2] == SECRET
    done = " ".join(assay("cora", 0, "approve", asked["id"], "-r", "revoked too").stdout.split())
    assert f"taken out {asked['places']}" in done
    assert columns_that_hold(SECRET) == {}
    assert "applied" in assay("vera", 0, "list", space).stdout
