"""Roles in the shell: most by one, the operator's by two, all taken away by one."""

from __future__ import annotations

import pytest

from registry.models import RoleGrant
from tests.cast import Cast
from tests.conftest import Live
from tests.journeys.conftest import Run

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_operator_is_asked_for_and_confirmed(cast: Cast, live: Live, run: Run) -> None:
    name, vera = cast.namespace.name, cast.user("vera").username

    def said(who: str, code: int, *arguments: str) -> str:
        """All that was printed, on one line."""
        told = run(who, code, "member", *arguments)
        return " ".join((told.stdout + told.stderr).split())

    assert f"{vera} is now auditor in {name}." in said("ada", 0, "grant", name, vera, "auditor")
    asked = said("ada", 0, "grant", name, vera, "production_operator", "--reason", "On call.")
    assert f"{vera} is asked for as production operator in {name}." in asked
    assert f"assay member asked {name}" in asked
    assert "role.grant" in said("eve", 1, "grant", name, vera, "production_operator")
    grant = str(RoleGrant.objects.get(namespace=cast.namespace, user=cast.user("vera")).pk)
    listed = said("cora", 0, "asked", name)
    assert f"{vera} as production operator in {name}: asked" in listed
    assert grant in listed
    assert "somebody else confirms it" in said("ada", 1, "confirm", grant)
    assert "granted" in said("cora", 0, "confirm", grant, "--reason", "Known.")
    assert "production operator" in said("ada", 0, "list", name)
    assert f"{vera} is no longer production operator" in said(
        "ada", 0, "revoke", name, vera, "production_operator"
    )
    assert "Nothing waits" in said("ada", 0, "asked", name)
