"""Each rule is shown a module that breaks it, then the whole project."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture import rules
from tests.architecture.rules import Place
from tests.architecture.tree import APPS, files, modules, source, tree

# In one process: what was parsed once is at hand.
pytestmark = pytest.mark.xdist_group("architecture")
LONGEST = 400

# A signal is right in these places only: (module, why).
RECORDED_SIGNALS: dict[str, str] = {
    "config/celery.py": "Celery's only way to run something when a worker process starts (DECISIONS.md, 10)",
}

# Rows whose `state` says how far a machine is with its work, claimed by a conditional UPDATE: (module, rows).
# Nobody decides about them. What people decide, a version's stage and a promotion's state, is not excused.
CLAIMED_BY_UPDATE: dict[str, str] = {
    "registry/artifacts/garbage.py": "blobs by the hundred, locked, with the one event of their batch",
    "registry/journal/delivery.py": "a period's deliveries, locked by endpoint, with the one event of their replay",
    "registry/journal/mailing.py": "a mail is taken by the one worker that moves it from pending",
}

Rule = Callable[[ast.Module], Iterator[Place]]


def broken(rule: Rule, *tops: str, allowed: dict[str, str] | None = None) -> list[str]:
    """The places below `tops` that break `rule`, as `path:line what`."""
    return [
        f"{path}:{line} {what}"
        for path in modules(*tops)
        if str(path) not in (allowed or {})
        for line, what in rule(tree(path))
    ]


@pytest.mark.parametrize(
    ("rule", "breach"),
    [
        (rules.imports_inside_functions, "def f():\n    from registry import models"),
        (rules.imports_inside_functions, "async def f():\n    import lifecycle.promotions"),
        (rules.imports_inside_functions, "class A:\n    def f(self):\n        from . import x"),
        (rules.signals, "from django.db.models.signals import post_save"),
        (rules.signals, "from celery.signals import worker_ready"),
        (rules.signals, "@receiver(post_save)\ndef f(**kw): pass"),
        (rules.signals, "@dispatch.receiver(post_save)\ndef f(**kw): pass"),
        (rules.updates_of_guarded_fields, "Version.objects.filter(pk=1).update(stage='production')"),
        (rules.updates_of_guarded_fields, "Promotion.objects.update(at=now, state='applied')"),
        (rules.updates_of_guarded_fields, "Version.objects.bulk_update(rows, ['stage'])"),
        (rules.eager_mode, "app.conf.update(task_always_eager=True)"),
        (rules.eager_mode, "CELERY_TASK_ALWAYS_EAGER = True"),
        (rules.eager_mode, "app.conf['task_always_eager'] = True"),
        (rules.stand_ins, "from moto import mock_aws"),
        (rules.stand_ins, "ENGINE = 'django.db.backends.sqlite3'"),
        (rules.skips, "@pytest.mark.skip\ndef test(): pass"),
        (rules.skips, "def test():\n    pytest.importorskip('x')"),
    ],
)
def test_each_rule_sees_what_breaks_it(rule: Rule, breach: str) -> None:
    assert list(rule(ast.parse(breach)))


@pytest.mark.parametrize(
    ("rule", "fine"),
    [
        (rules.imports_inside_functions, "def f():\n    import sklearn"),
        (rules.imports_inside_functions, "from registry import models"),
        (rules.updates_of_guarded_fields, "Version.objects.update(tags={})"),
        (rules.updates_of_guarded_fields, "counts.update({'state': 1})"),
        (rules.stand_ins, "import sqlite3"),
        (rules.skips, "itertools.skip"),
    ],
)
def test_no_rule_sees_what_is_fine(rule: Rule, fine: str) -> None:
    assert not list(rule(ast.parse(fine)))


def test_own_code_is_imported_at_the_top_of_modules() -> None:
    assert broken(rules.imports_inside_functions) == []


def test_there_are_no_signal_receivers() -> None:
    assert broken(rules.signals, *APPS, "client", allowed=RECORDED_SIGNALS) == []


def test_stages_and_states_are_not_updated_past_their_transitions() -> None:
    assert broken(rules.updates_of_guarded_fields, *APPS, allowed=CLAIMED_BY_UPDATE) == []


def test_no_update_of_a_stage_is_excused() -> None:
    for path in CLAIMED_BY_UPDATE:
        hits = [what for _, what in rules.updates_of_guarded_fields(tree(Path(path)))]
        assert hits, f"{path} no longer needs its exception"
        assert not [what for what in hits if "stage" in what]


def test_every_recorded_signal_is_still_there() -> None:
    for path in RECORDED_SIGNALS:
        assert list(rules.signals(tree(Path(path)))), f"{path} no longer needs its exception"


def test_tasks_are_never_eager() -> None:
    assert broken(rules.eager_mode, *APPS, "client", "manage.py") == []
    assert (
        broken(
            rules.eager_mode,
            "tests",
            allowed={"tests/architecture/rules.py": "", "tests/architecture/test_rules.py": ""},
        )
        == []
    )


def test_the_services_are_real() -> None:
    itself = {"tests/architecture/rules.py": "", "tests/architecture/test_rules.py": ""}
    assert broken(rules.stand_ins, allowed=itself) == []


def test_no_test_is_skipped() -> None:
    assert broken(rules.skips) == []


def test_nothing_is_left_undone() -> None:
    found = [f"{path}:{line} {mark}" for path in modules() for line, mark in rules.left_undone(source(path))]
    assert found == []
    assert [*rules.left_undone("x = 1  # " + "TO" + "DO: later")]


def test_no_module_is_long() -> None:
    long = {str(path): n for path in modules() if (n := source(path).count("\n")) > LONGEST}
    assert long == {}


def test_names_say_what_a_module_holds() -> None:
    nameless = [
        str(path)
        for path in files()
        if path.suffix == ".py" and {path.stem, *path.parts[:-1]} & rules.NAMELESS
    ]
    assert nameless == []


def test_the_tests_mirror_what_they_test() -> None:
    """A folder below tests/ is an app, or one of the folders that go by something else."""
    by_something_else = {
        "architecture",
        "api",
        "benchmarks",
        "browser",
        "campaigns",
        "client",
        "demo",
        "deploy",
        "journeys",
    }
    folders = {path.parts[1] for path in modules("tests") if len(path.parts) > 2}
    assert folders <= {*APPS} | by_something_else
