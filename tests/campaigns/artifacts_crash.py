"""kill -9 of the worker at every step of publish, delete, scrub and collect (tests/registry/artifacts/crashing.py)."""

from __future__ import annotations

from tests.campaigns.running import run

if __name__ == "__main__":
    run("tests.registry.artifacts.crashing")
