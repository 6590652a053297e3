"""A campaign's surroundings: the services of the test suite, its migrated database, Django as the runtime role.

What a campaign does lies beside the tests that run a short form of it, in a module that imports models and has
`campaign() -> bool`. The module that `make campaign-NAME` runs is a door to it and imports nothing of ours but
this: Django has to be set up before the rest can be imported.

    if __name__ == "__main__":
        run("tests.registry.artifacts.crashing")
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import django
from django.db import connections
from django.test.utils import setup_test_environment

from tests import services


@contextmanager
def surroundings() -> Iterator[None]:
    """Real Postgres, Valkey and S3 of its own while the block runs, and Django set up over them. Once per process."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    services.start(worker="", runs_tests=True)
    try:
        django.setup()
        setup_test_environment()  # the REST client's host name is served, as in the suite
        yield
        for connection in connections.all(initialized_only=True):
            connection.close()
    finally:
        services.stop()


def run(module: str) -> NoReturn:
    """Do the module's `campaign()` and exit: 0 when it says that it is green, 1 when not."""
    with surroundings():
        green: bool = importlib.import_module(module).campaign()
    sys.exit(0 if green else 1)
