"""The whole stack as one object: services that are not given by URL, then web, workers and beat over them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from config.buckets import client_for, make_buckets
from config.embedded.home import Home, free_port, is_free
from config.embedded.postgres import APP, OWNER, Postgres
from config.embedded.process import Child, end_orphan
from config.embedded.programs import CHECKOUT, UPKEEP, beat, python_environment, web, worker
from config.embedded.seaweedfs import ACCESS_KEY, SeaweedFS
from config.embedded.valkey import Valkey

Service = Postgres | Valkey | SeaweedFS
PROCESSES = ("web", "worker", "upkeep", "beat")
WEB_PORT = 8000
SERVICES = ("store", "broker", "database")  # in the order in which they are stopped


class CannotStart(RuntimeError):
    """The stack cannot start; the message says what to change."""


class Stack:
    """The services and processes of one ASSAY_HOME. A context manager: leaving it stops everything.

    `given` is the environment: what it sets wins, and a service whose address it holds is not started.
    Names of children: database, broker, store; web, worker, upkeep, beat.
    """

    def __init__(
        self,
        home: Path,
        *,
        given: Mapping[str, str] | None = None,
        port: int | None = None,
        durable: bool = True,
    ) -> None:
        self.home = Home(home)
        self.given = {
            k: v for k, v in (os.environ if given is None else given).items() if k != "ASSAY_SETTINGS"
        }
        self.durable = durable
        self.port = port
        self.env: dict[str, str] = {}
        self.services: dict[str, Service] = {}
        self.children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        self.home.lock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---- starting

    def start_services(self) -> None:
        """Start what is not given by URL, at the same time; then `env` holds every address and secret."""
        if self._is_given("DATABASE_URL") and not self._is_given("DATABASE_OWNER_URL"):
            raise CannotStart(
                "DATABASE_URL is set, DATABASE_OWNER_URL is not: "
                "migrations run as the role that owns the database."
            )
        self.home.prepare()
        for name in SERVICES:  # what a killed supervisor left still holds its port for a moment
            end_orphan(self.home.log(name).with_suffix(".pid"))
        if not self._is_given("REDIS_URL"):
            self.services["broker"] = Valkey(self.home)
        if not self._is_given("S3_ENDPOINT_URL"):
            self.services["store"] = SeaweedFS(self.home)
        if not self._is_given("DATABASE_URL"):
            self.services["database"] = Postgres(self.home, durable=self.durable)
        for name, service in self.services.items():
            self.children[name] = service.spawn()
        for service in self.services.values():
            service.wait_ready()
        self.env = self._environment()

    def prepare(self) -> str | None:
        """Migrate, make buckets; on the first start an administrator: the one-time password, or None."""
        said = self.manage("migrate", "--noinput", "--skip-checks", "--verbosity", "0", "--create-admin")
        self.make_buckets()
        return said.strip() or None

    def make_buckets(self) -> None:
        env = self.environ()
        client = client_for(
            self.setting("S3_ENDPOINT_URL"),
            self.setting("S3_ACCESS_KEY_ID"),
            self.setting("S3_SECRET_ACCESS_KEY"),
            env.get("S3_REGION", "us-east-1"),
        )
        names = {"HOT": "assay-hot", "COLD": "assay-cold", "ATTACHMENTS": "assay-attachments"}
        try:
            make_buckets(client, [env.get(f"S3_BUCKET_{kind}", name) for kind, name in names.items()])
        finally:
            client.close()

    def start_processes(self, timeout: float = 60.0) -> None:
        """Start web, workers and beat, and return when all are ready."""
        env = self.environ()
        port = self._web_port()
        self.children["web"] = web(env, self.home.log("web"), port)
        self.children["worker"] = worker(env, self.home.log("worker"))
        self.children["upkeep"] = worker(
            env, self.home.log("upkeep"), queues=UPKEEP, concurrency=1, name="upkeep"
        )
        self.children["beat"] = beat(env, self.home.log("beat"), self.home.folder("beat"))
        for name in PROCESSES:
            self.children[name].start()
        waiting = list(PROCESSES)
        deadline = time.monotonic() + timeout
        while waiting:
            for name in PROCESSES:
                self.children[name].check_alive(time.monotonic() < deadline or name not in waiting)
            waiting = [name for name in waiting if not self._is_ready(name)]
            time.sleep(0.1)
        self.home.write_run_file(self.env)

    # ---- one child

    def start(self, name: str, *, wait: bool = True) -> None:
        """Start a child that was stopped or killed, on the port it had."""
        self.children[name].start()
        if wait:
            self.wait_ready(name)

    def kill(self, name: str) -> None:
        """kill -9 of a child and everything it started."""
        self.children[name].kill()

    def stop_child(self, name: str) -> None:
        """Ask a child to end, and wait for it."""
        self.children[name].stop()

    def restart(self, name: str) -> None:
        self.stop_child(name)
        self.start(name)

    def wait_ready(self, name: str, timeout: float = 60.0) -> None:
        """Return when the child does its work. Raises ChildFailed with the end of its log."""
        if name in self.services:
            self.services[name].wait_ready()
            if name == "store":
                self.make_buckets()
        else:
            self.children[name].wait_until(lambda: self._is_ready(name), timeout, every=0.1)

    def _is_ready(self, name: str) -> bool:
        if name == "web":
            return serves(f"{self.url}/healthz")
        sign = "beat: Starting..." if name == "beat" else " ready."
        return sign in self.children[name].output()

    # ---- stopping

    def stop(self, *, fast: bool = False) -> None:
        """Stop web, workers and beat, then the services. `fast` kills: for data that is thrown away."""
        self.home.remove_run_file()
        for group in (PROCESSES, SERVICES):
            children = [self.children[name] for name in group if name in self.children]
            for child in children:  # all are asked before the first is waited for
                child.signal(signal.SIGKILL if fast else child.stop_signal)
            for child in children:
                child.wait_or_kill()
        for service in self.services.values():
            if isinstance(service, SeaweedFS):
                service.tidy()
        self.home.unlock()

    # ---- settings

    @property
    def url(self) -> str:
        """Where the web process listens."""
        return f"http://127.0.0.1:{self._web_port()}"

    def environ(self) -> dict[str, str]:
        """A process's environment: what was given and the stack's settings, without the owner's password."""
        env = python_environment({**self.given, **self.env})
        for name in ("DATABASE_OWNER_URL", "DATABASE_OWNER_URL_FILE"):
            env.pop(name, None)
        return env

    def manage(self, *command: str, owner: bool | None = None) -> str:
        """What a `manage.py` command printed; `migrate`, and others where it is said, get the owner's password. Or
        CannotStart."""
        env = self.environ()
        if owner or (owner is None and command[0] == "migrate"):
            env.update(
                {k: v for k, v in {**self.given, **self.env}.items() if k.startswith("DATABASE_OWNER_URL")}
            )
        done = subprocess.run(
            [sys.executable, str(CHECKOUT / "manage.py"), *command],
            check=False, capture_output=True, text=True, env=env, cwd=CHECKOUT,
        )  # fmt: skip
        if done.returncode:
            raise CannotStart(f"manage.py {command[0]} failed:\n{(done.stdout + done.stderr).strip()}")
        return done.stdout

    def token(self, user: str, role: str, namespace: str, *, owner: str | None = None) -> str:
        """A token of a user in a namespace, all made where they are not there; with an owner, a service's."""
        command = ["issue_token", "--user", user, "--role", role, "--namespace", namespace, "--create"]
        # The role that takes two people is given at the host by the owner of the database alone.
        as_owner = True if role == "production_operator" else None
        return self.manage(*command, *(["--owner", owner] if owner else []), owner=as_owner).strip()

    def setting(self, name: str) -> str:
        """A setting as a process of ours would read it, from the environment or from a file it names."""
        env = {**self.given, **self.env}
        if value := env.get(name):
            return value
        if path := env.get(f"{name}_FILE"):
            return Path(path).read_text().strip()
        raise CannotStart(f"Set {name} (or {name}_FILE).")

    def _is_given(self, name: str) -> bool:
        return bool(self.given.get(name) or self.given.get(f"{name}_FILE"))

    def _environment(self) -> dict[str, str]:
        values = {"ASSAY_HOME": str(self.home.path)}
        if not self._is_given("ASSAY_SECRET_KEY"):
            values["ASSAY_SECRET_KEY"] = self.home.secret("django", 48)
        if not self._is_given("ASSAY_JOURNAL_KEY"):
            values["ASSAY_JOURNAL_KEY"] = self.home.hex_secret("journal")
        if not self._is_given("ASSAY_PUBLIC_URL"):
            values["ASSAY_PUBLIC_URL"] = self.url
        for service in self.services.values():
            if isinstance(service, Postgres):
                values |= {"DATABASE_URL": service.url(APP), "DATABASE_OWNER_URL": service.url(OWNER)}
            elif isinstance(service, Valkey):
                values["REDIS_URL"] = service.url()
            else:
                values |= {
                    "S3_ENDPOINT_URL": service.url(),
                    "S3_ACCESS_KEY_ID": ACCESS_KEY,
                    "S3_SECRET_ACCESS_KEY": service.secret_key(),
                }
        return values

    def _web_port(self) -> int:
        """The port asked for, else 8000, else, when somebody else has that, a free one."""
        if self.port is None:
            self.port = WEB_PORT if is_free(WEB_PORT) else free_port()
        return self.port


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def serves(url: str) -> bool:
    """Whether a GET is answered, and not by an error of the server."""
    try:
        with _DIRECT.open(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except (urllib.error.URLError, OSError):
        return False
