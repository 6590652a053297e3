"""Incidents: opened and closed once, by those who may, and in the way of promotions whose policy says so."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from lifecycle.actions.incidents import IncidentClosed, close_incident, open_incident
from lifecycle.actions.promotions import request_promotion
from lifecycle.gates import Finding
from lifecycle.models import Incident
from lifecycle.promotions import settle
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.journal import outbox
from registry.models import Event, ModelVersion
from tests.cast import Cast
from tests.factories import promotion_at, ready_version, results, simple_policy, staged_version
from tests.lifecycle.gates.asking import ask

GATE = {"gate": "no_open_incident", "parameters": {}}
WHAT = "Wrong scores for Portugal"
FIXED = "The currency was converted twice; fixed in the next version."


def opened(
    cast: Cast, version: ModelVersion, *, of_model: bool = False, by: str = "ben", **more: Any
) -> Incident:
    given: dict[str, Any] = {"severity": "high", "title": WHAT, **more}
    return open_incident(
        model=version.model, version=None if of_model else version, by=cast.principal(by), **given
    )


def closed(cast: Cast, incident: Incident, by: str = "cora", reason: str = FIXED) -> Incident:
    return close_incident(incident=incident, reason=reason, by=cast.principal(by))


def asked(cast: Cast, version: ModelVersion, severity: str = "low") -> Finding:
    return ask(cast, version, "no_open_incident", severity=severity)


# ---- the gate


def test_it_stands_in_the_way_until_it_is_closed(cast: Cast) -> None:
    version = ready_version(cast)
    assert asked(cast, version).verdict == "pass"
    incident = opened(cast, version)

    found = asked(cast, version)

    assert found.verdict == "fail"
    assert found.sentence.startswith(
        f"An incident is open: {WHAT} (high, of {version.reference}, since {incident.opened_at:%Y-%m-%d} by ben-"
    )
    assert found.evidence == {"open": [str(incident.pk)]}
    closed(cast, incident)
    assert (asked(cast, version).verdict, asked(cast, version).sentence) == ("pass", "No incident is open.")


def test_the_models_counts_another_versions_does_not(cast: Cast) -> None:
    bad, remedy = ready_version(cast), ready_version(cast)
    opened(cast, bad)
    opened(cast, ready_version(cast, model="other"), of_model=True)
    assert asked(cast, remedy).verdict == "pass"
    opened(cast, bad, of_model=True, title="Nobody answers for it")
    found = asked(cast, remedy)
    assert (found.verdict, f"of {remedy.model}, since" in found.sentence) == ("fail", True)


def test_from_a_severity_on_and_the_worst_is_named_first(cast: Cast) -> None:
    version = ready_version(cast)
    for severity in ("low", "critical", "medium"):
        opened(cast, version, severity=severity, title=f"a {severity} one")
    verdicts = {severity: asked(cast, version, severity).verdict for severity in ("low", "high", "critical")}
    assert verdicts == {"low": "fail", "high": "fail", "critical": "fail"}
    assert asked(cast, version).sentence.startswith("3 incidents are open: a critical one (critical, ")
    closed(cast, Incident.objects.get(version=version, severity="critical"))
    assert asked(cast, version, "high").verdict == "pass"
    assert asked(cast, version, "medium").verdict == "fail"


def test_opened_while_an_approval_is_awaited_it_voids(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr("lifecycle.evidence.enqueue", lambda task, promotion_id: sent.append(promotion_id))
    simple_policy(cast, "production", [GATE])
    promotion = promotion_at(cast, "awaiting_approval")
    outbox.drain(most=1000)
    sent.clear()
    opened(cast, promotion.version, of_model=True)
    outbox.drain(most=1000)
    assert sent == [str(promotion.pk)]
    assert settle(promotion_id=promotion.pk).state == "void"


def test_a_promotion_is_refused_by_it(cast: Cast) -> None:
    simple_policy(cast, "production", [GATE])
    version = staged_version(cast)
    incident = opened(cast, version)
    asked_for = request_promotion(version=version, target="production", by=cast.principal("eve"))
    assert settle(promotion_id=asked_for.pk).state == "gates_failed"
    assert WHAT in results(asked_for)["no_open_incident"][1]
    closed(cast, incident)
    again = request_promotion(version=version, target="production", by=cast.principal("eve"))
    assert settle(promotion_id=again.pk).state == "awaiting_approval"


# ---- opening and closing


def test_each_has_its_event(cast: Cast) -> None:
    version = ready_version(cast)
    closed(cast, opened(cast, version))
    told = Event.objects.filter(namespace=cast.namespace, type__startswith="incident.").order_by("pk")
    assert [(e.type, e.subject_label, e.actor, e.reason) for e in told] == [
        ("incident.opened", version.reference, cast.user("ben"), WHAT),
        ("incident.closed", version.reference, cast.user("cora"), FIXED),
    ]


def test_who_may(cast: Cast) -> None:
    version = ready_version(cast)
    for who in ("otto", "vera"):
        with pytest.raises(Forbidden):
            opened(cast, version, by=who)
    with pytest.raises(NotVisible):
        opened(cast, version, by="mallory")
    incident = opened(cast, version, by="ci")
    for who in ("ada", "ben", "eve", "otto", "vera", "ci"):
        with pytest.raises(Forbidden):
            closed(cast, incident, by=who)
    with pytest.raises(NotVisible):
        closed(cast, incident, by="mallory")
    assert closed(cast, incident).closed_by == cast.user("cora")


def test_it_is_closed_once_and_says_why(cast: Cast) -> None:
    incident = opened(cast, ready_version(cast))
    with pytest.raises(InvalidInput, match="what became of it"):
        closed(cast, incident, reason=" ")
    closed(cast, incident)
    with pytest.raises(IncidentClosed, match=r"converted twice; fixed in the next version\.$"):
        closed(cast, incident, reason="again")
    for attack in (
        "UPDATE lifecycle_incident SET resolution = 'nothing was wrong' WHERE id = %s",
        "UPDATE lifecycle_incident SET closed_at = NULL, closed_by_id = NULL, resolution = '' WHERE id = %s",
        "UPDATE lifecycle_incident SET severity = 'low' WHERE id = %s",
        "UPDATE lifecycle_incident SET title = 'all is well' WHERE id = %s",
        "DELETE FROM lifecycle_incident WHERE id = %s",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(attack, [incident.pk])


def test_what_is_not_taken(cast: Cast) -> None:
    version = ready_version(cast)
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("title", {"title": " "}),
        ("title", {"title": "x" * 201}),
        ("severity", {"severity": "annoying"}),
    ]
    for field, given in wrong:
        with pytest.raises(InvalidInput) as refused:
            opened(cast, version, **given)
        assert refused.value.field == field
    with pytest.raises(InvalidInput, match="is no version of"):
        open_incident(
            model=ready_version(cast, model="other").model, version=version, severity="low", title="x",
            by=cast.principal("ben"),
        )  # fmt: skip


# ---- where it is seen


def test_over_rest_and_in_the_admin(cast: Cast) -> None:
    version = ready_version(cast)
    models = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/incidents"
    ben, cora = cast.client("ben"), cast.client("cora")
    made = ben.post(models, {"title": WHAT, "severity": "high", "version": version.number})
    assert (made.status_code, made.json()["about"]) == (201, version.reference)
    whole = ben.post(models, {"title": "Drift", "severity": "low"})
    assert whole.json()["about"] == f"{cast.namespace.name}/scorer"
    assert ben.post(models, {"title": "x", "severity": "low", "version": 99}).status_code == 404
    assert cast.client("mallory").get("/api/v1/incidents").json()["results"] == []
    assert [row["title"] for row in cora.get(f"{models}?state=open").json()["results"]] == ["Drift", WHAT]

    admin, vera = Client(), Client()
    admin.force_login(cast.user("cora"))
    vera.force_login(cast.user("vera"))
    page = f"/admin/lifecycle/incident/{made.json()['id']}/close/"
    assert vera.post(page, {"reason": FIXED}).status_code == 403
    assert WHAT in admin.get(page).content.decode()
    assert "is closed" in admin.post(page, {"reason": FIXED}, follow=True).content.decode()
    over = cora.post(f"/api/v1/incidents/{whole.json()['id']}/close", {"reason": "It was the weather."})
    assert (over.json()["state"], over.json()["resolution"]) == ("closed", "It was the weather.")
    assert cora.get(f"/api/v1/incidents?namespace={cast.namespace.name}&state=open").json()["results"] == []
