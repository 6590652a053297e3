"""Hears of new versions and starts a command for each: `python receiver.py COMMAND ...`.

A call is believed when Standard Webhooks' signature holds; it is written to the spool before it is answered, so what
was taken is done even if this process dies. The command finds ASSAY_VERSION (`namespace/model:3`) and ASSAY_EVENT (the
webhook's id) in its environment. One that ends with 0 or 1 is done; any other code is tried again. An event that
comes twice is done once.

Environment: PIPELINE_SECRET_FILE, the `whsec_...` that creating the webhook showed; PIPELINE_SPOOL, a folder;
PIPELINE_LISTEN, by default 127.0.0.1:8100; PIPELINE_RETRY_SECONDS, by default 60. Put TLS in front of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

# Told once the bytes are proven, when the version can be pulled; `version.registered` comes before that.
HEARD = "version.ready"
LARGEST_CALL = 1_000_000
MOST_ATTEMPTS = 5
NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
VERSION = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+:[1-9][0-9]*")
# (version, event) -> the exit code of the work.
Start = Callable[[str, str], int]


class Spool:
    """What was heard, a file each: `<id>.json` until it is done, then `<id>.done`, or `<id>.failed`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, event: str, version: str) -> bool:
        """Keep it, whole or not at all. False: it was heard before."""
        if any((self.folder / f"{event}.{state}").exists() for state in ("json", "done", "failed")):
            return False
        # Under another name until it is whole: one that was cut off is not taken for heard.
        beside = self.folder / f"{event}.new"
        beside.write_text(json.dumps({"version": version}))
        beside.rename(self.folder / f"{event}.json")
        return True

    def waiting(self) -> list[tuple[str, str]]:
        """(event, version) of what is not done, the oldest first."""
        files = sorted(self.folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
        return [(file.stem, json.loads(file.read_text())["version"]) for file in files]

    def close(self, event: str, ending: str) -> None:
        """It is done, or given up."""
        (self.folder / f"{event}.json").rename(self.folder / f"{event}.{ending}")


class Receiver:
    """The two halves: what hears and keeps, and what works off what was kept, one after another."""

    def __init__(self, secret: str, spool: Spool, start: Start, retry: float = 60.0) -> None:
        self.verifier, self.spool, self.start, self.retry = Webhook(secret), spool, start, retry
        self.attempts: dict[str, int] = {}
        self.news = threading.Event()

    def hear(self, headers: dict[str, str], body: bytes) -> int:
        """The status to answer a call with."""
        try:
            self.verifier.verify(body, headers)
        except WebhookVerificationError as refusal:
            say(f"refused a call that is not genuine: {refusal}")
            return 401
        told: dict[str, Any] = json.loads(body)
        event, version = headers["webhook-id"], str(told["data"]["subject"].get("reference", ""))
        if told["type"] != HEARD:
            return 204
        if not NAME.fullmatch(event) or not VERSION.fullmatch(version):
            say("refused a call whose id or version is none")
            return 400
        if self.spool.add(event, version):
            say(f"{event}: {version} is ready")
            self.news.set()
        else:
            say(f"{event}: heard before, nothing to do")
        return 204

    def work(self) -> None:
        """Work off the spool, for ever; at first what an earlier process left."""
        while True:
            self.news.clear()
            for event, version in self.spool.waiting():
                self._work_off(event, version)
            self.news.wait(self.retry if self.spool.waiting() else None)

    def _work_off(self, event: str, version: str) -> None:
        ended = self.start(version, event)
        self.attempts[event] = self.attempts.get(event, 0) + 1
        if ended in (0, 1):
            self.spool.close(event, "done")
        elif self.attempts[event] >= MOST_ATTEMPTS:
            self.spool.close(event, "failed")
        say(f"{event}: {version} ended with {ended}")


def command(words: list[str]) -> Start:
    """What starts the command, with the version and the event in its environment and in no shell."""

    def start(version: str, event: str) -> int:
        environment = {**os.environ, "ASSAY_VERSION": version, "ASSAY_EVENT": event}
        return subprocess.run(words, env=environment, check=False).returncode

    return start


def serve(listen: str, receiver: Receiver) -> None:
    """Answer calls at `host:port` until killed."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = self.headers.get("Content-Length") or ""
            if not length.isdecimal() or int(length) > LARGEST_CALL:
                self.send_error(413 if length.isdecimal() else 411)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.hear(headers, self.rfile.read(int(length))))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    host, _, port = listen.rpartition(":")
    threading.Thread(target=receiver.work, daemon=True).start()
    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()


def say(text: str) -> None:
    """One line to the log."""
    print(text, flush=True)


def main() -> None:
    """Serve until killed."""
    if len(sys.argv) < 2:
        sys.exit("Name the command to start: python receiver.py python pipeline.py")
    receiver = Receiver(
        Path(os.environ["PIPELINE_SECRET_FILE"]).read_text().strip(),
        Spool(Path(os.environ["PIPELINE_SPOOL"])),
        command(sys.argv[1:]),
        retry=float(os.environ.get("PIPELINE_RETRY_SECONDS", "60")),
    )
    serve(os.environ.get("PIPELINE_LISTEN", "127.0.0.1:8100"), receiver)


if __name__ == "__main__":
    main()
