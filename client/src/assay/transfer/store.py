"""Presigned requests to the object store: no token, no redirects, bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import httpx
import tenacity

from assay.errors import AssayError, StoreUnreachable
from assay.transfer.progress import Attempt, Progress, Step

WORKERS = 8
READ = 256 * 1024
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
        self._http = httpx.Client(
            timeout=httpx.Timeout(timeout, connect=5.0, pool=None),
            limits=httpx.Limits(max_connections=WORKERS, max_keepalive_connections=WORKERS),
            follow_redirects=False,
        )

    def abandon(self) -> None:
        """End requests under way within a block, so that an interrupt does not wait for whole parts."""
        self._abandoned.set()

    def close(self) -> None:
        self._http.close()

    def put(
        self, address: Callable[[bool], Address], content: Callable[[], Iterator[bytes]], size: int
    ) -> str:
        """Send a part; its ETag. `address(True)` gives a fresh URL. Raises StoreUnreachable, StoreRefused."""

        def attempt(target: Address, done: Attempt) -> str:
            def counted() -> Iterator[bytes]:
                for block in content():
                    self._check_wanted()
                    yield block
                    done.advance(len(block))

            headers = {**target.headers, "Content-Length": str(size)}
            response = self._http.put(target.url, content=counted(), headers=headers)
            self._check(response)
            return str(response.headers.get("ETag", ""))

        return self._retrying(address, "upload", attempt)

    def get(
        self,
        address: Callable[[bool], Address],
        start: int,
        length: int,
        whole: bool,
        write: Callable[[int, bytes], None],
    ) -> None:
        """Receive a range, handing on blocks with their offsets. Raises StoreUnreachable, StoreRefused."""

        def attempt(target: Address, done: Attempt) -> None:
            headers = {**target.headers, "Accept-Encoding": "identity"}
            if not whole:
                headers["Range"] = f"bytes={start}-{start + length - 1}"
            with self._http.stream("GET", target.url, headers=headers) as response:
                if response.status_code >= 300:
                    response.read()
                self._check(response)
                if response.status_code != (200 if whole else 206):
                    raise StoreRefused("The object store does not serve ranges.", response.status_code)
                received = 0
                for block in response.iter_raw(READ):
                    self._check_wanted()
                    if received + len(block) > length:
                        raise _Passing("more bytes came than were asked for")
                    write(start + received, block)
                    received += len(block)
                    done.advance(len(block))
                if received < length:
                    raise _Passing("the body was cut short")

        self._retrying(address, "download", attempt)

    def _check_wanted(self) -> None:
        if self._abandoned.is_set():
            raise _Abandoned

    def _check(self, response: httpx.Response) -> None:
        self._answered = True
        status = response.status_code
        if status < 300:
            return
        if status == 403:
            raise _Expired(_reason(response))
        if status in (408, 429) or status >= 500 or _code(response) in SPOILT:
            raise _Passing(_reason(response))
        raise StoreRefused(f"The object store refused: {_reason(response)}.", status)

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
            retry=tenacity.retry_if_exception_type((_Expired, _Passing, httpx.TransportError)),
            stop=self._is_hopeless,
            wait=lambda state: 0.0 if isinstance(_failure(state), _Expired) else self._backoff(state),
            sleep=tenacity.sleep_using_event(self._abandoned),
            reraise=True,
        )
        try:
            return retrying(once)
        except _Expired as error:
            raise StoreRefused(f"The object store refuses its addresses: {error}.", 403) from error
        except (_Passing, httpx.TransportError) as error:
            raise StoreUnreachable(f"The object store cannot be reached: {error}.") from error

    def _is_hopeless(self, state: tenacity.RetryCallState) -> bool:
        never = isinstance(_failure(state), httpx.ConnectError | httpx.ConnectTimeout) and not self._answered
        return state.attempt_number >= (2 if never else ATTEMPTS)


def _failure(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _code(response: httpx.Response) -> str:
    """The code in an S3 error document, "" where there is none."""
    return response.text.partition("<Code>")[2].partition("</Code>")[0]


def _reason(response: httpx.Response) -> str:
    return f"{response.status_code} {_code(response) or response.reason_phrase}"
