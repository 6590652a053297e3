"""Kept-alive connections to the hosts of presigned addresses, on which bytes pass with as few copies as can be.

Requests to the store are two, PUT and GET of many bytes; what a general HTTP client does for each block costs
more than the network there. So this is the standard library's connection, with `sendfile` on the way out and
reads straight into a buffer on the way in. Proxies named in the environment are used as elsewhere.
"""

from __future__ import annotations

import base64
import http.client
import os
import ssl
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import SplitResult, unquote, urlsplit

from assay.transfer.hashing import BLOCK, Segment, opened

CONNECT_SECONDS = 5.0
MOST_OF_AN_ERROR = 64 * 1024
Broken = (OSError, http.client.HTTPException)


class Lines:
    """Connections by origin; threads may share it. `timeout` seconds without a byte break a request."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._idle: dict[str, list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._tls = ssl.create_default_context()

    def close(self) -> None:
        with self._lock:
            for connections in self._idle.values():
                for connection in connections:
                    connection.close()
            self._idle.clear()

    @contextmanager
    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: Sequence[Segment] = ()
    ) -> Iterator[Sending]:
        """One request. Raises ConnectionFailed when nobody answers at the address, and what `Broken` names.

        The connection is kept when the answer was read to its end.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        connection = self._take(origin) or self._connect(parts)
        sending = Sending(connection, method, _target(parts), headers, body)
        try:
            yield sending
        except BaseException:
            connection.close()
            raise
        if sending.is_over:
            with self._lock:
                self._idle.setdefault(origin, []).append(connection)
        else:
            connection.close()

    def _take(self, origin: str) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get(origin)
            return idle.pop() if idle else None

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        connection = self._to(parts)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise ConnectionFailed(str(error)) from error
        connection.sock.settimeout(self._timeout)
        return connection

    def _to(self, parts: SplitResult) -> http.client.HTTPConnection:
        proxy = _proxy_for(parts)
        near = proxy or parts
        if parts.scheme != "https":
            return http.client.HTTPConnection(near.hostname or "", near.port, timeout=CONNECT_SECONDS)
        connection = http.client.HTTPSConnection(
            near.hostname or "", near.port, timeout=CONNECT_SECONDS, context=self._tls
        )
        if proxy:
            connection.set_tunnel(parts.hostname or "", parts.port, _proxy_authorization(proxy))
        return connection


class ConnectionFailed(Exception):
    """Nobody answers at the address."""


class Sending:
    """A request being sent and its answer being read. Every method may raise what `Broken` names."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Sequence[Segment],
    ) -> None:
        self._connection = connection
        self._body = body
        self.status = 0
        self._answer: http.client.HTTPResponse | None = None
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()

    @property
    def is_over(self) -> bool:
        """Whether the connection can be used for another request."""
        return self._answer is not None and self._answer.isclosed() and not self._answer.will_close

    def send(self) -> Iterator[int]:
        """Send the body, telling after each block how many bytes went. Raises FileChanged."""
        sock = self._connection.sock
        plain = not isinstance(sock, ssl.SSLSocket)
        for segment in self._body:
            with opened(segment) as file:
                offset, left = segment.start, segment.length
                while left:
                    count = min(BLOCK, left)
                    if plain:
                        gone = sock.sendfile(file, offset, count)
                    else:
                        block = os.pread(file.fileno(), count, offset)
                        sock.sendall(block)
                        gone = len(block)
                    if not gone:
                        break  # the file has become shorter: `opened` says so
                    offset, left = offset + gone, left - gone
                    yield gone

    def receive(self) -> http.client.HTTPResponse:
        """The head of the answer; its body is read from it. Also after a body that could not be sent whole:
        a store says why it refuses one before it has read it."""
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        return self._answer

    def text(self) -> str:
        """The answer's body, for errors."""
        assert self._answer is not None  # noqa: S101 - after `receive`
        text = self._answer.read(MOST_OF_AN_ERROR).decode(errors="replace")
        self._answer.read(1)  # to its end, if that was not it yet
        return text


def _target(parts: SplitResult) -> str:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme != "https" and _proxy_for(parts):
        return f"{parts.scheme}://{parts.netloc}{path}"
    return path


def _proxy_for(parts: SplitResult) -> SplitResult | None:
    """The proxy that the environment names for an address; None where it is reached directly."""
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(parts.netloc):
        return None
    return urlsplit(proxy if "//" in proxy else f"http://{proxy}")


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    secret = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}
