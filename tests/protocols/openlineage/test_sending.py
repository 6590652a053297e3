"""Our runs told to a lineage service: what is sent is the standard's, until it is heard, once each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from lineage.models import LineageSending, Run
from protocols.openlineage.sending import NOTHING_TO_TELL, plan_sending, send, sweep
from protocols.openlineage.telling import run_event
from registry.journal import record
from registry.journal.delivery import SCHEDULE
from registry.models import Event
from tests.cast import Cast
from tests.factories import ready_version
from tests.lineage.scenes import a_run, digest_of, read, wrote
from tests.protocols.openlineage.scenes import an_event, tell, teller
from tests.protocols.openlineage.standard import check
from tests.registry.journal.receiver import Receiver, plain, receiving

PUBLIC = "https://assay.example.com"


@pytest.fixture
def marquez(settings: Settings) -> Iterator[Receiver]:
    """A service that hears everything."""
    with receiving() as receiver:
        settings.OPENLINEAGE_URL = receiver.url
        settings.OPENLINEAGE_API_KEY = "key"
        settings.PUBLIC_URL = PUBLIC
        yield receiver


def told(receiver: Receiver, cast: Cast) -> list[dict[str, Any]]:
    """What it hears of everything that the journal tells of this namespace."""
    for event in Event.objects.filter(namespace=cast.namespace).order_by("pk"):
        plan_sending(event)
        send(event.pk)
    return [json.loads(body) for _, _, body in receiver.heard]


def test_a_run_from_its_start_to_its_version(cast: Cast, marquez: Receiver) -> None:
    version = ready_version(cast)
    with transaction.atomic():
        run = Run.objects.get(namespace=cast.namespace)
        for kind, subject in (("run.started", run), ("run.finished", run), ("version.ready", version)):
            record(kind, subject=subject, by=cast.principal("ben"), namespace=cast.namespace)
    events = told(marquez, cast)
    assert [event["eventType"] for event in events] == ["START", "COMPLETE", "OTHER"]
    assert {event["run"]["runId"] for event in events} == {str(version.run_id)}
    for event in events:
        check(event)
    path, headers, _ = marquez.heard[0]
    assert (path, headers["authorization"]) == ("/hook?key=k", "Bearer key")
    last = events[-1]
    assert last["producer"] == f"{PUBLIC}/"
    (model,) = (each for each in last["outputs"] if each["name"].startswith("models/"))
    assert (model["namespace"], model["name"]) == (f"assay.{cast.namespace.name}", "models/scorer")
    assert model["facets"]["version"]["datasetVersion"] == str(version.number)
    assert model["facets"]["assay_digest"]["digest"] == f"sha256:{version.manifest.digest}"


def test_what_a_run_used_and_why_it_failed(cast: Cast, marquez: Receiver) -> None:
    code = {"commit": "1" * 40, "remote": "git@git.example.com:ml/fraud.git", "branch": "main"}
    run = a_run(cast, uses=[read("in.csv"), wrote("out.csv")], code=code, status="failed")
    Run.objects.filter(pk=run.pk).update(failure="Traceback\nValueError: no rows")
    ended = told(marquez, cast)[-1]
    check(ended)
    assert (ended["eventType"], ended["run"]["facets"]["errorMessage"]["message"]) == (
        "FAIL",
        "ValueError: no rows",
    )
    assert ended["job"] == {
        "namespace": f"assay.{cast.namespace.name}",
        "name": "scoring",
        "facets": ended["job"]["facets"],
    }
    assert ended["job"]["facets"]["sourceCodeLocation"]["url"] == "ssh://git@git.example.com/ml/fraud.git"
    (into,), (out,) = ended["inputs"], ended["outputs"]
    assert (into["name"], into["facets"]["assay_digest"]["digest"]) == ("in.csv", digest_of("in.csv"))
    assert into["inputFacets"]["inputStatistics"]["rowCount"] == 1437
    assert out["name"] == "out.csv"
    parameters = ended["run"]["facets"]["executionParameters"]["parameters"]
    assert {each["key"]: each["value"] for each in parameters} == {"lr": "0.1", "seed": "1"}


def test_our_facets_have_the_shape_that_we_serve(cast: Cast, marquez: Receiver) -> None:
    run = a_run(cast)
    event = run_event(
        Event.objects.get(subject_id=str(run.pk), type="run.finished"), Run.objects.get(pk=run.pk)
    )
    ours = {
        **{key: facet for key, facet in event["run"]["facets"].items() if key.startswith("assay_")},
        **{key: facet for key, facet in event["inputs"][0]["facets"].items() if key.startswith("assay_")},
    }
    assert set(ours) == {"assay_run", "assay_digest"}
    for facet in ours.values():
        address, _, name = facet["_schemaURL"].removeprefix(PUBLIC).partition("#/$defs/")
        answer = Client().get(address)
        assert answer.status_code == 200
        schema = answer.json()
        base, shape = schema["$defs"][name]["allOf"]
        assert base["$ref"].startswith("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/")
        jsonschema.Draft202012Validator(shape).validate(facet)
    assert Client().get("/api/v1/openlineage/facets/Other.json").status_code == 404


def test_what_is_not_heard_is_said_again(cast: Cast, marquez: Receiver) -> None:
    marquez.answer = lambda handler: plain(handler, 503, b"busy")
    a_run(cast, status="running")
    told(marquez, cast)
    row = LineageSending.objects.get(event__namespace=cast.namespace)
    assert (row.state, row.attempts, row.last_error) == ("pending", 1, "503: busy")
    assert send(row.pk) is None  # not yet due
    marquez.answer = lambda handler: plain(handler, 201)
    later = timezone.now() + SCHEDULE[1] + timedelta(seconds=1)
    assert sweep(now=later) >= 1
    send(row.pk, now=later)
    row.refresh_from_db()
    assert (row.state, row.attempts, row.last_error) == ("sent", 2, "")
    assert send(row.pk, now=later) is None
    assert len(marquez.heard) == 2


def test_it_is_given_up_after_the_last_attempt(cast: Cast, marquez: Receiver) -> None:
    marquez.answer = lambda handler: plain(handler, 500)
    a_run(cast, status="running")
    told(marquez, cast)
    row = LineageSending.objects.get(event__namespace=cast.namespace)
    LineageSending.objects.filter(pk=row.pk).update(attempts=len(SCHEDULE) - 1, due_at=timezone.now())
    send(row.pk)
    row.refresh_from_db()
    assert row.state == "failed"


def test_without_an_address_nothing_is_planned(cast: Cast, settings: Settings) -> None:
    settings.OPENLINEAGE_URL = ""
    a_run(cast)
    for event in Event.objects.filter(namespace=cast.namespace):
        plan_sending(event)
    assert not LineageSending.objects.filter(event__namespace=cast.namespace).exists()


def test_what_events_told_us_is_not_told_back(cast: Cast, marquez: Receiver) -> None:
    run = UUID(tell(teller(cast), an_event())["runs"].popitem()[1])
    assert told(marquez, cast) == []
    started = Event.objects.create(
        type="run.started", namespace=cast.namespace, subject_kind="run", subject_id=str(run), actor_label="x",
        at=timezone.now(),
    )  # fmt: skip
    plan_sending(started)
    assert send(started.pk) is None
    assert LineageSending.objects.get(pk=started.pk).last_error == NOTHING_TO_TELL
