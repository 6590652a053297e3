"""One POST to a vetted address: no redirects, no proxies, one deadline for all of it, a bounded answer."""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore

from registry.journal.egress import Target

DEADLINE_SECONDS = 15.0
LARGEST_ANSWER = 64 * 1024
SHOWN = 2000
MOST_HEADERS = 50
SHOWN_OF_A_HEADER = 500


class WrongPeer(httpcore.ConnectError):
    """The connection leads to another address than the vetted one."""


@dataclass(frozen=True)
class Outcome:
    """What came of it: the status, headers and beginning of the answer, or the error. `wait` is its Retry-After."""

    status: int | None = None
    answer: str = ""
    error: str = ""
    duration_ms: int = 0
    wait: timedelta | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class _Deadline:
    """When all of it must be over: a receiver that sends a byte now and then does not hold a worker."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def left(self, timeout: float | None = None) -> float:
        left = self.end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer took too long")
        return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    """A connection whose every step ends at the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self.inner, self.deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.inner.read(max_bytes, self.deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.inner.write(buffer, self.deadline.left(timeout))

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self.inner.start_tls(ssl_context, server_hostname, self.deadline.left(timeout))
        return _Stream(inner, self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class _Dial(httpcore.NetworkBackend):
    """Dials the vetted address whatever the URL's host is; Host header and TLS name stay the URL's."""

    def __init__(self, address: str, deadline: _Deadline) -> None:
        self.address, self.deadline = address, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        inner = httpcore.SyncBackend().connect_tcp(self.address, port, timeout=self.deadline.left(timeout))
        peer = inner.get_extra_info("server_addr")
        if not peer or peer[0] != self.address:
            inner.close()
            raise WrongPeer(f"connected to {peer}, not to {self.address}")
        return _Stream(inner, self.deadline)


@functools.cache
def _tls() -> ssl.SSLContext:
    """The system's certificate authorities, where an organisation's own is installed."""
    return ssl.create_default_context()


def post(
    target: Target,
    address: str,
    *,
    headers: dict[str, str],
    body: bytes,
    deadline_seconds: float = DEADLINE_SECONDS,
    tls: ssl.SSLContext | None = None,
) -> Outcome:
    """POST the body to the target at the address. Never raises for what a receiver does: it is in the Outcome."""
    began = time.monotonic()
    deadline = _Deadline(deadline_seconds)
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=tls or _tls(), network_backend=_Dial(address, deadline), max_connections=1
            ) as pool,
            pool.stream(
                "POST",
                httpcore.URL(
                    scheme=target.scheme.encode(),
                    host=target.host.encode(),
                    port=target.port,
                    target=target.path.encode(),
                ),
                headers=list({"Host": _host(target), "Accept-Encoding": "identity", **headers}.items()),
                content=body,
            ) as response,
        ):
            answer = _read(response, deadline)
            status, wait = response.status, _retry_after(dict(response.headers))
            headers = _shown(response.headers)
    except (OSError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        return Outcome(error=_said(error), duration_ms=_since(began))
    return Outcome(
        status=status,
        answer=_readable(answer[:SHOWN]),
        duration_ms=_since(began),
        wait=wait,
        headers=headers,
    )


def _readable(given: bytes) -> str:
    """As text that the database takes."""
    return given.decode("utf-8", "replace").replace("\x00", "�")


def _shown(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers of an answer, for the log: 50 at most, of each 500 bytes."""
    given = list(headers)[:MOST_HEADERS]
    return {_readable(name[:100]).lower(): _readable(value[:SHOWN_OF_A_HEADER]) for name, value in given}


def _host(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = {"http": 80, "https": 443}[target.scheme]
    return host if target.port == usual else f"{host}:{target.port}"


def _read(response: httpcore.Response, deadline: _Deadline) -> bytes:
    """At most 64 KiB of the answer, as it was sent: nothing is decompressed."""
    taken = b""
    for chunk in response.iter_stream():
        taken += chunk
        deadline.left()
        if len(taken) >= LARGEST_ANSWER:
            break
    return taken[:LARGEST_ANSWER]


def _retry_after(headers: dict[bytes, bytes]) -> timedelta | None:
    """Seconds, or a date."""
    given = (
        next((v for k, v in headers.items() if k.lower() == b"retry-after"), b"").decode("latin-1").strip()
    )
    # A superscript two is a digit as well, and no number.
    if given.isdecimal():
        return timedelta(seconds=min(int(given[:9]), 10**8))
    try:
        then = parsedate_to_datetime(given)
    except (ValueError, TypeError, OverflowError):
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(then - datetime.now(UTC), timedelta())


def _said(error: Exception) -> str:
    name = type(error).__name__
    return f"{name}: {error}"[:1000].replace("\x00", "�")


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
