"""Work that is done by one at a time, wherever its workers run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def alone(work: str) -> Iterator[bool]:
    """Whether this is the only one at that work; until the block ends, nobody else is.

    The lock belongs to the database session: with a worker that dies, it is gone. It saves doing things twice;
    what must not go wrong is decided under locks of its own.
    """
    number = int.from_bytes(hashlib.sha256(f"alone:{work}".encode()).digest()[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        first = bool(cursor.fetchone()[0])
    try:
        yield first
    finally:
        if first:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [number])
