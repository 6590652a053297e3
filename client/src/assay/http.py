"""The connection to one server: JSON in and out, retries, idempotency keys, problems as exceptions."""

from __future__ import annotations

import email.utils
import platform
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from typing import Any

import httpx
import tenacity

from assay.errors import AssayError, Refusal, ServerFault, Unreachable, refusal

RETRIED_STATUS = frozenset({429, 502, 503, 504})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_WAIT = 60.0
LONGEST_PAGE = 200
IN_FLIGHT = "key-in-flight"  # an earlier attempt with the same key is still being answered

Parameters = Mapping[str, str | int | float | bool | list[str] | None]


class _Again(Exception):
    """One attempt failed in a way that may pass; `error` is what to raise when it does not."""

    def __init__(self, error: AssayError, after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


class Connection:
    """Sends requests to `url` as the holder of `token`. Threads may share it.

    Safe calls, and unsafe ones because they carry an Idempotency-Key, are repeated up to `attempts` times
    on connection errors, 429, 502, 503 and 504, after the server's Retry-After or a growing pause.
    """

    def __init__(
        self, url: str, token: str, *, timeout: float = 60.0, attempts: int = 5, backoff: float = 0.2
    ) -> None:
        self.url = httpx.URL(url)
        self._attempts = attempts
        self._backoff = tenacity.wait_exponential(backoff, max=10.0) + tenacity.wait_random(0, backoff)
        headers = {"Accept": "application/json", "User-Agent": user_agent()}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # redirects are never followed: the token would go along
        self._http = httpx.Client(
            headers=headers, timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)), follow_redirects=False
        )

    def close(self) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Parameters | None = None,
        body: object = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """The answer's JSON, None when it has no body. Raises Refusal or Unreachable.

        `path` starts with `/`. One key serves all attempts, so that a repeated call takes effect once.
        """
        headers = {} if method in SAFE_METHODS else {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        extra: dict[str, Any] = {} if body is None else {"json": body}
        query = {key: value for key, value in (params or {}).items() if value is not None}

        def attempt() -> Any:
            return _answer(
                self._http.request(
                    method, self._address(path), params=query or None, headers=headers, **extra
                )
            )

        return self._retrying(attempt)

    def upload(
        self,
        path: str,
        content: Callable[[], Iterator[bytes]],
        size: int,
        *,
        method: str = "PUT",
        params: Parameters | None = None,
    ) -> Any:
        """Send `size` raw bytes, made anew by `content` for every attempt, in bounded memory.

        It carries no Idempotency-Key: the server would have to hold the body to compare it, and to put the
        same bytes in the same place twice is the same as once.
        """
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        return self._retrying(
            lambda: _answer(
                self._http.request(
                    method, self._address(path), params=params, content=content(), headers=headers
                )
            )
        )

    @contextmanager
    def stream(self, path: str, params: Parameters | None = None) -> Iterator[httpx.Response]:
        """A GET whose body the caller reads, and repeats when it breaks. Raises Refusal, Unreachable."""
        try:
            with self._http.stream(
                "GET", self._address(path), params=params, headers={"Accept": "*/*"}
            ) as response:
                if response.status_code >= 300:
                    response.read()
                    raise _refusal(response)
                yield response
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def pages(self, path: str, params: Parameters | None = None, limit: int | None = None) -> Iterator[Any]:
        """The items of a list, following `next`, at most `limit` of them."""
        size = LONGEST_PAGE if limit is None else min(limit, LONGEST_PAGE)
        page = self.call("GET", path, params={**(params or {}), "limit": size})
        count = 0
        while True:
            for item in page["results"]:
                if limit is not None and count >= limit:
                    return
                count += 1
                yield item
            if not page.get("next"):
                return
            # `next` may name the host as a proxy sees it: only its path and query are taken
            page = self.call("GET", self._local(page["next"]))

    def _address(self, path: str) -> httpx.URL:
        base = self.url.raw_path.rstrip(b"/")
        return self.url.copy_with(raw_path=base + path.encode("ascii"))

    def _local(self, address: str) -> str:
        path = httpx.URL(address).raw_path.decode("ascii")
        return path.removeprefix(self.url.raw_path.rstrip(b"/").decode("ascii"))

    def _retrying(self, attempt: Callable[[], Any]) -> Any:
        def once() -> Any:
            try:
                return attempt()
            except httpx.TransportError as error:
                if "CERTIFICATE_VERIFY_FAILED" in str(error):
                    raise self._unreachable(error) from error
                raise _Again(self._unreachable(error)) from error

        def wait(state: tenacity.RetryCallState) -> float:
            failure = state.outcome.exception() if state.outcome else None
            after = failure.after if isinstance(failure, _Again) else None
            return self._backoff(state) if after is None else min(after, LONGEST_WAIT)

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=wait,
            retry=tenacity.retry_if_exception_type(_Again),
            reraise=True,
        )
        try:
            return retrying(once)
        except _Again as failure:
            raise failure.error from failure.__cause__

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"{self.url} cannot be reached: {_plain(error)}.")


def user_agent() -> str:
    return f"assay-client/{installed_version('assay-client')} python/{platform.python_version()}"


def _answer(response: httpx.Response) -> Any:
    if response.status_code >= 300:
        error = _refusal(response)
        if response.status_code in RETRIED_STATUS or error.code == IN_FLIGHT:
            raise _Again(error, _retry_after(response))
        raise error
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        raise ServerFault(
            f"{response.url.copy_with(query=None)} did not answer with JSON: is it an Assay server?",
            status=response.status_code,
        ) from None


def _refusal(response: httpx.Response) -> Refusal:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    otherwise = f"The server answered {response.status_code} {response.reason_phrase}."
    if response.is_redirect:
        otherwise = f"The server redirects to {response.headers.get('Location')}: use that address."
    return refusal(response.status_code, problem, otherwise=otherwise)


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _plain(error: Exception) -> str:
    """An error's own words without the errno, or its name where it has none."""
    text = str(error).strip().rstrip(".")
    if text.startswith("[Errno"):
        text = text.partition("] ")[2] or text
    return text or type(error).__name__
