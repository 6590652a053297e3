"""The company that the pages are shown of."""

from __future__ import annotations

import secrets

import pytest

from tests.console.scene import Scene, make_scene


@pytest.fixture
def scene(db: None) -> Scene:
    """A scene of its own, rolled back after the test."""
    return make_scene(f"-{secrets.token_hex(3)}")
