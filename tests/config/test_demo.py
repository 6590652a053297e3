"""The demonstration, as a stranger runs it: from nothing, and again over the same data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.embedded.home import free_port
from config.environment import CHECKOUT

# What the tests' own services are reached by: the demonstration starts its own.
OURS = ("DATABASE_", "REDIS_", "S3_", "ASSAY_", "DJANGO_")


@pytest.mark.timeout(400)
def test_every_claim_holds(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    for folder in (home, *home.parents[:2]):
        folder.chmod(0o755)  # as root, Postgres runs as nobody and must be able to walk there
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    done = subprocess.run(
        [sys.executable, "manage.py", "demo", "--port", str(free_port())],
        cwd=CHECKOUT,
        env={**environment, "ASSAY_HOME": str(home)},
        text=True,
        capture_output=True,
        timeout=380,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    kept = json.loads((home / "demo.json").read_text())
    assert [v["stage"] for v in kept["versions"].values()] == ["archived", "production", "staging"]
    assert len(kept["claims"]) >= 25
    assert "one-time password" in done.stdout
    assert oct((home / "demo.json").stat().st_mode)[-3:] == "600"
    assert not running_in(home)


def running_in(home: Path) -> list[str]:
    """Commands that still name the home, that is, that were left behind."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, UnicodeDecodeError):
                continue
            if str(home) in command:
                found.append(command)
    return found
