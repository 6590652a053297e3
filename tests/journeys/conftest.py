"""Who works at the real server: Ben with his client, and the cast in a shell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import assay
from assay.cli.app import app
from tests.cast import Cast
from tests.conftest import Live, Process

Run = Callable[..., Result]


@pytest.fixture
def ben(live: Live, worker: Process, cast: Cast) -> Iterator[assay.Client]:
    with assay.Client(live.url, cast.token("ben")) as client:
        yield client


@pytest.fixture
def model(cast: Cast) -> str:
    return f"{cast.namespace.name}/scorer"


@pytest.fixture
def run(cast: Cast, live: Live, worker: Process, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """`run("eve", 0, "show", ...)`: a command as one of the cast, which must end with that exit code."""
    monkeypatch.setenv("ASSAY_URL", live.url)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def command(who: str, code: int, *arguments: str) -> Result:
        monkeypatch.setenv("ASSAY_TOKEN", cast.token(who))
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, result.output + result.stderr
        assert "--json" in arguments or all(len(line) <= 80 for line in result.stdout.splitlines())
        return result

    return command
