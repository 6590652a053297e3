"""What a search finds, what it says would stay, and how far a redaction reaches."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from lifecycle.models import Policy
from lineage.models import Package, Run
from registry.actions import redactions
from registry.actions.redactions import Named, find_text
from registry.errors import DomainError
from registry.redaction.marks import MARK
from tests.cast import Cast
from tests.lineage.scenes import a_run, a_version
from tests.registry.redaction.planting import CANARY, another_model, approved, asked, columns_that_hold

pytestmark = pytest.mark.django_db


def test_looking_tells_where_and_what_would_stay(cast: Cast) -> None:
    run = a_run(cast, command=["x", CANARY], environment={"packages": {}, CANARY: {"a.b": [CANARY]}})
    found = find_text(namespace=cast.namespace, text=CANARY, by=cast.principal("cora"))
    mine = [(p.column, p.path, p.part) for p in found.places if (p.kind, p.row) == ("run", str(run.pk))]
    # The key that holds it is told by its position: shorter keys stand first.
    assert sorted(mine, key=str) == [
        ("command", (1,), "value"),
        ("environment", (1, "a.b", 0), "value"),
        ("environment", (1,), "key"),
    ]
    assert CANARY not in repr(found)
    version = a_version(cast)
    stays = find_text(namespace=cast.namespace, text="scorer", by=cast.principal("cora")).stays
    assert [(s.kind, s.row) for s in stays] == [("registeredmodel", str(version.model_id))]


def test_names_that_stay_are_told_once_each_with_what_to_do(cast: Cast) -> None:
    for _ in range(2):
        a_run(cast, metrics={f"{CANARY}.loss": 1.0})
    Policy.objects.create(
        namespace=cast.namespace, target="production", revision=99, gates=[{"gate": CANARY}], approvals={}
    )
    found = find_text(namespace=cast.namespace, text=CANARY, by=cast.principal("cora"))
    assert found.places == []
    assert [(s.kind, s.column) for s in found.stays] == [("latestmetric", "key"), ("policy", "gates")]
    assert "publish another revision" in found.stays[1].why
    assert CANARY not in repr(found)


def test_a_release_that_others_use_goes_with_the_last_of_them(cast: Cast) -> None:
    """The list of releases is everybody's: nobody makes others' runs unfindable."""
    packages = {CANARY: "1.0", "numpy": f"2.2+{CANARY}"}
    a_run(cast, environment={"packages": packages})
    there = a_run(cast, by="mallory", elsewhere=True, environment={"packages": {"numpy": f"2.2+{CANARY}"}})
    approved(cast, asked(cast))
    assert columns_that_hold(CANARY) == {"lineage_run.environment": 1, "lineage_package.version": 1}
    assert Package.objects.filter(version="1.0").exclude(name__startswith="[redacted").count() == 0
    # Spelt in lower case for comparing, it is the same text.
    assert not Package.objects.filter(canonical__contains="hunter2", version="1.0").exists()
    assert there.environment == Run.objects.get(pk=there.pk).environment
    shared = Package.objects.get(version=f"2.2+{CANARY}")
    with pytest.raises(DomainError) as refused:
        asked(cast, text=None, places=[Named("package", str(shared.pk), "version")])
    assert refused.value.code == "not-found"


def test_a_way_that_holds_another_secret_is_redacted_too(cast: Cast) -> None:
    """Asked first for one secret below a key that is another, of which nobody knew: its name was written down."""
    run = a_run(cast, config={"path": "", "values": {"hunter2-key": {"a": CANARY, "b": "c"}}})
    first = asked(
        cast, text=None, places=[Named("run", str(run.pk), "config", ("values", "hunter2-key", "a"))]
    )
    approved(cast, asked(cast, text="hunter2-key"))
    assert columns_that_hold("hunter2-key") == {}
    # Its way leads there still.
    assert approved(cast, first).outcome == {"redacted": 1, "changed": []}
    (held,) = Run.objects.get(pk=run.pk).config["values"].values()  # type: ignore[index]
    assert (bool(MARK.fullmatch(held["a"])), held["b"]) == (True, "c")


def test_more_than_one_redaction_takes_is_taken_in_turns(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redactions, "MOST_PLACES", 2)
    run = a_run(cast, command=[CANARY, "x", CANARY, CANARY])
    found = find_text(namespace=cast.namespace, text=CANARY, by=cast.principal("ada"))
    assert (len(found.places), found.more) == (2, True)
    first = approved(cast, asked(cast))
    assert (first.more, first.outcome) == (True, {"redacted": 2, "changed": []})
    second = approved(cast, asked(cast))
    assert (second.more, second.outcome) == (False, {"redacted": 1, "changed": []})
    assert columns_that_hold(CANARY) == {}
    assert Run.objects.get(pk=run.pk).command[1] == "x"


def test_what_is_looked_for_is_in_no_statement(cast: Cast) -> None:
    """The database would show it to whoever watches, and log it when it is slow."""
    a_run(cast, command=["x", CANARY])
    said: list[str] = []

    def watch(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        said.append(f"{sql} {parameters}")
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(watch):
        approved(cast, asked(cast))
    assert said
    assert not [statement for statement in said if "hunter2" in statement]


def test_a_row_of_another_namespace_is_not_there(cast: Cast) -> None:
    theirs = another_model(cast, CANARY)
    with pytest.raises(DomainError) as refused:
        asked(cast, text=None, places=[Named("registeredmodel", str(theirs.pk), "description")])
    assert refused.value.code == "not-found"
    with pytest.raises(redactions.NothingToRedact):
        asked(cast)


@pytest.mark.parametrize("who", ["ben", "eve", "otto", "vera"])
def test_who_may_not_ask_may_not_look(cast: Cast, who: str) -> None:
    with pytest.raises(DomainError) as refused:
        find_text(namespace=cast.namespace, text=CANARY, by=cast.principal(who))
    assert refused.value.code == "forbidden"
