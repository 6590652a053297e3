"""Aliases move by hand, with their history; the protected one does not."""

from __future__ import annotations

import pytest
from django.utils import timezone

from registry.models import Alias, AliasMove, Event
from tests.cast import Cast
from tests.factories import promotion_at, ready_version


def at(cast: Cast, alias: str = "") -> str:
    stem = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/aliases"
    return f"{stem}/{alias}" if alias else stem


def test_it_works(cast: Cast) -> None:
    first, second = ready_version(cast), ready_version(cast)
    eve = cast.client("eve")
    assert eve.put(at(cast, "champion"), {"version": 1}).json()["reference"] == first.reference
    assert eve.put(at(cast, "champion"), {"version": 2}).json()["reference"] == second.reference
    assert eve.put(at(cast, "champion"), {"version": 2}).status_code == 200
    shown = eve.get(at(cast, "champion")).json()
    assert [(m["from"], m["to"]) for m in shown["moves"]] == [(1, 2), (None, 1)]
    assert [a["name"] for a in eve.get(at(cast)).json()["results"]] == ["champion"]
    assert eve.delete(at(cast, "champion")).status_code == 204
    assert eve.get(at(cast, "champion")).status_code == 404
    assert AliasMove.objects.filter(model=first.model).count() == 3
    assert Event.objects.filter(namespace=cast.namespace, type="alias.moved").count() == 3


@pytest.mark.parametrize("name", ["latest", "v3", "LATEST", "a@b", "Ä", "sha256:x"])
def test_names_that_would_mislead_are_refused(cast: Cast, name: str) -> None:
    ready_version(cast)
    assert cast.client("eve").put(at(cast, name), {"version": 1}).status_code == 422


def test_production_is_moved_by_promotions_only(cast: Cast) -> None:
    promotion_at(cast, "applied")
    ready_version(cast)
    eve = cast.client("eve")
    for answer in (
        eve.put(at(cast, "production"), {"version": 2}),
        eve.put(at(cast, "production"), {"version": 1}),
        eve.delete(at(cast, "production")),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "alias-is-protected")
    assert Alias.objects.get(name="production", model__namespace=cast.namespace).version.number == 1


def test_even_before_there_is_one(cast: Cast) -> None:
    ready_version(cast)
    assert cast.client("eve").put(at(cast, "production"), {"version": 1}).status_code == 409


def test_a_version_that_is_not_proven_is_not_pointed_at(cast: Cast) -> None:
    version = ready_version(cast)
    rows = type(version).objects.filter(pk=version.pk)
    rows.update(status="deleted", deleted_at=timezone.now())
    answer = cast.client("eve").put(at(cast, "champion"), {"version": 1})
    assert (answer.status_code, answer.json()["code"]) == (410, "version-deleted")


def test_another_models_version_has_no_number_here(cast: Cast) -> None:
    ready_version(cast)
    ready_version(cast, model="other")
    ready_version(cast, model="other")
    assert cast.client("eve").put(at(cast, "champion"), {"version": 2}).status_code == 404
