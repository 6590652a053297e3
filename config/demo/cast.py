"""The people of the demonstration, each with a token of their own, and the pipeline that one of them owns."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import assay
from config.embedded.supervisor import Stack
from config.environment import CHECKOUT

# name -> the roles they hold. eve holds two on purpose: that alone does not let her approve her own request.
PEOPLE = {
    "ada": ["namespace_admin"],
    "ben": ["data_scientist"],
    "eve": ["ml_engineer", "production_operator"],
    "cora": ["production_operator"],
    "otto": ["auditor"],
    "ci": ["data_scientist"],
}
SERVICES = {"ci": "ada"}


class Cast:
    """Clients by name, and the namespace they work in."""

    def __init__(self, stack: Stack, namespace: str) -> None:
        self.stack, self.namespace = stack, namespace
        self.tokens: dict[str, str] = {}
        self.clients: dict[str, assay.Client] = {}

    def enter(self) -> None:
        """Make the namespace, the people, their roles and tokens, as an administrator does in a shell."""
        self._enter("ada")  # first: she makes the namespace, and answers for ci
        with ThreadPoolExecutor(max_workers=2) as shells:
            list(shells.map(self._enter, [name for name in PEOPLE if name != "ada"]))
        self.clients = {name: assay.Client(self.stack.url, token) for name, token in self.tokens.items()}

    def _enter(self, name: str) -> None:
        for role in PEOPLE[name]:
            self.tokens[name] = self.stack.token(name, role, self.namespace, owner=SERVICES.get(name))

    def __getitem__(self, name: str) -> assay.Client:
        return self.clients[name]


class PipelineProcess:
    """The CI as a process; what it prints is handed to `heard`."""

    def __init__(self, cast: Cast, port: int, held_out: Path, secret_file: Path) -> None:
        self.url = f"http://127.0.0.1:{port}/assay"
        self.lines: list[str] = []
        self._cast, self._port, self._held_out, self._secret_file = cast, port, held_out, secret_file
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, with ci's token, and read along."""
        environment = {
            **{name: value for name, value in os.environ.items() if name != "ASSAY_SETTINGS"},
            "ASSAY_URL": self._cast.stack.url,
            "ASSAY_TOKEN": self._cast.tokens["ci"],
            "PYTHONPATH": str(CHECKOUT / "examples" / "pipeline"),
            "PIPELINE_LISTEN": f"127.0.0.1:{self._port}",
            "PIPELINE_SECRET_FILE": str(self._secret_file),
            "PIPELINE_SPOOL": str(self._secret_file.with_name("spool")),
            "PIPELINE_HELD_OUT": str(self._held_out),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "config.demo.pipeline"],
            cwd=CHECKOUT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def _read(self, process: Any) -> None:
        for line in process.stdout:
            self.lines.append(line.rstrip())

    def said(self, beginning: str) -> list[str]:
        """Its lines that begin so."""
        return [line for line in self.lines if line.startswith(beginning)]

    def stop(self) -> None:
        """End it."""
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=10)
