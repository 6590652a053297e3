"""A store that misbehaves: an HTTP proxy on loopback, in front of the real one, that does one thing wrong.

The proxy is the address that is signed: the Host header goes on as it came, so signatures stay good.
"""

from __future__ import annotations

import http.client
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

HOP_BY_HOP = {"connection", "expect", "keep-alive", "transfer-encoding"}
SLOW_FOR, SLOW_RATE = 1.5, 1000  # seconds at bytes a second; then the rest at once
LONGEST_HANG = 60


class Fault(StrEnum):
    """What goes wrong with a request or its answer."""

    REFUSED = "refused"  # the connection is reset, and no further one accepted
    RESET = "reset"  # reset before anything was passed on
    HANG = "hang"  # never answered
    SLOW = "slow"  # 1 KB/s
    ERROR = "error"  # 500
    SLOW_DOWN = "slow down"  # 503
    TRUNCATED = "truncated"  # the right Content-Length, half of the body
    CUT = "cut"  # the same, ended by a reset
    WRONG_BYTES = "wrong bytes"  # one byte of the body is another: of the request's if that has one
    WRONG_ETAG = "wrong etag"
    MISSING = "missing"  # 404, not passed on
    MISSING_AFTER = "missing after"  # done, and answered 404
    DOUBLED = "doubled"  # answered twice
    ANSWER_LOST = "answer lost"  # done, and reset


@dataclass
class Script:
    """The fault of the next `times` requests of an operation; None: until it is cleared."""

    operation: str
    fault: Fault
    times: int | None = None


def operation_of(method: str, path: str, headers: Any) -> str:
    """What a request asks of the store, in a word."""
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    copying = headers.get("x-amz-copy-source") is not None
    if "uploadId" in query:
        if method == "PUT":
            return "copy_part" if copying else "put_part"
        return {"POST": "join", "DELETE": "abort", "GET": "parts"}[method]
    if "uploads" in query:
        return {"POST": "begin", "GET": "pending"}[method]
    if method == "PUT":
        return "copy" if copying else "put"
    if method == "GET" and "list-type" in query:
        return "list"
    return method.lower()


class FaultProxy:
    """Passes requests on to `target`, and does to them what it is told to."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self.target = (parts.hostname or "", parts.port or 80)
        self.seen: Counter[str] = Counter()
        self.faults = 0
        self.released = threading.Event()
        self.refusing = False
        self._script: Script | None = None
        self._lock = threading.Lock()
        self._server = self._listening(0)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def doing(self, operation: str, fault: Fault, times: int | None = None) -> Iterator[None]:
        """The fault, while the block runs."""
        self.faults = 0
        self._script = Script(operation, fault, times)
        try:
            yield
        finally:
            self.clear()

    def clear(self) -> None:
        """Everything is passed on again; what hangs is let go."""
        with self._lock:
            self._script = None
            self.released.set()
            self.released = threading.Event()
            if self.refusing:
                self._server = self._listening(self.port)
                self.refusing = False

    def refuse(self) -> None:
        """Accept nothing any more."""
        with self._lock:
            if not self.refusing and self._script:
                self.refusing = True
                self._server.shutdown()
                self._server.server_close()

    def next_fault(self, operation: str) -> Fault | None:
        """What happens to this request."""
        with self._lock:
            self.seen[operation] += 1
            script = self._script
            if script is None or script.operation != operation or script.times == 0:
                return None
            if script.times is not None:
                script.times -= 1
            self.faults += 1
            return script.fault

    def _listening(self, port: int) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"proxy": self})
        server = _Server(("127.0.0.1", port), handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), name="faults", daemon=True).start()
        return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        if self.proxy.refusing:
            self._reset()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(body, self.proxy.next_fault(operation_of(self.command, self.path, self.headers)))

    def _answer(self, body: bytes, fault: Fault | None) -> None:
        match fault:
            case Fault.REFUSED:
                self._reset()
                self.proxy.refuse()
            case Fault.RESET:
                self._reset()
            case Fault.HANG:
                self.proxy.released.wait(LONGEST_HANG)
                self._reset()
            case Fault.ERROR:
                self._error(500, "InternalError")
            case Fault.SLOW_DOWN:
                self._error(503, "SlowDown")
            case Fault.MISSING:
                self._error(404, "NoSuchKey")
            case Fault.MISSING_AFTER:
                self._forward(body)
                self._error(404, "NoSuchKey")
            case Fault.ANSWER_LOST:
                self._forward(body)
                self._reset()
            case Fault.WRONG_BYTES if body and self.command == "PUT":
                self.wfile.write(b"".join(self._forward(_spoilt(body))))
            case _:
                head, answer = self._forward(body)
                self._misanswer(head, answer, fault)

    def _misanswer(self, head: bytes, answer: bytes, fault: Fault | None) -> None:
        half = (head + answer)[: len(head) + len(answer) // 2 if answer else len(head) // 2]
        match fault:
            case Fault.TRUNCATED:
                self.wfile.write(half)
                self.close_connection = True
            case Fault.CUT:
                self.wfile.write(half)
                time.sleep(0.05)  # what was sent is read before the reset takes it away
                self._reset()
            case Fault.WRONG_BYTES:
                self.wfile.write(head + _spoilt(answer) if answer else _longer(head))
            case Fault.WRONG_ETAG:
                self.wfile.write(_other_etag(head) + answer)
            case Fault.DOUBLED:
                self.wfile.write((head + answer) * 2)
            case Fault.SLOW:
                self._trickle(head + answer)
            case _:
                self.wfile.write(head + answer)

    def _forward(self, body: bytes) -> tuple[bytes, bytes]:
        """The store's answer: its head and its body, as they go on the wire."""
        link = http.client.HTTPConnection(*self.proxy.target, timeout=30)
        try:
            link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    link.putheader(name, value)
            link.endheaders(body or None)
            response = link.getresponse()
            answer = response.read()
            headers = [(n, v) for n, v in response.getheaders() if n.lower() not in HOP_BY_HOP]
        finally:
            link.close()
        if response.status != 204 and not any(name.lower() == "content-length" for name, _ in headers):
            headers.append(("Content-Length", str(len(answer))))
        lines = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{n}: {v}" for n, v in headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1"), answer

    def _error(self, status: int, code: str) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>so it is told</Message></Error>".encode()
        head = f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + (b"" if self.command == "HEAD" else body))

    def _trickle(self, content: bytes) -> None:
        deadline, step = time.monotonic() + SLOW_FOR, SLOW_RATE // 10
        while content and time.monotonic() < deadline:
            self.wfile.write(content[:step])
            content = content[step:]
            time.sleep(0.1)
        self.wfile.write(content)

    def _reset(self) -> None:
        """End the connection at once, by RST."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())


def _spoilt(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _longer(head: bytes) -> bytes:
    """An answer without a body (to HEAD) that tells of one byte more."""
    lines = head.split(b"\r\n")
    return b"\r\n".join(
        b"Content-Length: %d" % (int(line.split(b":")[1]) + 1)
        if line.lower().startswith(b"content-length:") and int(line.split(b":")[1])
        else line
        for line in lines
    )


def _other_etag(head: bytes) -> bytes:
    lines = head.split(b"\r\n")
    return b"\r\n".join(
        b'ETag: "00000000000000000000000000000000"' if line.lower().startswith(b"etag:") else line
        for line in lines
    )
