"""Evidence: everything is in it, of the right versions, in the right order, and whoever may takes it out, once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from lifecycle.audit import export
from lifecycle.audit.export import export_period, export_version
from lifecycle.audit.gathering import Gathered
from lifecycle.audit.telling import told
from registry.actions.redactions import ask_redaction, decide_redaction
from registry.models import Evaluation, Event, ModelVersion
from tests.cast import Cast, make_cast
from tests.factories import a_waiver, evaluate, promotion_at, ready_version, staged_version
from tests.lifecycle.audit.scene import Past, past


@pytest.fixture
def scene(cast: Cast) -> Past:
    return past(cast)


def taken(scene: Past, number: int = 1) -> dict[str, Any]:
    version = scene.first if number == 1 else scene.second
    document: dict[str, Any] = export_version(version=version, by=scene.cast.principal("otto"))
    return document


def address(cast: Cast, number: int = 1) -> str:
    return f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/{number}/evidence"


def test_everything_is_in_it(scene: Past) -> None:
    cast = scene.cast
    told = taken(scene)["versions"][0]
    assert told["version"]["reference"] == scene.first.reference
    assert [file["path"] for file in told["files"]] == ["model.skops"]
    assert told["lineage"]["run"]["code"]["commit"] == "a" * 40
    assert told["lineage"]["run"]["by"] == cast.user("ben").username
    assert [(each["name"], each["read_for"]) for each in told["lineage"]["inputs"]] == [
        ("train.csv", ["training"])
    ]
    assert [each["metrics"][0]["value"] for each in told["evaluations"]] == [0.9]
    assert [each["name"] for each in told["checks"]] == ["integration"]
    assert [each["target"] for each in told["promotions"]] == ["staging", "production"]
    asked = told["promotions"][1]
    assert [(a["by"], a["binding"]) for a in asked["approvals"]] == [
        (cast.user("cora").username, asked["binding"])
    ]
    assert all(gate["sentence"] for gate in asked["gates"])
    assert asked["policy_snapshot"]["approvals"]["count"] == 1
    assert [(each["from"], each["to"]) for each in told["stages"]] == [
        ("development", "staging"), ("staging", "production"), ("production", "archived"),
    ]  # fmt: skip
    assert [each["state"] for each in told["incidents"]] == ["closed"]
    assert told["quarantines"][0]["lifted_by"].startswith("dora")

    # Where it ran, and until when.
    spans = {each["target"]: each for each in told["deployments"]}
    assert set(spans) == {"eu-1", "us-1"}
    assert all(span["until"] for span in spans.values())
    after = {each["target"]: each for each in taken(scene, 2)["versions"][0]["deployments"]}
    assert (set(after), after["eu-1"]["until"]) == ({"eu-1"}, None)
    assert spans["eu-1"]["until"] == after["eu-1"]["since"]


def test_the_journal_of_the_version_is_in_it_and_no_other(scene: Past) -> None:
    other = staged_version(scene.cast, model="other")
    events = taken(scene)["journal"]["events"]
    types = [event["type"] for event in events]
    for type_ in ("evaluation.recorded", "promotion.requested", "promotion.approved", "version.promoted",
                  "incident.opened", "version.quarantined", "deployment.reported", "check.reported"):  # fmt: skip
        assert type_ in types, type_
    assert [event["id"] for event in events] == sorted(event["id"] for event in events)
    assert str(other.pk) not in json.dumps(events)
    named = {
        side.get("version")
        for e in events
        if e["subject"]["kind"] == "deployment"
        for side in (e["before"], e["after"])
        if side
    }
    assert scene.first.reference in named


def test_a_waiver_is_told_beside_its_gate(cast: Cast) -> None:
    waiver = a_waiver(cast)
    version = waiver.result.promotion.version
    document = export_version(version=version, by=cast.principal("otto"))
    gates = {gate["gate"]: gate for gate in document["versions"][0]["promotions"][0]["gates"]}
    assert gates["metric_at_least"]["waiver"]["reason"] == "the bound is for grown-up models"
    assert "waiver.asked" in {event["type"] for event in document["journal"]["events"]}


def test_taking_it_is_an_entry_of_the_journal_with_its_digest(scene: Past) -> None:
    document = taken(scene)
    event = Event.objects.get(namespace=scene.cast.namespace, type="evidence.exported")
    assert (event.subject_id, event.actor) == (str(scene.first.pk), scene.cast.user("otto"))
    assert event.after == {"digest": document["digest"], "versions": [scene.first.reference]}
    assert taken(scene)["digest"] == document["digest"], "equal facts have equal digests"
    assert taken(scene, 2)["digest"] != document["digest"]


def _who_may(scene: Past) -> None:
    cast = scene.cast
    for name, status in {
        "otto": 200,
        "ada": 200,
        "cora": 403,
        "eve": 403,
        "vera": 403,
        "mallory": 404,
        None: 401,
    }.items():
        assert cast.client(name).get(address(cast)).status_code == status, name
        period = f"/api/v1/namespaces/{cast.namespace.name}/evidence?since=2020-01-01T00:00:00Z"
        assert cast.client(name).get(period).status_code == status, name
    assert Event.objects.filter(namespace=cast.namespace, type="evidence.exported").count() == 4


def test_who_may_and_that_it_is_a_download_in_either_form(scene: Past) -> None:
    _who_may(scene)
    client = scene.cast.client("otto")
    as_json, as_html = client.get(address(scene.cast)), client.get(f"{address(scene.cast)}?as=html")
    name = f"{scene.cast.namespace.name}-scorer-1.evidence"
    assert as_json["Content-Disposition"] == f'attachment; filename="{name}.json"'
    assert as_html["Content-Disposition"] == f'attachment; filename="{name}.html"'
    assert as_json.json()["digest"] in as_html.content.decode()
    assert as_json["Cache-Control"] == "no-store"
    wrong = client.get(f"{address(scene.cast)}?as=pdf")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "as")


def test_a_period_holds_what_was_touched_in_it(scene: Past) -> None:
    cast = scene.cast
    ready_version(cast, model="untouched")
    promotion_at(cast, "awaiting_approval", version=staged_version(cast, model="asked"))
    otto, now = cast.principal("otto"), timezone.now()

    def versions(since: datetime, until: datetime) -> set[str]:
        document = export_period(namespace=cast.namespace, since=since, until=until, by=otto)
        return {told["version"]["reference"].partition("/")[2] for told in document["versions"]}

    assert versions(now - timedelta(hours=1), now) == {"scorer:1", "scorer:2", "asked:1"}
    # Nothing happened then; what was in production all the while is what an auditor asks for.
    assert versions(now + timedelta(days=1), now + timedelta(days=2)) == {"scorer:2"}
    assert versions(now - timedelta(days=2), now - timedelta(days=1)) == set()


def test_a_period_that_is_none_is_refused(scene: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    client, path = scene.cast.client("otto"), f"/api/v1/namespaces/{scene.cast.namespace.name}/evidence"
    for query, field in {
        "": "since",
        "?since=2026-02-30": "since",
        "?since=2026-1-1": "since",
        "?since=0001-01-01T00:00:00%2B14:00": "since",
        "?since=2026-01-01&until=9999-12-31": "until",
        "?since=2026-01-01T00:00:00Z&until=soon": "until",
        "?since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z": "since",
    }.items():
        answer = client.get(path + query)
        assert (answer.status_code, answer.json()["field"]) == (422, field), query
    today = f"{timezone.now():%Y-%m-%d}"
    about = client.get(f"{path}?since={today}&until={today}").json()["about"]
    assert about["since"] == f"{today}T00:00:00Z"
    assert about["until"] < f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}Z", "a day that is not over ends now"
    monkeypatch.setattr(export, "MOST_VERSIONS", 1)
    answer = client.get(f"{path}?since=2020-01-01T00:00:00Z")
    assert "at most 1: ask for a shorter one" in answer.json()["detail"]


def queries(cast: Cast) -> int:
    with CaptureQueriesContext(connection) as seen:
        export_period(
            namespace=cast.namespace,
            since=datetime(2020, 1, 1, tzinfo=UTC),
            until=timezone.now(),
            by=cast.principal("otto"),
        )
    return len(seen)


def test_the_queries_do_not_grow_with_the_versions(scene: Past) -> None:
    before = queries(scene.cast)
    for number in range(3):
        promotion_at(
            scene.cast,
            "applied",
            version=staged_version(scene.cast, 0.96, model=f"model-{number}"),
            value=0.96,
        )
    assert queries(scene.cast) == before
    assert before < 50


def test_what_was_taken_out_is_not_in_it(scene: Past) -> None:
    cast, secret = scene.cast, "as it should be"
    assert secret in json.dumps(taken(scene))
    redaction = ask_redaction(
        namespace=cast.namespace, reason="not for auditors", text=secret, by=cast.principal("ada")
    )
    decide_redaction(redaction=redaction, verdict="approve", by=cast.principal("cora"))
    document = taken(scene)
    assert secret not in json.dumps(document)
    assert "[redacted " in json.dumps(document)


@pytest.mark.django_db(transaction=True)
def test_it_is_one_moment_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = make_cast()
    version, seen = ready_version(cast), []

    def decided_meanwhile(row: ModelVersion, found: Gathered) -> dict[str, Any]:
        """Another session commits between two parts of the document."""
        with ThreadPoolExecutor(1) as beside:
            beside.submit(_evaluated, cast, version).result()
        seen.append(Evaluation.objects.filter(version=version).count())
        return told(row, found)

    monkeypatch.setattr(export, "told", decided_meanwhile)
    export_version(version=version, by=cast.principal("otto"))
    assert seen == [0]
    assert Evaluation.objects.filter(version=version).count() == 1


def _evaluated(cast: Cast, version: ModelVersion) -> None:
    try:
        evaluate(cast, version, 0.9)
    finally:
        connection.close()
