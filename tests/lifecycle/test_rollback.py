"""Going back to what was in production before, and forward again; moves without a promotion."""

from __future__ import annotations

import pytest

from lifecycle.actions.promotions import NoRollbackTarget, move_version, roll_back, withdraw_promotion
from lifecycle.models import State
from lifecycle.promotions import settle
from registry.errors import Forbidden, InvalidInput
from registry.models import Alias, ModelVersion
from tests.cast import Cast
from tests.factories import fresh, promotion_at


def test_back_and_forward_again(cast: Cast) -> None:
    first = promotion_at(cast, "applied").version
    second = promotion_at(cast, "applied", value=0.95).version

    back = roll_back(model=first.model, reason="errors since noon", by=cast.principal("cora"))
    back = settle(promotion_id=back.pk)

    assert back.state == State.APPLIED
    assert (fresh(first).stage, fresh(second).stage) == ("production", "archived")

    forth = roll_back(
        model=first.model, to=second.number, reason="it was the network", by=cast.principal("cora")
    )
    assert settle(promotion_id=forth.pk).state == State.APPLIED
    assert (fresh(first).stage, fresh(second).stage) == ("archived", "production")


def test_only_operators_roll_back_and_only_to_former_productions(cast: Cast) -> None:
    version = promotion_at(cast, "applied").version
    with pytest.raises(Forbidden):
        roll_back(model=version.model, reason="why not", by=cast.principal("eve"))
    with pytest.raises(NoRollbackTarget):
        roll_back(model=version.model, reason="night", by=cast.principal("cora"))
    with pytest.raises(InvalidInput):
        roll_back(model=version.model, reason=" ", by=cast.principal("cora"))


def test_suspended_is_no_rollback_target_until_it_climbs_again(cast: Cast) -> None:
    version = promotion_at(cast, "applied").version
    move_version(version=version, move="suspend", reason="biased", by=cast.principal("cora"))

    assert fresh(version).stage == "deprecated"
    assert not Alias.objects.filter(model=version.model, name="production").exists()
    with pytest.raises(NoRollbackTarget):
        roll_back(model=version.model, to=version.number, reason="back", by=cast.principal("cora"))
    move_version(version=version, move="archive", reason="put away", by=cast.principal("eve"))
    with pytest.raises(NoRollbackTarget, match="suspended"):
        roll_back(model=version.model, to=version.number, reason="back", by=cast.principal("cora"))
    assert fresh(version).stage == "archived"


def test_rolling_back_twice_goes_further_back(cast: Cast) -> None:
    first, second, third = (promotion_at(cast, "applied", value=value).version for value in (0.9, 0.95, 0.99))
    for expected in (second, first):
        back = roll_back(model=first.model, reason="bad too", by=cast.principal("cora"))
        assert settle(promotion_id=back.pk).state == State.APPLIED
        assert fresh(expected).stage == "production"
    with pytest.raises(NoRollbackTarget):
        roll_back(model=first.model, reason="further", by=cast.principal("cora"))
    forth = roll_back(
        model=first.model, to=third.number, reason="it was the network", by=cast.principal("cora")
    )
    assert settle(promotion_id=forth.pk).state == State.APPLIED


def test_moving_a_version_voids_what_is_open_for_it(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    move_version(version=promotion.version, move="demote", reason="wait", by=cast.principal("eve"))

    promotion.refresh_from_db()
    assert promotion.state == State.VOID
    assert ModelVersion.objects.get(pk=promotion.version_id).stage == "development"


def test_a_rollback_is_taken_back_by_operators_only(cast: Cast) -> None:
    """While bytes are read again it is open: whoever may not go back does not stop it either."""
    first = promotion_at(cast, "applied").version
    promotion_at(cast, "applied", value=0.95)
    back = roll_back(model=first.model, reason="errors since noon", by=cast.principal("cora"))

    with pytest.raises(Forbidden, match=r"version\.roll_back"):
        withdraw_promotion(promotion=back, by=cast.principal("eve"))
    assert cast.client("eve").post(f"/api/v1/promotions/{back.pk}/withdraw").status_code == 403
    answer = cast.client("cora").post(f"/api/v1/promotions/{back.pk}/withdraw")
    assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")
