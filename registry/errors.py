"""The one refusal type: a stable code for programs, one sentence for people, the field when there is one."""

from __future__ import annotations

from typing import ClassVar


class DomainError(Exception):
    """A request that is refused. Subclasses live where they are raised; `registry.http.problems` answers them.

    `code` is kebab-case and stable, `status` the HTTP status it is answered with, `reasons` further
    sentences (one per failed gate, per referrer, per file).
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 409
    # Seconds after which the same request may do better; None when it will not.
    retry_after: ClassVar[int | None] = None

    def __init__(self, sentence: str, *, field: str | None = None, reasons: list[str] | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field
        self.reasons = reasons or []


class InvalidInput(DomainError):
    """What was sent cannot be accepted; the sentence says what would be."""

    code = "invalid-input"
    status = 422


class NotVisible(DomainError):
    """It is not there, or not for this caller: the two cannot be told apart."""

    code = "not-found"
    status = 404


class Forbidden(DomainError):
    """Seen, but this caller may not do it."""

    code = "forbidden"
    status = 403
