"""Presigned requests to the object store: no token, no redirects, bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import TypeVar

import tenacity

from assay.errors import AssayError, StoreUnreachable
from assay.transfer.hashing import Segment
from assay.transfer.lines import Broken, ConnectionFailed, Lines, Sending
from assay.transfer.progress import Attempt, Progress, Step

WORKERS = 8
READ = 2**20
ATTEMPTS = 6
BACKOFF = 0.2
# what a store answers when bytes were spoilt or lost on the way: sending them again may do
SPOILT = frozenset({"BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch"})
Result = TypeVar("Result")


@dataclass(frozen=True)
class Address:
    """A presigned URL and the headers that were signed with it."""

    url: str
    headers: Mapping[str, str]


class StoreRefused(AssayError):
    """The store refused a request in a way that repeating does not mend."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class _Abandoned(Exception):
    """The transfer was given up; nobody waits for this request any more."""


class _Expired(Exception):
    """403: the URL is no longer good."""


class _Passing(Exception):
    """A failure that may pass: a broken connection, a 5xx, a slow-down."""


class Store:
    """Puts and gets by presigned URLs; threads may share it.

    Each request is tried up to ATTEMPTS times; an expired URL is asked for anew. A store that cannot be
    connected to is given up sooner as long as it never answered: StoreUnreachable.
    """

    def __init__(self, progress: Progress, *, timeout: float = 60.0) -> None:
        self._progress = progress
        self._backoff = tenacity.wait_exponential(BACKOFF, max=10.0) + tenacity.wait_random(0, BACKOFF)
        self._answered = False
        self._abandoned = threading.Event()
        self._lines = Lines(timeout)

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for what is under way any more."""
        return self._abandoned.is_set()

    def abandon(self) -> None:
        """End requests under way within a block, so that an interrupt does not wait for whole parts."""
        self._abandoned.set()

    def close(self) -> None:
        self._lines.close()

    def put(self, address: Callable[[bool], Address], body: Sequence[Segment]) -> str:
        """Send a part; its ETag. `address(True)` gives a fresh URL.

        Raises StoreUnreachable, StoreRefused, FileChanged.
        """
        size = sum(segment.length for segment in body)

        def attempt(target: Address, done: Attempt) -> str:
            headers = {**target.headers, "Content-Length": str(size)}
            with self._lines.ask("PUT", target.url, headers, body) as request:
                try:
                    for gone in request.send():
                        self._check_wanted()
                        done.advance(gone)
                except Broken:
                    # A store that refuses may say so without reading the rest.
                    self._check(request, request.receive())
                    raise
                answer = request.receive()
                self._check(request, answer)
                answer.read()
                return str(answer.headers.get("ETag", ""))

        return self._retrying(address, "upload", attempt)

    def get(
        self,
        address: Callable[[bool], Address],
        start: int,
        length: int,
        whole: bool,
        write: Callable[[int, memoryview], None],
    ) -> None:
        """Receive a range, handing on blocks with their offsets; a block is good until `write` returns.

        Raises StoreUnreachable, StoreRefused.
        """

        def attempt(target: Address, done: Attempt) -> None:
            headers = {**target.headers, "Accept-Encoding": "identity"}
            if not whole:
                headers["Range"] = f"bytes={start}-{start + length - 1}"
            with self._lines.ask("GET", target.url, headers) as request:
                answer = request.receive()
                self._check(request, answer)
                if request.status != (200 if whole else 206):
                    raise StoreRefused("The object store does not serve ranges.", request.status)
                buffer = memoryview(bytearray(min(READ, length + 1)))
                received = 0
                while count := answer.readinto(buffer):
                    self._check_wanted()
                    if received + count > length:
                        raise _Passing("more bytes came than were asked for")
                    write(start + received, buffer[:count])
                    received += count
                    done.advance(count)
                if received < length:
                    raise _Passing("the body was cut short")

        self._retrying(address, "download", attempt)

    def _check_wanted(self) -> None:
        if self._abandoned.is_set():
            raise _Abandoned

    def _check(self, request: Sending, answer: HTTPResponse) -> None:
        self._answered = True
        status = answer.status
        if status < 300:
            return
        code = request.text().partition("<Code>")[2].partition("</Code>")[0]
        reason = f"{status} {code or answer.reason}"
        if status == 403:
            raise _Expired(reason)
        if status in (408, 429) or status >= 500 or code in SPOILT:
            raise _Passing(reason)
        raise StoreRefused(f"The object store refused: {reason}.", status)

    def _retrying(
        self,
        address: Callable[[bool], Address],
        step: Step,
        attempt: Callable[[Address, Attempt], Result],
    ) -> Result:
        fresh = False

        def once() -> Result:
            nonlocal fresh
            done = Attempt(self._progress, step)
            self._check_wanted()
            try:
                return attempt(address(fresh), done)
            except BaseException as error:
                fresh = isinstance(error, _Expired)
                done.take_back()
                raise

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((_Expired, _Passing, ConnectionFailed, *Broken)),
            stop=self._is_hopeless,
            wait=lambda state: 0.0 if isinstance(_failure(state), _Expired) else self._backoff(state),
            sleep=tenacity.sleep_using_event(self._abandoned),
            reraise=True,
        )
        try:
            return retrying(once)
        except _Expired as error:
            raise StoreRefused(f"The object store refuses its addresses: {error}.", 403) from error
        except (_Passing, ConnectionFailed, *Broken) as error:
            raise StoreUnreachable(f"The object store cannot be reached: {error}.") from error

    def _is_hopeless(self, state: tenacity.RetryCallState) -> bool:
        never = isinstance(_failure(state), ConnectionFailed) and not self._answered
        return state.attempt_number >= (2 if never else ATTEMPTS)


def _failure(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
