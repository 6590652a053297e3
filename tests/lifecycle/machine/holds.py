"""What holds of a namespace after every step, read from the database: the oracle's word, and rules that need none."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Q

from lifecycle.models import Approval
from lifecycle.models import Promotion as PromotionRow
from registry.models import Alias, AliasMove, Event, ModelVersion, OutboxItem, StageChange
from tests.lifecycle.machine.oracle import EVENT_OF, Oracle
from tests.lifecycle.machine.things import (
    EDGES,
    OWNERS,
    STATE_EDGES,
    Happened,
    Promotion,
    Version,
    accounts_of,
)
from tests.lifecycle.machine.world import World

# They follow from reports by themselves, after a grace; tests/lifecycle/test_drift.py holds them.
FOLLOWS = ("deployment.drifted", "deployment.settled")


class Broken(AssertionError):
    """Something does not hold."""


class Holds:
    """The namespace as it was seen last, and what was added since."""

    def __init__(self, world: World, oracle: Oracle) -> None:
        self.world, self.oracle = world, oracle
        self.names = {user.pk: name for name, user in world.cast.people.items()}
        self.stages: dict[Any, str] = {}
        self.states: dict[Any, str] = {}
        self.changes: dict[Any, list[tuple[str, str, str]]] = {}
        self.production: dict[Any, Any] = {}
        self.last_event = self.last_change = self.last_move = 0
        # How often each edge was seen to be taken.
        self.taken: Counter[tuple[str, str, str]] = Counter()
        self.look([], begins=True)

    def look(self, happened: Happened, *, begins: bool = False) -> None:
        """Raises Broken when the step that `happened` left anything behind that it should not have."""
        events = self._new_events()
        if not begins:
            self._events_are(happened, events)
        versions = list(
            ModelVersion.objects.filter(model__namespace=self.world.cast.namespace).values_list(
                "pk", "model_id", "stage", "status"
            )
        )
        self._stages(versions, events)
        self._alias(versions)
        self._promotions()

    # ---- the journal

    def _new_events(self) -> list[Event]:
        rows = Event.objects.filter(namespace=self.world.cast.namespace, pk__gt=self.last_event)
        events = list(rows.order_by("pk"))
        if events:
            self.last_event = events[-1].pk
            told = OutboxItem.objects.filter(event__in=events).count()
            _hold(told == len(events), f"{len(events)} events, of which {told} are still to be told")
        return [event for event in events if event.type not in FOLLOWS]

    def _events_are(self, happened: Happened, events: list[Event]) -> None:
        wanted = Counter((type_, self._key(thing)) for type_, thing in happened)
        seen = Counter(
            (event.type, "" if event.subject_kind in ("policy", "deployment") else event.subject_id)
            for event in events
        )
        _hold(wanted == seen, f"missing events {wanted - seen}, unexpected events {seen - wanted}")

    def _key(self, thing: Any) -> str:
        if isinstance(thing, Version | Promotion):
            return thing.key
        return str(self.world.models[thing].pk) if thing in self.world.models else ""

    # ---- stages

    def _stages(self, versions: list[tuple[Any, Any, str, str]], events: list[Event]) -> None:
        new = StageChange.objects.filter(
            version__model__namespace=self.world.cast.namespace, pk__gt=self.last_change
        )
        changes = list(new.order_by("pk"))
        for change in changes:
            self.last_change = change.pk
            line = self.changes.setdefault(change.version_id, [])
            stood = line[-1][1] if line else "development"
            edge = (change.from_stage, change.to_stage)
            _hold(
                edge[0] == stood, f"a move from {edge[0]}, where the version did not stand: it was in {stood}"
            )
            _hold(edge in EDGES, f"a move along {edge}, which is no edge")
            line.append((*edge, change.move))
            self.taken["stage", *edge] += 1
            if change.to_stage in ("staging", "production"):
                self._entered(change)
        told = Counter(
            (event.type, event.subject_id, event.after["stage"])
            for event in events
            if event.type in EVENT_OF.values() and event.after
        )
        moved = Counter((EVENT_OF[c.move], str(c.version_id), c.to_stage) for c in changes)
        _hold(told == moved, f"moves {moved}, but events {told}")
        by_key = {version.key: version for version in self.oracle.versions}
        _hold(
            {str(row[0]) for row in versions} == set(by_key), "there are other versions than there should be"
        )
        for pk, _, stage, status in versions:
            version = by_key[str(pk)]
            line = self.changes.get(pk, [])
            _hold(stage == version.stage, f"{version.key} is in {stage}, not in {version.stage}")
            _hold(stage == (line[-1][1] if line else "development"), f"{stage} is not where its moves lead")
            _hold(line == version.moves, f"its moves are {line}, not {version.moves}")
            _hold(status == ("deleted" if version.deleted else "ready"), f"it is {status}")

    def _entered(self, change: StageChange) -> None:
        """Into staging and production by a promotion that is applied and satisfies what it was asked under."""
        promotion = PromotionRow.objects.select_related("version").get(pk=str(change.promotion_id))
        _hold(promotion.state == "applied", f"entered by a promotion that is {promotion.state}")
        same = (promotion.version_id, promotion.target) == (change.version_id, change.to_stage)
        _hold(same, "entered by another version's promotion, or by one to elsewhere")
        newest = {result.key: result.verdict for result in promotion.gate_results.order_by("pk")}
        for gate in promotion.policy_snapshot["gates"]:
            verdict = newest.get(gate["key"])
            _hold(verdict in ("pass", "waived"), f"entered although {gate['key']} is {verdict}")
        given = promotion.approvals.filter(verdict="approve", binding=promotion.binding).count()
        asked = promotion.policy_snapshot["approvals"]["count"]
        _hold(given >= asked, f"entered with {given} of {asked} approvals of what it is")

    def _alias(self, versions: list[tuple[Any, Any, str, str]]) -> None:
        there = Counter(model for _, model, stage, _ in versions if stage == "production")
        _hold(all(count == 1 for count in there.values()), "a model has several versions in production")
        production = {model: pk for pk, model, stage, _ in versions if stage == "production"}
        models = self.world.models.values()
        aliases = dict(
            Alias.objects.filter(model__in=models, name="production", protected=True).values_list(
                "model_id", "version_id"
            )
        )
        _hold(aliases == production, f"the alias says {aliases}, in production is {production}")
        moves = AliasMove.objects.filter(model__in=models, name="production", pk__gt=self.last_move)
        for pk, model, before, after in moves.order_by("pk").values_list(
            "pk", "model_id", "from_version_id", "to_version_id"
        ):
            self.last_move = pk
            _hold(before == self.production.get(model), "the alias moved from where it did not stand")
            self.production[model] = after
        known = {model: pk for model, pk in self.production.items() if pk}
        _hold(known == production, "the moves of the alias do not lead to what is in production")

    # ---- promotions

    def _promotions(self) -> None:
        rows = PromotionRow.objects.filter(version__model__namespace=self.world.cast.namespace)
        seen = dict(rows.values_list("pk", "state"))
        ours = {p.row.pk: p for p in self.oracle.promotions}
        _hold(set(seen) == set(ours), "there are other promotions than there should be")
        moved = []
        for pk, state in seen.items():
            promotion = ours[pk]
            _hold(state == promotion.state, f"a promotion is {state}, not {promotion.state}")
            before = self.states.get(pk, "evaluating")
            if before != state:
                _hold((before, state) in STATE_EDGES, f"a promotion went from {before} to {state}")
                self.taken["promotion", before, state] += 1
                moved.append(pk)
        self.states = seen
        for promotion in ours.values():
            if promotion.is_open:
                free = not promotion.version.deleted and not promotion.version.quarantines
                _hold(free, "a promotion of a version that is doubted or deleted is open")
        if moved or any(p.decisions for p in ours.values() if p.is_open):
            self._approvals(moved, ours)

    def _approvals(self, moved: list[Any], ours: dict[Any, Promotion]) -> None:
        some = Q(promotion__in=moved) | Q(promotion__state="awaiting_approval")
        rows = Approval.objects.filter(some, promotion__version__model__namespace=self.world.cast.namespace)
        for approval in rows:
            promotion, by = ours[approval.promotion_id], self.names[approval.by_id]
            _hold(promotion.decisions.get(by) == approval.verdict, f"{by} decided, which nobody predicted")
            involved = accounts_of({promotion.by, promotion.version.maker})
            _hold(by not in involved | set(OWNERS), f"{by} decided on what they asked for or made")


def _hold(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)
