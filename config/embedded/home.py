"""ASSAY_HOME: the one folder in which the embedded services keep data, secrets, ports and logs."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import random
import secrets
import socket
import time
from collections.abc import Mapping
from pathlib import Path

# Below the kernel's ephemeral range: no outgoing connection takes the port of a service that restarts.
PORTS = range(20000, 32000)
# What a killed start leaves behind ends a moment after it, and then its ports are free.
DYING_SECONDS = 3.0
RUN_FILE = "run.env"


class HomeIsBusy(RuntimeError):
    """Another supervisor runs over the same folder."""


def walkable(path: Path) -> bool:
    """Whether an unprivileged account can walk to `path` (which must exist)."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.resolve().parents))


def make_walkable(path: Path) -> None:
    """Make the folder and its missing parents: private, but as root such that others may walk through."""
    mode = 0o711 if os.geteuid() == 0 else 0o700
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(mode)  # whatever the umask says


class Home:
    """The folder's layout; what it generates (secrets, ports) is kept, so that a restart finds the same."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    def prepare(self) -> None:
        """Make the folder, private to its user; as root, others may walk through it but not list it.

        Postgres drops to `nobody`, who has to reach its data. A folder that exists keeps its permissions.
        """
        make_walkable(self.path)

    def lock(self) -> None:
        """Take the folder for this process until it ends. Raises HomeIsBusy with a sentence."""
        self.prepare()
        file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 32).decode().strip() or "unknown"
            os.close(file)
            raise HomeIsBusy(
                f"Assay already runs in {self.path} (process {holder}). "
                "Stop that one first, or set ASSAY_HOME to another folder."
            ) from None
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._lock = file

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def folder(self, *names: str) -> Path:
        """A private folder below the home, made when missing."""
        path = self.path.joinpath(*names)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def log(self, name: str) -> Path:
        return self.folder("logs") / f"{name}.log"

    def reachable_folder(self, name: str) -> Path:
        """Where data of the unprivileged account lies: in the home, or, when that account cannot walk to
        the home, below /var/lib/assay. The permissions of the user's own folders are never changed.
        """
        if os.geteuid() != 0 or walkable(self.path):
            return self.path / name
        digest = hashlib.sha256(str(self.path).encode()).hexdigest()[:12]
        return Path("/var/lib/assay") / f"home-{digest}" / name

    def secret(self, name: str, length: int = 32) -> str:
        """A secret generated once. `length` is in bytes of randomness."""
        kept = self._read("secrets.json")
        if name not in kept:
            kept[name] = secrets.token_urlsafe(length)
            self._write("secrets.json", kept)
        return str(kept[name])

    def hex_secret(self, name: str) -> str:
        """32 random bytes as hexadecimal digits, generated once."""
        return base64.urlsafe_b64decode(f"{self.secret(name, 32)}=").hex()

    def ports(self, *names: str) -> list[int]:
        """One free loopback port a name: that of the last start where it is still free, or becomes so at once."""
        kept = self.known_ports()
        taken = {port for name, port in kept.items() if name not in names}
        chosen: dict[str, int] = {}
        deadline = time.monotonic() + DYING_SECONDS
        for name in names:
            port = kept.get(name, 0)
            if not port or not _becomes_free(port, deadline):
                port = free_port(taken)
            chosen[name] = port
            taken.add(port)
        if any(kept.get(name) != port for name, port in chosen.items()):
            self._write("ports.json", {**kept, **chosen})
        return [chosen[name] for name in names]

    def known_ports(self) -> dict[str, int]:
        """The ports of the last start, by name."""
        return {name: port for name, port in self._read("ports.json").items() if isinstance(port, int)}

    def write_run_file(self, values: Mapping[str, str]) -> None:
        """Leave the settings of the running stack for other shells (0600)."""
        text = "# Written by manage.py up; read by manage.py when no address is set. Holds secrets.\n"
        self._replace(RUN_FILE, text + "".join(f"{name}={value}\n" for name, value in values.items()))

    def remove_run_file(self) -> None:
        (self.path / RUN_FILE).unlink(missing_ok=True)

    def _read(self, name: str) -> dict[str, object]:
        try:
            return dict(json.loads((self.path / name).read_text()))
        except FileNotFoundError:
            return {}

    def _write(self, name: str, values: Mapping[str, object]) -> None:
        self._replace(name, json.dumps(values, indent=1) + "\n")

    def _replace(self, name: str, text: str) -> None:
        write_private(self.path / name, text)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as out:
        out.write(text)
    temporary.replace(path)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _becomes_free(port: int, deadline: float) -> bool:
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def free_port(taken: set[int] | None = None) -> int:
    """A loopback port nobody listens on now."""
    for port in random.sample(PORTS, 500):
        if port not in (taken or set()) and is_free(port):
            return port
    raise RuntimeError(f"No free loopback port between {PORTS.start} and {PORTS.stop}.")
