"""What can go wrong, as one tree. Every error reads as one plain sentence.

AssayError
├── SettingsError           no address or token, or a configuration file that cannot be used
├── Unreachable             the server could not be reached, after retries
│   └── StoreUnreachable    the object store could not be reached; transfers then go through the server
├── Refusal                 the server answered with a problem: .status .code .sentence .reasons .field
│   ├── Unauthenticated     401: no token, or one that is unknown, expired or revoked
│   ├── Forbidden           403: seen, but not allowed
│   ├── NotFound            404: not there, or not visible to you
│   ├── Conflict            409: the state of things does not allow it now
│   ├── Invalid             400, 422: the request is wrong; .field says where
│   ├── TooManyRequests     429: still refused after waiting
│   └── ServerFault         5xx: the server failed
├── ReferenceInvalid        not namespace/model, namespace/model:3, @alias or @sha256:...
├── PolicyFileInvalid       a file of policies is wrong: the sentence says where
├── PathRefused             a file that a manifest cannot hold: a symlink, a colliding or unusable name
├── FileChanged             a file changed while it was being read
├── FileInTheWay            a pull would overwrite a file whose content differs
├── DigestMismatch          bytes are not what their digest says
├── VersionFailed           a pushed version did not become ready: .version
└── TimedOut                waited, and it is still going on: .answer is the last state seen
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class AssayError(Exception):
    """The root of this package's errors."""

    reasons: Sequence[str] = ()

    @property
    def sentence(self) -> str:
        return str(self)


class SettingsError(AssayError):
    """The address or the token of the server is missing, or their file cannot be used."""


class Unreachable(AssayError):
    """The server could not be reached, after retries."""


class StoreUnreachable(Unreachable):
    """The object store could not be reached from this machine."""


class ReferenceInvalid(AssayError):
    """The text is not a reference to a model or a version."""


class PolicyFileInvalid(AssayError):
    """A file of policies cannot be read, or asks for what the server does not take; the sentence says where."""


class PathRefused(AssayError):
    """A manifest cannot hold this file under this name."""


class FileChanged(AssayError):
    """A file changed between being hashed and being sent."""


class FileInTheWay(AssayError):
    """A file with other content stands where a pull would write."""


class DigestMismatch(AssayError):
    """Bytes received are not the bytes that their digest names."""


class VersionFailed(AssayError):
    """A version was registered but its publication failed; `version` is its last state."""

    def __init__(self, sentence: str, version: Mapping[str, Any]) -> None:
        super().__init__(sentence)
        self.version = version


class TimedOut(AssayError):
    """Something is still going on after the time given; `answer` is the last state seen."""

    def __init__(self, sentence: str, answer: Any) -> None:
        super().__init__(sentence)
        self.answer = answer


class Refusal(AssayError):
    """A problem+json answer: a stable `code`, one sentence for people, the rules not met, the field."""

    def __init__(
        self,
        sentence: str,
        *,
        status: int,
        code: str = "unknown",
        reasons: Sequence[str] = (),
        field: str | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.reasons = tuple(reasons)
        self.field = field


class Unauthenticated(Refusal):
    """401: no token, or one that is unknown, expired or revoked."""


class Forbidden(Refusal):
    """403: it is there, and you may not do this to it."""


class NotFound(Refusal):
    """404: it is not there, or you may not see it."""


class Conflict(Refusal):
    """409: the state of things does not allow it now."""


class Invalid(Refusal):
    """400 or 422: the request is wrong; `field` says where."""


class TooManyRequests(Refusal):
    """429: still refused after waiting."""


class ServerFault(Refusal):
    """5xx: the server failed."""


BY_STATUS: dict[int, type[Refusal]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Invalid,
    429: TooManyRequests,
}


def refusal(status: int, problem: object, *, otherwise: str) -> Refusal:
    """Map an answer's status and problem+json body to an exception.

    `problem` is whatever the body held: a proxy may have written it, so nothing about it is trusted.
    `otherwise` is the sentence when the body has none.
    """
    body: Mapping[str, Any] = problem if isinstance(problem, Mapping) else {}
    kind = BY_STATUS.get(status, ServerFault if status >= 500 else Refusal)
    reasons = body.get("reasons")
    field = body.get("field")
    return kind(
        str(body.get("detail") or body.get("title") or otherwise),
        status=status,
        code=str(body.get("code") or "unknown"),
        reasons=[str(reason) for reason in reasons] if isinstance(reasons, list) else (),
        field=str(field) if field else None,
    )
