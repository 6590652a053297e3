"""One model on which everything is asked for at once, and what must be true of it afterwards."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from lifecycle.models import OPEN, Approval, Promotion
from lifecycle.promotions import settle
from registry.actions.people import create_user
from registry.models import SYSTEM, Alias, Event, ModelVersion, RegisteredModel, StageChange
from registry.roles import Role
from tests.cast import Cast, hold_role, make_cast
from tests.factories import promotion_at, staged_version

CALLS = 16
# Seconds within which all is asked.
LATEST = 0.3
# What the rules refuse, each for its reason. A constraint that has to step in is a rule that did not hold.
REFUSALS = {
    "promotion-closed",
    "already-decided",
    "promotion-open",
    "no-rollback-target",
    "illegal-move",
    "not-promotable",
}
ENDED = ("applied", "rejected", "void", "withdrawn", "gates_failed", "expired")


@dataclass
class Round:
    """Two versions that were approved one after the other, two that wait for approval, one that could ask."""

    cast: Cast
    model: RegisteredModel
    former: ModelVersion
    current: ModelVersion
    waiting: list[Promotion]
    staged: ModelVersion
    calls: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def made(cls) -> Round:
        cast = make_cast()
        cast.people["olga"] = create_user(username=f"olga-{secrets.token_hex(4)}", by=SYSTEM)
        hold_role(cast.namespace, cast.user("olga"), Role.PRODUCTION_OPERATOR)
        former = promotion_at(cast, "applied").version
        current = promotion_at(cast, "applied", value=0.95).version
        waiting = [promotion_at(cast, "awaiting_approval", value=value) for value in (0.96, 0.97)]
        made = cls(cast, former.model, former, current, waiting, staged_version(cast, 0.98))
        made._ask()
        return made

    def _ask(self) -> None:
        model = f"/api/v1/namespaces/{self.cast.namespace.name}/models/{self.model.name}"
        first, second = (f"/api/v1/promotions/{promotion.pk}" for promotion in self.waiting)
        in_production = f"{model}/versions/{self.current.number}/suspend"
        asking = f"{model}/versions/{self.staged.number}/promotions"
        back = {"to": self.former.number, "reason": "errors since noon"}
        self._call("approve", "cora", f"{first}/approve")
        self.calls.append({**self.calls[0], "id": "approve again"})  # the same client, impatient
        self._call("approve", "olga", f"{first}/approve")
        self._call("approve", "cora", f"{second}/approve")
        self._call("approve", "olga", f"{second}/approve")
        self._call("reject", "olga", f"{second}/reject", reason="too slow")
        self._call("withdraw", "eve", f"{first}/withdraw")
        self._call("withdraw", "ada", f"{second}/withdraw")
        self._call("roll back", "cora", f"{model}/rollback", **back)
        self._call("roll back", "olga", f"{model}/rollback", **back)
        self._call("suspend", "cora", in_production, reason="biased")
        self._call("suspend", "olga", in_production, reason="biased")
        self._call("request", "eve", asking, target="production")
        self._call("request", "ada", asking, target="production")
        self._call("demote", "eve", f"{model}/versions/{self.staged.number}/demote", reason="wait")
        self.calls.append({"id": "settle", "path": "", "model": str(self.model.pk), "delay": 0.0})
        random.shuffle(self.calls)
        assert len(self.calls) == CALLS

    def _call(self, what: str, by: str, path: str, **body: Any) -> None:
        self.calls.append(
            {
                "id": f"{what} {by} {len(self.calls)}",
                "token": self.cast.token(by),
                "path": path,
                "body": {"reason": "so be it", **body},
                "key": secrets.token_hex(8),
                # Saying yes takes longest: whoever ends it at once would always be first.
                "delay": 0.0 if what == "approve" else random.random() * LATEST,
            }
        )

    def wrong(self, told: list[dict[str, Any]]) -> list[str]:
        """What was told that is not so, what was lost, what was doubled; in a sentence each."""
        found = [
            f"{each['id']}: {each['status']} {each['body'].get('code')}"
            for each in told
            if each["status"] >= 300 and each["body"].get("code") not in REFUSALS
        ]
        done = {each["id"]: each["body"] for each in told if each["status"] < 300}
        found += self._decisions(done) + self._moves(done) + self._requests(done)
        for promotion in self._promotions().filter(state__in=OPEN):
            settle(promotion_id=promotion.pk)
        return found + self._events() + self._production()

    def _promotions(self) -> Any:
        return Promotion.objects.filter(version__model=self.model)

    def _decisions(self, done: dict[str, Any]) -> list[str]:
        said = {
            (call_id.split()[1], body["id"], body["state"])
            for call_id, body in done.items()
            if call_id.startswith(("approve", "reject")) and body["state"] != "void"
            if call_id != "approve again"
        }
        if "approve again" in done and done["approve again"]["state"] != "void":
            body = done["approve again"]
            said.add(("cora", body["id"], body["state"]))
        names = {self.cast.user(name).pk: name for name in ("cora", "olga")}
        states = {"approve": "applied", "reject": "rejected"}
        raced = Approval.objects.filter(promotion__in=self.waiting)
        there = {(names[row.by_id], str(row.promotion_id), states[row.verdict]) for row in raced}
        found = [f"told of a decision that is not there: {each}" for each in said - there]
        found += [f"a decision that nobody was told of: {each}" for each in there - said]
        for promotion in self._promotions().filter(pk__in=[p.pk for p in self.waiting]):
            told = {
                body["state"]
                for call_id, body in done.items()
                if call_id.startswith(("approve", "reject", "withdraw")) and body["id"] == str(promotion.pk)
            }
            if told - {promotion.state}:
                found.append(f"told {told}, but it is {promotion.state}")
            withdrawn = [c for c in done if c.startswith("withdraw") and done[c]["id"] == str(promotion.pk)]
            if len(withdrawn) != (promotion.state == "withdrawn"):
                found.append(f"withdrawn by {withdrawn}, but it is {promotion.state}")
        return found

    def _moves(self, done: dict[str, Any]) -> list[str]:
        found = []
        for move, version in (("suspend", self.current), ("demote", self.staged)):
            said = Counter(call_id.split()[1] for call_id in done if call_id.startswith(move))
            rows = StageChange.objects.filter(version=version, move=move).values_list(
                "by__username", flat=True
            )
            there = Counter(name.partition("-")[0] for name in rows)
            if said != there:
                found.append(f"{move}: told {dict(said)}, there is {dict(there)}")
        return found

    def _requests(self, done: dict[str, Any]) -> list[str]:
        found = []
        asked = self._promotions().filter(version=self.staged, target="production")
        for what, rows in (("roll back", self._promotions().filter(kind="rollback")), ("request", asked)):
            said = sorted(body["id"] for call_id, body in done.items() if call_id.startswith(what))
            there = sorted(str(pk) for pk in rows.values_list("pk", flat=True))
            if said != there:
                found.append(f"{what}: told {said}, there is {there}")
        return found

    def _events(self) -> list[str]:
        """One for each that was asked for, one for its end, one for each decision and each move."""
        found = []
        rows = Event.objects.filter(namespace=self.cast.namespace)
        of = Counter(rows.filter(subject_kind="promotion").values_list("subject_id", "type"))
        for promotion in self._promotions():
            key = str(promotion.pk)
            wanted = Counter({"promotion.requested": 1})
            if promotion.state in ENDED:
                wanted[f"promotion.{promotion.state}"] = 1
            told = Counter(
                {t: n for (k, t), n in of.items() if k == key and t != "promotion.awaiting_approval"}
            )
            wanted.update({"promotion.approved": promotion.approvals.filter(verdict="approve").count()})
            if told != +wanted:
                found.append(f"a promotion that is {promotion.state} is told as {dict(told)}")
        changes = StageChange.objects.filter(version__model=self.model)
        moved = Counter((str(pk), to) for pk, to in changes.values_list("version_id", "to_stage"))
        seen = Counter(
            (event.subject_id, event.after["stage"])
            for event in rows.filter(subject_kind="modelversion", after__has_key="stage")
            if event.before and event.after and "stage" in event.before
        )
        return found if moved == seen else [*found, f"moves {moved - seen} untold, {seen - moved} made up"]

    def _production(self) -> list[str]:
        there = list(
            ModelVersion.objects.filter(model=self.model, stage="production").values_list("pk", flat=True)
        )
        alias = list(
            Alias.objects.filter(model=self.model, name="production").values_list("version_id", flat=True)
        )
        return [] if there == alias and len(there) < 2 else [f"in production {there}, the alias says {alias}"]
