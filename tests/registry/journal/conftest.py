"""A journal for the tests of a module."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from registry.journal.verifying import verify
from tests import services
from tests.registry.journal.chain import Chain, connected_to


@pytest.fixture(scope="module")
def journal_database() -> Iterator[str]:
    """One for the tests of a module alone: each goes on with the journal that the one before has left, in order."""
    name = f"assay_journal_{os.getpid()}"
    with services.superuser() as session:
        services.clone(session, name)
        yield name
        session.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def chain(journal_database: str, transactional_db: None) -> Iterator[Chain]:
    with connected_to(journal_database):
        yield Chain(journal_database)
        verify()
