"""What ought to happen: every call on the lifecycle, predicted in plain Python before it is made.

Each method either raises Refused or changes what the oracle knows and returns the events that must be written. It
shares nothing with the code it predicts but the words.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

from tests.lifecycle.machine.gates import Gates
from tests.lifecycle.machine.things import (
    ADMINS,
    ENGINEERS,
    MAKERS,
    MOVES,
    OPERATORS,
    OWNERS,
    STAGES,
    Happened,
    Incident,
    Policy,
    Promotion,
    Refused,
    Version,
    Waiver,
    accounts_of,
    allow,
)

WHO_MAY = {
    "demote": ENGINEERS,
    "suspend": OPERATORS,
    "deprecate": ENGINEERS,
    "reinstate": ENGINEERS,
    "archive": ENGINEERS,
}
EVENT_OF = {
    "stage": "version.promoted",
    "produce": "version.promoted",
    "step_down": "version.archived",
    "archive": "version.archived",
    "roll_back": "version.rolled_back",
    "suspend": "version.suspended",
    "demote": "version.demoted",
    "deprecate": "version.deprecated",
    "reinstate": "version.reinstated",
}


class Oracle(Gates):
    """The namespace as it ought to be."""

    def __init__(self) -> None:
        self.versions: list[Version] = []
        self.promotions: list[Promotion] = []
        self.waivers: list[Waiver] = []
        self.incidents: list[Incident] = []
        # What is in force for a stage, and the draft that waits, with who made it.
        self.policies: dict[str, Policy] = {}
        # How many were published: the same gates again are another revision.
        self.revisions: dict[str, int] = {}
        self.drafts: dict[str, tuple[Policy, str]] = {}
        # (model, target) -> the version that runs there and who says so; None once it was taken away
        self.running: dict[tuple[str, str], tuple[Version, str] | None] = {}
        # Of each model, the way that leads to what is in production: an undo goes along it.
        self.line: dict[str, list[Version]] = {}
        self.serial = itertools.count(1)

    # ---- what is

    def in_production(self, model: str) -> Version | None:
        """The one, if there is one."""
        return next((v for v in self.versions if v.model == model and v.stage == "production"), None)

    def open_of(self, version: Version) -> list[Promotion]:
        return [p for p in self.promotions if p.version is version and p.is_open]

    # ---- evidence

    def evaluate(self, version: Version, value: float, by: str) -> Happened:
        allow(by, MAKERS)
        if version.deleted:
            raise Refused("version-gone")
        if not math.isfinite(value):
            raise Refused("invalid-input")
        version.measured.append((next(self.serial), by, value))
        return [("evaluation.recorded", version)]

    def check(self, version: Version, passed: bool, by: str) -> Happened:
        allow(by, MAKERS)
        version.checks.append((next(self.serial), by, passed))
        return [("check.reported", version)]

    def open_incident(self, incident: Incident, by: str) -> Happened:
        allow(by, MAKERS | OPERATORS)
        if incident.version and incident.version.deleted:
            raise Refused("version-deleted")
        self.incidents.append(incident)
        return [("incident.opened", incident.version or incident.model)]

    def close_incident(self, incident: Incident, by: str) -> Happened:
        allow(by, OPERATORS)
        if incident.closed:
            raise Refused("incident-closed")
        incident.closed = True
        return [("incident.closed", incident.version or incident.model)]

    # ---- policies

    def draft(self, target: str, policy: Policy, by: str) -> Happened:
        allow(by, ADMINS)
        if target not in self.policies:
            raise Refused("invalid-input")
        waiting = self.drafts.get(target)
        if policy in (waiting and waiting[0], self.policies[target]):
            return []
        self.drafts[target] = (policy, by)
        return [("policy.withdrawn", "policy")] * bool(waiting) + [("policy.drafted", "policy")]

    def publish(self, target: str, by: str) -> Happened:
        policy = self._drafted(target, by, may_be_own=target != "production")
        self.policies[target] = policy
        self.revisions[target] = self.revisions.get(target, 0) + 1
        return [("policy.published", "policy")]

    def withdraw_draft(self, target: str, by: str) -> Happened:
        self._drafted(target, by)
        return [("policy.withdrawn", "policy")]

    def _drafted(self, target: str, by: str, may_be_own: bool = True) -> Policy:
        allow(by, ADMINS | OPERATORS)
        if target not in self.drafts:
            raise Refused("policy-not-draft")
        policy, drafter = self.drafts[target]
        if not may_be_own and by in accounts_of({drafter}):
            raise Refused("own-policy")
        del self.drafts[target]
        return policy

    # ---- promotions

    def request(self, promotion: Promotion) -> Happened:
        version, target = promotion.version, promotion.target
        allow(promotion.by, ENGINEERS)
        if target not in ("staging", "production"):
            raise Refused("invalid-input")
        self._check_usable(version)
        if (version.stage, target) not in (("development", "staging"), ("staging", "production")):
            raise Refused("not-promotable")
        if any(p.target == target for p in self.open_of(version)):
            raise Refused("promotion-open")
        promotion.revision = self.revisions.get(target, 0)
        self.promotions.append(promotion)
        return [("promotion.requested", promotion)]

    def roll_back(self, model: str, to: Version | None, reason: str, promotion: Promotion) -> Happened:
        allow(promotion.by, OPERATORS)
        if not reason.strip():
            raise Refused("invalid-input")
        if to is None:
            to = next((v for v in reversed(self.line.get(model, [])[:-1]) if self._may_return(v)), None)
        else:
            self._check_usable(to)
        if to is None or not self._may_return(to):
            raise Refused("no-rollback-target")
        if any(p.target == "production" for p in self.open_of(to)):
            raise Refused("promotion-open")
        promotion.version = to
        self.promotions.append(promotion)
        return [("promotion.requested", promotion)]

    def settle(self, promotion: Promotion, late: bool = False) -> Happened:
        if not promotion.is_open:
            return []
        if late or promotion.late:
            return self._end(promotion, "expired")
        if promotion.state == "awaiting_approval":
            return self._void_when_changed(promotion)
        if promotion.version.quarantines or self._superseded(promotion):
            return self._end(promotion, "void")
        found = self.findings(promotion)
        self.keep(promotion, found)
        verdicts = {each.verdict for each in found.values()}
        if "fail" in verdicts:
            return self._end(promotion, "gates_failed")
        if "pending" in verdicts:
            return []
        promotion.binding = self.shown(promotion)
        if promotion.policy.approvals:
            promotion.state = "awaiting_approval"
            return [("promotion.awaiting_approval", promotion)]
        return self._apply(promotion)

    def decide(self, promotion: Promotion, verdict: str, reason: str, by: str) -> Happened:
        allow(by, OPERATORS)
        if by in OWNERS:
            raise Refused("forbidden")
        if by in accounts_of({promotion.by}) | accounts_of({promotion.version.maker}):
            raise Refused("own-request")
        if verdict == "reject" and not reason.strip():
            raise Refused("invalid-input")
        self._check_open(promotion)
        if by in promotion.decisions:
            raise Refused("already-decided")
        if ended := self._void_when_changed(promotion):
            return ended
        promotion.decisions[by] = verdict
        if verdict == "reject":
            return self._end(promotion, "rejected")
        approved: Happened = [("promotion.approved", promotion)]
        if len(promotion.decisions) >= promotion.policy.approvals:
            return approved + self._apply(promotion)
        return approved

    def apply(self, promotion: Promotion) -> Happened:
        """As a worker that comes late would: never needed, as the last decision applies."""
        self._check_open(promotion)
        if ended := self._void_when_changed(promotion):
            return ended
        raise Refused("approvals-missing")

    def withdraw(self, promotion: Promotion, by: str) -> Happened:
        allow(by, OPERATORS if promotion.is_rollback else ENGINEERS)
        if not promotion.is_open:
            raise Refused("promotion-closed")
        return self._end(promotion, "withdrawn")

    # ---- moves

    def move(self, version: Version, move: str, reason: str, by: str) -> Happened:
        if move not in WHO_MAY:
            raise Refused("invalid-input")
        allow(by, WHO_MAY[move])
        if version.deleted:
            raise Refused("version-deleted")
        if version.stage not in MOVES[move][0] or not reason.strip():
            raise Refused("illegal-move")
        happened = self._move(version, move)
        if move == "suspend":
            happened += self._void_others(version.model, None)
        return happened + self._end_all(self.open_of(version), "void")

    def delete(self, version: Version, by: str) -> Happened:
        allow(by, ENGINEERS)
        if version.deleted:
            return []
        if version.stage in ("staging", "production") or self.open_of(version):
            raise Refused("version-in-use")
        if any(there and there[0] is version for there in self.running.values()):
            raise Refused("version-in-use")
        version.deleted = True
        return [("version.deleted", version)]

    # ---- doubts

    def quarantine(self, version: Version, reason: str, by: str) -> Happened:
        allow(by, OPERATORS)
        if version.deleted:
            raise Refused("version-deleted")
        if any(why == reason for _, why in version.quarantines):
            return []
        ended = self._end_all(self.open_of(version), "void")
        version.quarantines.append((by, reason))
        return [*ended, ("version.quarantined", version)]

    def lift(self, version: Version, by: str) -> Happened:
        allow(by, OPERATORS)
        if not version.quarantines:
            raise Refused("not-quarantined")
        if by in accounts_of({who for who, _ in version.quarantines}):
            raise Refused("own-quarantine")
        version.quarantines.clear()
        return [("version.quarantine_lifted", version)]

    # ---- what runs

    def deploy(self, version: Version, target: str, by: str) -> Happened:
        allow(by, ENGINEERS | OPERATORS)
        if self.running.get((version.model, target)) == (version, by):
            return []  # a heartbeat
        self.running[version.model, target] = (version, by)
        return [("deployment.reported", "deployment")]

    def undeploy(self, model: str, target: str, by: str) -> Happened:
        allow(by, ENGINEERS | OPERATORS)
        if (model, target) not in self.running:
            raise Refused("not-deployed")
        if self.running[model, target] is None:
            return []
        self.running[model, target] = None
        return [("deployment.removed", "deployment")]

    # ---- waivers

    def ask_waiver(self, waiver: Waiver) -> Happened:
        allow(waiver.by, ENGINEERS)
        promotion = waiver.promotion
        if promotion.state not in ("evaluating", "gates_failed"):
            raise Refused("not-waivable")
        if waiver.gate not in promotion.results:
            raise Refused("invalid-input")
        waiver.result = promotion.results[waiver.gate]
        if waiver.result[1].verdict not in ("fail", "pending"):
            raise Refused("not-waivable")
        if any(w.result[0] == waiver.result[0] and not w.verdict for w in self.waivers):
            raise Refused("waiver-open")
        self.waivers.append(waiver)
        return [("waiver.asked", promotion.version)]

    def decide_waiver(self, waiver: Waiver, verdict: str, by: str) -> Happened:
        allow(by, OPERATORS)
        promotion = waiver.promotion
        if by in accounts_of({waiver.by, promotion.by, promotion.version.maker}):
            raise Refused("own-request")
        if waiver.verdict:
            raise Refused("already-decided")
        if verdict == "grant" and promotion.results[waiver.gate][0] != waiver.result[0]:
            raise Refused("not-waivable")
        waiver.verdict = verdict
        return [("waiver.granted" if verdict == "grant" else "waiver.refused", promotion.version)]

    # ---- what follows

    def _check_usable(self, version: Version) -> None:
        if version.deleted:
            raise Refused("version-deleted")
        if version.quarantines:
            raise Refused("under-quarantine")

    def _may_return(self, version: Version) -> bool:
        free = not version.deleted and not version.quarantines
        return free and version.stage == "archived" and version.may_return

    def _check_open(self, promotion: Promotion) -> None:
        if promotion.state != "awaiting_approval" or promotion.late:
            raise Refused("promotion-closed")

    def _superseded(self, promotion: Promotion) -> bool:
        """Where approvals are asked, another policy is in force than the one they are asked under."""
        asked = bool(promotion.policy.approvals) and not promotion.is_rollback
        return asked and promotion.revision != self.revisions.get(promotion.target, 0)

    def _void_when_changed(self, promotion: Promotion) -> Happened:
        if promotion.version.quarantines or self._superseded(promotion):
            return self._end(promotion, "void")
        if self.shown(promotion) == promotion.binding:
            return []
        self.keep(promotion, self.findings(promotion))
        return self._end(promotion, "void")

    def _apply(self, promotion: Promotion) -> Happened:
        version, model = promotion.version, promotion.version.model
        promotion.state = "applied"
        happened: Happened = []
        if promotion.target == "production":
            if old := self.in_production(model):
                happened += self._move(old, "step_down")
            happened += self._move(version, "roll_back" if promotion.is_rollback else "produce")
            happened += self._void_others(model, promotion)
            line = self.line.setdefault(model, [])
            if promotion.is_rollback and version in line:
                del line[line.index(version) + 1 :]
            else:
                line.append(version)
        else:
            happened += self._move(version, "stage")
        return [*happened, ("promotion.applied", promotion)]

    def _move(self, version: Version, move: str) -> Happened:
        target = MOVES[move][1]
        assert target in STAGES
        version.moves.append((version.stage, target, move))
        version.stage = target
        version.may_return = target == "production" or (version.may_return and target != "deprecated")
        return [(EVENT_OF[move], version)]

    def _void_others(self, model: str, but: Promotion | None) -> Happened:
        waiting = [
            p
            for p in self.promotions
            if p.version.model == model and p.target == "production" and p.state == "awaiting_approval"
        ]
        return self._end_all([p for p in waiting if p is not but], "void")

    def _end_all(self, promotions: Iterable[Promotion], state: str) -> Happened:
        return [each for promotion in promotions for each in self._end(promotion, state)]

    def _end(self, promotion: Promotion, state: str) -> Happened:
        promotion.state = state
        return [(f"promotion.{state}", promotion)]
