"""Who may approve what is asked of a model: what its policies ask for, and the people whose approval counts."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.approvals import groups_of
from lifecycle.models import Policy
from lifecycle.policies import current
from lifecycle.revisions import approvals_told
from registry.models import RegisteredModel, Stage
from registry.permissions import designated_reviewers, holders, members
from registry.roles import DESIGNATED, Permission


@dataclass(frozen=True)
class Asked:
    """What one stage asks for. `people`: whose approval counts, by what they are; none where nobody is asked."""

    target: str
    policy: Policy
    sentence: str
    people: list[tuple[str, list[str]]]


def approvers(model: RegisteredModel) -> list[Asked]:
    """For production and for staging. Nobody approves what they asked for or made, whoever they are."""
    return [_asked(model, target) for target in (Stage.PRODUCTION, Stage.STAGING)]


def _asked(model: RegisteredModel, target: Stage) -> Asked:
    policy = current(model, target)
    asked = policy.approvals
    if not asked.get("count"):
        return Asked(target, policy, "nobody is asked", [])
    people = [("may decide in the namespace", holders(Permission.PROMOTION_DECIDE, model.namespace))]
    if asked.get("designated_reviewers", True):
        people.append(("designated for this model", designated_reviewers(model)))
    people += [
        (f"group or role {name}", members(model.namespace, [name]))
        for name in groups_of(asked)
        if name != DESIGNATED
    ]
    told = [(what, sorted(each.get_username() for each in found)) for what, found in people]
    return Asked(target, policy, f"approvals asked: {approvals_told(asked)}", told)
