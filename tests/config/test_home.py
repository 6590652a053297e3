"""ASSAY_HOME: what it keeps, and what it never touches."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from config.embedded.home import PORTS, Home, HomeIsBusy, is_free, walkable
from config.embedded.programs import CHECKOUT


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.prepare()
    return made


def test_it_is_made_private(home: Home) -> None:
    others_may_walk = 0o711 if os.geteuid() == 0 else 0o700
    assert mode(home.path) == others_may_walk
    assert mode(home.folder("anything")) == 0o700


def test_a_folder_that_was_there_keeps_its_permissions(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    before = [(folder, folder.stat()) for folder in (theirs, *theirs.parents)]
    home = Home(theirs)
    home.prepare()
    home.reachable_folder("postgres")
    for folder, was in before:
        assert (folder.stat().st_mode, folder.stat().st_uid) == (was.st_mode, was.st_uid)


def test_what_the_unprivileged_account_cannot_reach_is_kept_elsewhere(tmp_path: Path) -> None:
    open_folder, closed = tmp_path / "open", tmp_path / "closed"
    open_folder.mkdir(mode=0o755)
    closed.mkdir(mode=0o700)
    chosen = Home(closed).reachable_folder("postgres")
    if os.geteuid() == 0:
        assert not walkable(closed)
        assert chosen.is_relative_to("/var/lib/assay")
    else:
        assert chosen == closed / "postgres"
    assert Home(closed).reachable_folder("postgres") == chosen


def test_secrets_are_made_once_and_only_their_owner_reads_them(home: Home) -> None:
    first = home.secret("one")
    assert first != home.secret("two")
    assert Home(home.path).secret("one") == first
    assert len(first) >= 43
    assert mode(home.path / "secrets.json") == 0o600


def test_ports_are_kept(home: Home) -> None:
    first = home.ports("a", "b")
    assert len(set(first)) == 2
    assert all(port in PORTS for port in first)
    assert Home(home.path).ports("a", "b") == first
    assert home.known_ports() == dict(zip("ab", first, strict=True))


def test_a_port_that_a_dying_process_holds_is_waited_for(home: Home) -> None:
    (first,) = home.ports("a")
    server = socket.create_server(("127.0.0.1", first))
    threading.Timer(0.3, server.close).start()
    assert home.ports("a") == [first]


def test_a_port_that_was_taken_meanwhile_is_replaced(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.embedded.home.DYING_SECONDS", 0.1)
    (first,) = home.ports("a")
    with socket.create_server(("127.0.0.1", first)):
        assert not is_free(first)
        (second,) = home.ports("a")
    assert second != first
    assert home.ports("a") == [second]


def test_the_run_file_is_private_and_goes(home: Home) -> None:
    home.write_run_file({"DATABASE_URL": "postgresql://a:b@c/d?e=f"})
    file = home.path / "run.env"
    assert mode(file) == 0o600
    assert "DATABASE_URL=postgresql://a:b@c/d?e=f\n" in file.read_text()
    home.remove_run_file()
    home.remove_run_file()
    assert not file.exists()


def test_two_supervisors_do_not_share_a_home(home: Home) -> None:
    home.lock()
    with pytest.raises(HomeIsBusy, match=f"already runs in {home.path} .process {os.getpid()}."):
        Home(home.path).lock()
    home.unlock()
    other = Home(home.path)
    other.lock()
    other.unlock()


def test_the_lock_ends_with_its_process(home: Home) -> None:
    code = f"""
import os
from pathlib import Path
from config.embedded.home import Home
Home(Path({str(home.path)!r})).lock()
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False).returncode == 9
    home.lock()
    home.unlock()
