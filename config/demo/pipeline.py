"""A small CI: it hears by webhook, verifies who speaks, evaluates and checks versions, and writes back.

Run by the demonstration as a process of its own: `python -m config.demo.pipeline`, settings by environment
(ASSAY_URL, ASSAY_TOKEN, PIPELINE_PORT, PIPELINE_SECRET_FILE, PIPELINE_HELD_OUT). It holds a service token and
knows nothing of the server but its REST interface.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io
from standardwebhooks import Webhook, WebhookVerificationError

import assay

LARGEST_CALL = 1_000_000
SLOWEST_ROW_MS = 5.0


class Pipeline:
    """The work, one event after another; an event that was delivered twice is done once."""

    def __init__(self, client: assay.Client, held_out: Path) -> None:
        self.client = client
        self.held_out = held_out
        self.digest = f"sha256:{hashlib.sha256(held_out.read_bytes()).hexdigest()}"
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.done: set[object] = set()

    def work(self) -> None:
        """For ever."""
        while True:
            event = self.events.get()
            if event["data"]["id"] in self.done:
                continue
            self.done.add(event["data"]["id"])
            try:
                self.handle(event)
            except assay.AssayError as refusal:
                say(f"{event['type']}: {refusal}")

    def handle(self, event: dict[str, Any]) -> None:
        """Evaluate what became ready; check what is asked into production."""
        after = event["data"].get("after") or {}
        if event["type"] == "version.ready":
            self.evaluate(event["data"]["subject"]["reference"])
        elif event["type"] == "promotion.requested" and after.get("target") == "production":
            self.check(after["version"])

    def evaluate(self, reference: str) -> None:
        """Measure on the held-out data, which no training script ever sees."""
        model, rows = self.load(reference)
        accuracy = float(model.score(rows.drop(columns="label"), rows["label"]))
        self.client.evaluate(
            reference,
            (self.held_out.name, self.digest),
            metrics={"accuracy": accuracy},
            split="test",
            evaluator="ci/evaluate.py",
        )
        say(f"{reference}: accuracy {accuracy:.4f} on {self.held_out.name}, written back")

    def check(self, reference: str) -> None:
        """The integration test: the model answers for rows as they come, quickly, with labels that exist."""
        model, rows = self.load(reference)
        sample = rows.drop(columns="label").head(200)
        began = time.perf_counter()
        answers = model.predict(sample)
        milliseconds = (time.perf_counter() - began) * 1000 / len(sample)
        known = set(rows["label"])
        passed = milliseconds < SLOWEST_ROW_MS and {int(a) for a in answers} <= known
        sentence = (
            f"{len(sample)} rows answered in {milliseconds:.3f} ms each, all of {len(known)} known labels"
        )
        self.client.check(reference, "integration", "pass" if passed else "fail", sentence=sentence)
        say(f"{reference}: integration {'passed' if passed else 'failed'}: {sentence}")

    def load(self, reference: str) -> tuple[Any, pd.DataFrame]:
        """The version's model, pulled and verified, and the held-out rows."""
        with tempfile.TemporaryDirectory() as folder:
            pulled = self.client.pull(reference, Path(folder) / "model")
            file = pulled if pulled.is_file() else next(pulled.glob("*.skops"))
            types = skops.io.get_untrusted_types(file=file)
            model = skops.io.load(file, trusted=types)
        return model, pd.read_csv(self.held_out)


def handler(pipeline: Pipeline, secret: str) -> type[BaseHTTPRequestHandler]:
    """What answers the webhook: 204 for a genuine call, 401 for any other."""
    verifier = Webhook(secret)

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            if length > LARGEST_CALL:
                self.send_error(413)
                return
            body = self.rfile.read(length)
            try:
                verifier.verify(body, {k.lower(): v for k, v in self.headers.items()})
            except WebhookVerificationError:
                say("a call without a genuine signature: refused")
                self.send_error(401)
                return
            pipeline.events.put(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    return Receiver


def say(text: str) -> None:
    """One line to whoever reads."""
    print(text, flush=True)


def main() -> None:
    """Serve until killed."""
    secret = Path(os.environ["PIPELINE_SECRET_FILE"]).read_text()
    pipeline = Pipeline(assay.Client(), Path(os.environ["PIPELINE_HELD_OUT"]))
    threading.Thread(target=pipeline.work, daemon=True).start()
    address = ("127.0.0.1", int(os.environ["PIPELINE_PORT"]))
    ThreadingHTTPServer(address, handler(pipeline, secret)).serve_forever()


if __name__ == "__main__":
    main()
