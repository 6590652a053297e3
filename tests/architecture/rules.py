"""The house rules, each a function from a module's syntax tree to the places that break it.

They are plain functions so that each can be shown a module that breaks it: a rule that never finds anything
is no rule.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.tree import OWN_PACKAGES

SIGNAL_MODULES = (
    "django.dispatch",
    "django.core.signals",
    "django.test.signals",
    "celery.signals",
    "guardian.signals",
)
NAMELESS = {"utils", "util", "helpers", "helper", "common", "core", "base", "misc"}
EAGER = {"task_always_eager", "celery_task_always_eager"}
GUARDED_FIELDS = {"stage", "state"}

Place = tuple[int, str]


def imported(node: ast.AST) -> list[str]:
    """The absolute module names that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""] if not node.level else []
    return []


def imports_inside_functions(module: ast.Module) -> Iterator[Place]:
    """Imports of our own code that hide in a function, where no reader looks for them."""
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                own = [name for name in imported(node) if name.split(".")[0] in OWN_PACKAGES]
                if own or (isinstance(node, ast.ImportFrom) and node.level):
                    assert isinstance(node, ast.stmt)
                    yield (
                        node.lineno,
                        f"imports {', '.join(own) or 'a relative module'} inside {function.name}()",
                    )


def signals(module: ast.Module) -> Iterator[Place]:
    """Signal receivers and whatever is needed to make one."""
    for node in ast.walk(module):
        names = imported(node)
        if any(n.startswith(SIGNAL_MODULES) or n.endswith(".signals") for n in names):
            assert isinstance(node, ast.stmt)
            yield node.lineno, f"imports {', '.join(names)}"
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if getattr(called, "id", getattr(called, "attr", "")) == "receiver":
                    yield decorator.lineno, f"{node.name}() is a receiver"


def updates_of_guarded_fields(module: ast.Module) -> Iterator[Place]:
    """`.update(stage=...)`, `.update(state=...)`, `bulk_update` of them: past transitions and events."""
    for node in ast.walk(module):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr in {"update", "aupdate"}:
            hit = {keyword.arg for keyword in node.keywords if keyword.arg} & GUARDED_FIELDS
        elif node.func.attr in {"bulk_update", "abulk_update"}:
            hit = {
                c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str)
            } & GUARDED_FIELDS
        else:
            continue
        if hit:
            yield node.lineno, f"{node.func.attr}() of {', '.join(sorted(hit))}"


def eager_mode(module: ast.Module) -> Iterator[Place]:
    """Celery's eager mode: a task that runs in its caller proves nothing about tasks."""
    for node in ast.walk(module):
        name = ""
        if isinstance(node, ast.keyword):
            name = node.arg or ""
        elif isinstance(node, ast.Name):
            name = node.id
        elif isinstance(node, ast.Attribute):
            name = node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
        if name.lower() in EAGER:
            yield getattr(node, "lineno", 0), name


def stand_ins(module: ast.Module) -> Iterator[Place]:
    """Stand-ins for the real services."""
    for node in ast.walk(module):
        for name in imported(node):
            if name.split(".")[0] in {"moto", "fakeredis", "mongomock", "pytest_mock"}:
                assert isinstance(node, ast.stmt)
                yield node.lineno, f"imports {name}"
        if isinstance(node, ast.Constant) and node.value == "django.db.backends.sqlite3":
            yield node.lineno, "uses SQLite as the database"


def skips(module: ast.Module) -> Iterator[Place]:
    """Tests that are skipped, or expected to fail."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in {"skip", "skipif", "xfail", "importorskip"}:
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id == "pytest":
                yield node.lineno, f"pytest {node.attr}"


def left_undone(text: str) -> Iterator[Place]:
    """Notes of work that was left for later."""
    marks = tuple("".join(letters) for letters in (("TO", "DO"), ("FIX", "ME"), ("XX", "X")))
    for number, line in enumerate(text.splitlines(), start=1):
        for mark in marks:
            if mark in line.replace(".", " ").replace(":", " ").replace("(", " ").split():
                yield number, mark
