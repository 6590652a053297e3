"""A small HTTP server that plays registry and object store, and fails on demand.

What the real ones do is tested with the real ones, in tests/journeys; this one is for what they do rarely.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from assay.digest import manifest_digest

KIB = 1024


@dataclass
class Asked:
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What goes back; `cut` sends only so many bytes of the body, `reset` nothing at all."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False

    @classmethod
    def of(cls, value: object, status: int = 200) -> Answer:
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    @classmethod
    def problem(cls, status: int, code: str, detail: str, **more: object) -> Answer:
        body = {"type": "", "title": code, "status": status, "code": code, "detail": detail, **more}
        return cls(status, json.dumps(body).encode(), {"Content-Type": "application/problem+json"})

    @classmethod
    def s3_error(cls, status: int, code: str) -> Answer:
        return cls(status, f"<Error><Code>{code}</Code></Error>".encode())


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up on purpose here: nothing to print."""


class StandIn:
    """Plays one upload and one version, `fraud/card:1`. `faults` are asked first, each answering or not."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.faults: list[Callable[[Asked], Answer | None]] = []
        self.routes: dict[tuple[str, str], Callable[[Asked], Answer]] = {}
        self.part_size = 64 * KIB
        self.held: set[str] = set()  # digests the namespace has
        self.held_sizes: set[int] = set()
        self.received_before: dict[int, list[int]] = {}
        self.files: list[dict[str, Any]] = []
        self.parts: dict[tuple[int, int], bytes] = {}
        self.pack: dict[str, Any] | None = None  # in which small files travel
        self.announce: Callable[[Asked], Answer] = lambda asked: _announce(self, asked)
        self.contents: dict[str, bytes] = {}  # path -> bytes of the version
        self.attached: list[bytes] = []  # documents kept with it
        self.listed: list[dict[str, Any]] | None = None  # what the manifest claims, if not the truth
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.store = self.url
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(self, method: str, pattern: str, answer: Answer, times: int = 1) -> None:
        """Answer the next `times` requests of this method and path so."""
        left = [times]

        def fault(asked: Asked) -> Answer | None:
            if asked.method == method and re.search(pattern, asked.path) and left[0] > 0:
                left[0] -= 1
                return answer
            return None

        self.faults.append(fault)

    def count(self, method: str, pattern: str) -> int:
        return sum(asked.method == method and bool(re.search(pattern, asked.path)) for asked in self.asked)

    def answer(self, asked: Asked) -> Answer:
        with self.lock:
            self.asked.append(asked)
            for fault in self.faults:
                if answer := fault(asked):
                    return answer
            if route := self.routes.get((asked.method, asked.path)):
                return route(asked)
            return self._play(asked)

    def version(self) -> dict[str, Any]:
        """The version's JSON."""
        return {
            "id": "v",
            "namespace": "fraud",
            "model": "card",
            "number": 1,
            "reference": "fraud/card:1",
            "status": "ready",
            "status_message": "",
            "stage": "staging",
            "format": "skops",
            "digest": manifest_digest(self.entries()),
            "oms_digest": "",
            "size": 10,
            "files": 1,
            "schema": None,
            "parameters": {"depth": "3"},
            "tags": {"team": "fraud"},
            "description": "",
            "aliases": ["champion"],
            "created_at": "2026-11-23T09:41:00Z",
            "created_by": "ben",
            "run": None,
            "tier": "hot",
            "quarantined": False,
            "safety": "clean",
            "verified_at": None,
            "url": f"{self.url}/fraud/card/1",
            "metrics": [
                {
                    "name": "auc",
                    "value": 0.94312,
                    "dataset": "holdout",
                    "dataset_digest": "sha256:" + "ab" * 32,
                    "split": "test",
                    "slice": "",
                    "by": "ci",
                    "at": "2026-11-23T09:45:00Z",
                },
            ],
            "completeness": {"state": "incomplete", "missing": ["no Git commit"], "notes": []},
        }

    def entries(self) -> list[Any]:
        """The manifest's files."""
        if self.listed is not None:
            return self.listed
        return [
            {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in self.contents.items()
        ]

    def arrived(self) -> dict[str, bytes]:
        """The files that were received whole, by path."""
        return {file["path"]: file["content"] for file in self.files if "content" in file}

    def whole(self, index: int) -> bytes:
        """The parts of a file or pack, one after another."""
        numbers = sorted(number for each, number in self.parts if each == index)
        return b"".join(self.parts[index, number] for number in numbers)

    def shown(self, _: object = None) -> Answer:
        """The upload."""
        files = [{key: value for key, value in file.items() if key != "content"} for file in self.files]
        packs = [{key: value for key, value in self.pack.items() if key != "content"}] if self.pack else []
        about = {"id": "u1", "state": "open", "part_size": self.part_size}
        unsaid = [file["index"] for file in self.files if not file["sha256"]]
        same = [index for index in unsaid if self.files[index]["size"] in self.held_sizes]
        return Answer.of({**about, "files": files, "packs": packs, "same_size": same})

    def item(self, index: int) -> dict[str, Any]:
        """A file or the pack."""
        if self.pack and index == self.pack["index"]:
            return self.pack
        return self.files[index]

    def _play(self, asked: Asked) -> Answer:
        for (method, pattern), act in PLAY.items():
            if asked.method == method and (found := re.fullmatch(pattern, asked.path)):
                return act(self, asked, *found.groups())
        return Answer.problem(404, "not-found", "There is nothing here that you can see.")


def _announce(self: StandIn, asked: Asked) -> Answer:
    self.files.clear()
    for index, file in enumerate(asked.json["files"]):
        sha256 = file.get("sha256", "")
        status = "present" if sha256 in self.held or not file["size"] else "wanted"
        parts = self.received_before.get(index, [])
        row = {**file, "sha256": sha256, "index": index, "status": status, "parts": parts}
        if not sha256:
            row["digests"] = {n: hashlib.sha256(self.parts[index, n]).hexdigest() for n in parts}
        self.files.append(row)
    return self.shown()


def _sign(self: StandIn, asked: Asked) -> Answer:
    urls = [
        {
            "index": file["index"],
            "number": part["number"],
            "url": f"{self.store}/store/{file['index']}/{part['number']}?asked={len(self.asked)}",
            "headers": {"x-amz-checksum-sha256": part["sha256"]},
        }
        for file in asked.json["files"]
        for part in file["parts"]
    ]
    return Answer.of({"urls": urls})


def _put_part(self: StandIn, asked: Asked, index: str, number: str) -> Answer:
    if asked.headers.get("x-amz-checksum-sha256") != hashlib.sha256(asked.body).hexdigest():
        return Answer.s3_error(400, "BadDigest")
    self.parts[int(index), int(number)] = asked.body
    return Answer(200, headers={"ETag": f'"{index}-{number}"'})


def _complete(self: StandIn, asked: Asked) -> Answer:
    for done in asked.json["files"]:
        file = self.item(done["index"])
        assert all(part["etag"] == f'"{done["index"]}-{part["number"]}"' for part in done["parts"])
        file["content"] = self.whole(done["index"])
        file["status"] = "received"
        file["sha256"] = file.get("sha256") or done.get("sha256", "")
    return self.shown()


def _put_content(self: StandIn, asked: Asked, index: str) -> Answer:
    hashed = hashlib.sha256(asked.body).hexdigest()
    self.item(int(index)).update(content=asked.body, status="received", sha256=hashed)
    return self.shown()


def _resolve(self: StandIn, asked: Asked) -> Answer:
    return Answer.of(self.version())


def _manifest(self: StandIn, asked: Asked) -> Answer:
    if asked.query.get("with") == ["url"]:
        begin = asked.query.get("from", [""])[0]
        paths = sorted(path for path in self.contents if path >= begin)
        files = [
            {"path": path, "url": f"{self.store}/blob/{quote(path)}?asked={len(self.asked)}"}
            for path in paths[: int(asked.query["limit"][0])]
        ]
        return Answer.of({"files": files})
    digest = manifest_digest(self.entries())
    return Answer.of({"digest": digest, "oms_digest": "", "size": 0, "files": self.entries()})


def _manifest_text(self: StandIn, asked: Asked) -> Answer:
    files = sorted(self.entries(), key=lambda entry: str(entry["path"]).encode())
    text = json.dumps({"files": files, "v": 1}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return Answer(200, text.encode())


def _attachments(self: StandIn, asked: Asked) -> Answer:
    kept = [{"sha256": hashlib.sha256(content).hexdigest()} for content in self.attached]
    return Answer.of({"results": kept, "next": None})


def _artifact(self: StandIn, asked: Asked, path: str) -> Answer:
    content = self.contents[unquote(path)]
    if asked.query["as"] == ["stream"]:
        return Answer(200, content)
    url = f"{self.store}/blob/{path}?asked={len(self.asked)}"
    return Answer.of({"url": url, "size": len(content), "sha256": ""})


def _blob(self: StandIn, asked: Asked, path: str) -> Answer:
    content = self.contents[unquote(path)]
    if wanted := re.fullmatch(r"bytes=(\d+)-(\d+)", asked.headers.get("range", "")):
        return Answer(206, content[int(wanted[1]) : int(wanted[2]) + 1])
    return Answer(200, content)


VERSION = "/api/v1/namespaces/fraud/models/card/versions/1"
PLAY: dict[tuple[str, str], Callable[..., Answer]] = {
    ("POST", "/api/v1/namespaces/fraud/uploads"): lambda self, asked: self.announce(asked),
    ("GET", "/api/v1/uploads/u1"): StandIn.shown,
    ("POST", "/api/v1/uploads/u1/parts"): _sign,
    ("PUT", r"/store/(\d+)/(\d+)"): _put_part,
    ("POST", "/api/v1/uploads/u1/complete"): _complete,
    ("POST", "/api/v1/uploads/u1/abort"): StandIn.shown,
    ("PUT", r"/api/v1/uploads/u1/files/(\d+)/content"): _put_content,
    ("GET", "/api/v1/resolve"): _resolve,
    ("GET", f"{VERSION}/artifacts"): _manifest,
    ("GET", f"{VERSION}/manifest"): _manifest_text,
    ("GET", f"{VERSION}/attachments"): _attachments,
    ("GET", f"{VERSION}/artifacts/(.+)"): _artifact,
    ("GET", "/blob/(.+)"): _blob,
}


def _handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            asked = Asked(self.command, parts.path, parse_qs(parts.query), headers, body)
            answer = stand_in.answer(asked)
            if answer.reset:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut])
            if answer.cut is not None:
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names it looks for

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
