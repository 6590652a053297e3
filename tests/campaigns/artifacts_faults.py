"""Every operation on bytes while the store misbehaves in every way (tests/registry/artifacts/faulting.py)."""

from __future__ import annotations

from tests.campaigns.running import run

if __name__ == "__main__":
    run("tests.registry.artifacts.faulting")
