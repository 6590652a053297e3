"""What the package offers, and that offering it does nothing."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys

import assay
from assay import errors

QUIET = """
import logging, socket, sys
def watch(event, _):
    if event.startswith("socket."):
        sys.exit(f"import did {event}")
sys.addaudithook(watch)
before = list(logging.root.handlers)
import assay
assert logging.root.handlers == before
print([name for name in sys.modules if name in ("numpy", "sklearn", "django", "typer")])
"""


def test_all_is_sorted_and_there() -> None:
    assert assay.__all__ == sorted(assay.__all__)
    assert all(hasattr(assay, name) for name in assay.__all__)


def test_every_error_is_drawn_in_the_tree_and_offered() -> None:
    drawn = errors.__doc__ or ""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.AssayError)
    ]
    assert {kind.__name__ for kind in kinds} == set(
        re.findall(r"^[\s│├└─]+([A-Z][A-Za-z]+)(?=  |$)", drawn, re.MULTILINE)
    )
    assert {kind.__name__ for kind in kinds} <= set(assay.__all__)


def test_importing_is_quiet_and_light() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


def test_every_module_says_what_it_is_for() -> None:
    for module in pkgutil.walk_packages(assay.__path__, "assay."):
        assert importlib.import_module(module.name).__doc__, module.name
