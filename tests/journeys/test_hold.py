"""A version kept for a case, in the shell: placed by one, lifted by two, and deleted only then."""

from __future__ import annotations

import pytest

from lifecycle.models import LegalHold
from tests.cast import Cast
from tests.conftest import Live
from tests.factories import ready_version
from tests.journeys.conftest import Run

pytestmark = pytest.mark.django_db(transaction=True)


def test_placed_by_one_and_lifted_by_two(cast: Cast, live: Live, run: Run) -> None:
    version = ready_version(cast)
    reference = version.reference

    def said(who: str, code: int, *arguments: str) -> str:
        """All that was printed, on one line."""
        told = run(who, code, *arguments)
        return " ".join((told.stdout + told.stderr).split())

    assert "hold.place" in said("eve", 1, "hold", "place", reference, "--reason", "Mine.")
    placed = said("ada", 0, "hold", "place", reference, "--reason", "Case 12.")
    hold = str(LegalHold.objects.get(version=version).pk)
    assert f"{reference}: legal hold stands why Case 12." in placed
    assert hold in placed
    shown = said("vera", 0, "show", reference)
    assert "legal hold Case 12." in shown
    kept = said("eve", 1, "delete", reference, "--reason", "Old.", "--yes")
    assert f"Case 12. Two people can lift that (assay hold lift {hold})." in kept

    assert f"assay hold grant {hold}" in said("ada", 0, "hold", "lift", hold, "--reason", "Settled.")
    assert "asks to lift it" in said("vera", 0, "show", reference)
    assert "somebody else must decide" in said("ada", 1, "hold", "grant", hold, "--reason", "Mine.")
    assert "stands, a lift is asked" in said("cora", 0, "hold", "list", "--state", "lift_asked")
    assert "refused by cora" in said("cora", 0, "hold", "refuse", hold, "--reason", "Not yet.")
    said("ada", 0, "hold", "lift", hold, "--reason", "Settled now.")
    lifted = said("cora", 0, "hold", "grant", hold, "--reason", "Seen.")
    assert f"{reference}: legal hold lifted" in lifted
    assert "No holds." in said("vera", 0, "hold", "list", "--state", "standing")
    assert "is deleted" in said("eve", 0, "delete", reference, "--reason", "Old.", "--yes")
