"""A journal of its own: a fresh database, people in it, and events that commit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.db import connection, transaction

from registry.journal import record
from registry.journal.checkpoints import add_checkpoint
from registry.models import Event, Principal, User
from tests import services
from tests.cast import Cast, make_cast

TABLES = (
    "registry_event",
    "registry_journalentry",
    "registry_journalnode",
    "registry_checkpoint",
    "registry_unnumbered",
)


class Chain:
    """The journal of a fresh database, which this process's connection leads to meanwhile."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.cast: Cast = make_cast()

    def write(self, count: int = 1, **words: Any) -> list[Event]:
        """Events about a person, in one transaction."""
        ben: User = self.cast.user("ben")
        with transaction.atomic():
            return [
                record(
                    "test.happened",
                    subject=ben,
                    by=Principal(user=ben),
                    namespace=self.cast.namespace,
                    **{"reason": f"because {i}", "after": {"i": i, "deep": [{"x": 1.5}]}, **words},
                )
                for i in range(count)
            ]

    def sign(self) -> int:
        """Checkpoints over all that waits."""
        signed = 0
        while add_checkpoint():
            signed += 1
        return signed

    @contextmanager
    def undone(self) -> Iterator[None]:
        """A transaction of somebody who can do anything to the database, in which none of our triggers fires: what is
        done in it is undone at its end."""
        kept = dict(connection.settings_dict)
        connection.close()
        login = urlsplit(os.environ[services.SUPERUSER])
        connection.settings_dict.update(USER=login.username, PASSWORD=login.password)
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    for table in TABLES:
                        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
                yield
                transaction.set_rollback(True)
        finally:
            connection.close()
            connection.settings_dict.update(kept)


@contextmanager
def connected_to(database: str) -> Iterator[None]:
    """Django's connection of this thread, led to another database of the same server."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = database
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
