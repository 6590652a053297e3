"""The client stands alone: it imports nothing of the server, and says what it offers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.rules import imported
from tests.architecture.tree import APPS, modules, tree

# In one process: what was parsed once is at hand.
pytestmark = pytest.mark.xdist_group("architecture")
CLIENT = Path("client/src/assay")


def exported(path: Path) -> list[str] | None:
    """The literal `__all__` of a module, or None when it has none."""
    for node in tree(path).body:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            assert isinstance(node, ast.Assign | ast.AnnAssign)
            assert node.value is not None
            return list(ast.literal_eval(node.value))
    return None


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions: the order that ruff keeps too."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


def test_what_it_offers_is_stated_and_sorted() -> None:
    offered = exported(CLIENT / "__init__.py")
    assert offered
    for path in modules("client"):
        names = exported(path)
        if names is not None:
            assert names == sorted(names, key=order), path
            assert len(names) == len(set(names)), path


def test_it_imports_nothing_of_the_server() -> None:
    server = {*APPS, "django", "tests"}
    found = [
        f"{path}: {name}"
        for path in modules("client")
        if path.is_relative_to(CLIENT)
        for node in ast.walk(tree(path))
        for name in imported(node)
        if name.split(".")[0] in server
    ]
    assert found == []


def test_the_server_imports_nothing_of_it_but_the_demonstration() -> None:
    found = {
        str(path)
        for path in modules(*APPS)
        for node in ast.walk(tree(path))
        for name in imported(node)
        if name.split(".")[0] == "assay" and "demo" not in str(path)
    }
    assert found == set()
