"""One asks, another decides, and what was named is gone: from everywhere, and nothing else with it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.db import connection

from lifecycle.actions.policies import report_check
from lifecycle.actions.promotions import decide_promotion, request_promotion
from lifecycle.promotions import settle
from lineage.models import DatasetVersion, Run, RunParameter
from lineage.provenance import completeness as of_version
from lineage.why import explain
from registry.actions import redactions
from registry.actions.redactions import Named, ask_redaction, decide_redaction
from registry.artifacts import attachments, storage
from registry.artifacts.manifests import Entry, manifest_digest
from registry.errors import DomainError
from registry.models import Artifact, Event, IdempotencyKey, Redaction
from registry.redaction.marks import MARK, marks_in
from tests.cast import Cast, hold_role
from tests.factories import promotion_at, simple_policy, staged_version
from tests.lineage.scenes import a_run, a_version
from tests.registry.redaction.planting import (
    CANARY,
    DIFF,
    REASON,
    Planted,
    another_model,
    approved,
    asked,
    columns_that_hold,
    planted,
)

pytestmark = pytest.mark.django_db


def digest_of_version(planted: Planted) -> str:
    files = Artifact.objects.filter(manifest=planted.version.manifest).select_related("blob")
    return manifest_digest(Entry(f.path, f.blob.size, f.blob_id) for f in files)


def everything(planted: Planted) -> dict[str, Any]:
    """What must not change: digests, bindings, the decision, the graph, the stage."""
    version, promotion = planted.version, planted.promotion
    for row in (version, promotion, version.manifest):
        row.refresh_from_db()
    edges = planted.run.pk, sorted(map(str, DatasetVersion.objects.values_list("digest", flat=True)))
    return {
        "manifest": (version.manifest.digest, digest_of_version(planted), version.manifest.oms_digest),
        "promotion": (promotion.state, promotion.binding, promotion.applied_xid, promotion.policy_snapshot),
        "approvals": list(promotion.approvals.order_by("pk").values_list("by", "verdict", "binding", "at")),
        "gates": list(promotion.gate_results.order_by("pk").values_list("key", "verdict", "at")),
        "version": (version.stage, version.status, version.ready_at, version.run_id),
        "datasets": edges,
        "completeness": of_version(version)["state"],
    }


def test_it_is_gone_from_every_column_and_all_else_stands(cast: Cast) -> None:
    scene = planted(cast)
    another_model(cast, CANARY)
    before, held = everything(scene), columns_that_hold(CANARY)
    # What has the canary is what the product may hold: a column more is one that nobody looks into yet.
    assert len(held) > 25, held
    row = approved(cast, asked(cast))

    assert row.state == Redaction.State.APPLIED
    assert row.outcome == {"redacted": row.places.count(), "changed": []}
    assert columns_that_hold(CANARY) == {"registry_registeredmodel.description": 1}  # another namespace's
    assert everything(scene) == before
    run = Run.objects.get(pk=scene.run.pk)
    assert run.command[:2] == ["python", "train.py"]
    assert MARK.fullmatch(run.command[2])
    assert run.command[3] == "--lr=0.1"
    values = (run.config or {})["values"]
    assert values["depth"] == "3"
    assert MARK.fullmatch(values["password"])
    packages = run.environment["packages"]
    assert packages["numpy"] == "2.2.0"
    assert [packages[key] for key in packages if MARK.fullmatch(key)] == ["1.0"]
    assert MARK.fullmatch(run.environment["notes"][0]["deep"])
    assert RunParameter.objects.get(run=run, key="lr").value == "0.1"
    # The snapshot says what the run says.
    parameter = RunParameter.objects.get(run=run, key="token").value
    assert scene.version.parameters["token"] == parameter
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pgtrigger%' AND tgenabled <> 'A'")
        assert cursor.fetchone() == (0,)


def test_the_answers_survive_the_marks(cast: Cast) -> None:
    scene = planted(cast)
    approved(cast, asked(cast))
    client, base = cast.client("vera"), "/api/v1"
    at = f"{base}/namespaces/{cast.namespace.name}/models/scorer/versions/1"
    for address in (
        at, f"{at}/lineage?direction=both", f"{at}/promotions", f"{at}/evaluations", f"{at}/attachments",
        f"{base}/runs/{scene.run.pk}", f"{base}/namespaces/{cast.namespace.name}/events?limit=200",
        f"{base}/search?q=&namespace={cast.namespace.name}", f"{base}/promotions",
        f"{base}/why?a={cast.namespace.name}/scorer:1&b={cast.namespace.name}/scorer:1",
    ):  # fmt: skip
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.content)
        assert "hunter2" not in answer.content.decode(), address
    replay = cast.client("ben").post(
        f"{base}/namespaces/{cast.namespace.name}/runs", {}, headers={"Idempotency-Key": "once"}
    )
    assert replay.status_code == 422
    assert "hunter2" not in str(IdempotencyKey.objects.get(key="once", user=cast.user("ben")).body)


def test_whoever_knows_the_text_can_prove_that_it_stood_there(cast: Cast) -> None:
    planted(cast)
    row = approved(cast, asked(cast))
    told = cast.client("otto").get(f"/api/v1/redactions/{row.pk}").json()
    place = next(p for p in told["where"] if p["words"] == "command[2]")
    assert hashlib.sha256(f"{told['salt']}--token={CANARY}".encode()).hexdigest() == place["digest"]
    assert place["mark"] == f"[redacted {place['digest'][:12]}]"
    # With the salt a short text can be guessed from its digest: those who do not verify do not get it.
    assert cast.client("cora").get(f"/api/v1/redactions/{row.pk}").json()["salt"] is None


def test_an_open_promotion_goes_on_when_what_it_is_decided_by_stays(cast: Cast) -> None:
    version = staged_version(cast)
    promotion = request_promotion(
        version=version, target="production", reason=CANARY, by=cast.principal("eve")
    )
    ci = cast.principal("ci")
    report_check(version=version, name="integration", passed=True, sentence=CANARY, by=ci)
    promotion = settle(promotion_id=promotion.pk)
    approved(cast, asked(cast))
    assert columns_that_hold(CANARY) == {}
    done = decide_promotion(
        promotion=promotion, verdict="approve", reason="it is better", by=cast.principal("cora")
    )
    assert (done.state, done.binding) == ("applied", promotion.binding)


def test_an_open_promotion_is_void_when_its_evidence_was_taken_out(cast: Cast) -> None:
    """Approvers would agree to something else than they were shown: it is asked for again."""
    version = staged_version(cast)
    simple_policy(cast, "production")
    promotion = promotion_at(cast, "awaiting_approval", version=version)
    approved(cast, asked(cast, text="held-out.csv"))
    done = decide_promotion(
        promotion=promotion, verdict="approve", reason="it is better", by=cast.principal("cora")
    )
    assert (done.state, done.outcome) == ("void", "the evidence changed since the gates were passed")
    again = settle(
        promotion_id=request_promotion(
            version=promotion.version, target="production", reason="again", by=cast.principal("eve")
        ).pk
    )
    assert again.state == "awaiting_approval"


def test_the_journal_says_who_and_why_and_never_what(cast: Cast) -> None:
    scene = planted(cast)
    before = Event.objects.filter(namespace=cast.namespace).count()
    row = approved(cast, asked(cast))
    asking, done = Event.objects.filter(namespace=cast.namespace).order_by("pk")[before:]
    assert (asking.type, asking.actor, asking.reason) == ("redaction.asked", cast.user("ada"), REASON)
    assert (done.type, done.actor, done.reason) == ("fact.redacted", cast.user("cora"), "indeed")
    assert done.subject_id == str(row.pk)
    after = done.after or {}
    assert after["asked_by"] == cast.user("ada").username
    assert after["fields"]["run.command"] == 2  # of both runs
    assert after["redacted"] == after["places"]
    assert str(scene.run.pk) not in str(after)


@pytest.mark.parametrize(
    ("asker", "decider", "code"),
    [
        ("ada", "ada", "own-redaction"),
        ("cora", "cora", "own-redaction"),
        ("ada", "ci", "forbidden"),
        ("ada", "eve", "forbidden"),
        ("ada", "otto", "forbidden"),
        ("ada", "mallory", "not-found"),
        ("ci", "ada", "own-redaction"),
    ],
)
def test_one_alone_cannot(cast: Cast, asker: str, decider: str, code: str) -> None:
    run = a_run(cast, command=["python", CANARY])
    if asker == "ci":  # as when its owner gave the account the role
        hold_role(cast.namespace, cast.user("ci"), "production_operator")
    row = asked(cast, asker)
    with pytest.raises(DomainError) as refused:
        approved(cast, row, decider)
    assert refused.value.code == code
    assert Run.objects.get(pk=run.pk).command == ["python", CANARY]


def test_named_places_are_taken_out_and_no_others(cast: Cast) -> None:
    run = a_run(
        cast, command=["python", CANARY, CANARY], config={"path": "", "values": {"a": CANARY, "b": ["c", 1]}}
    )
    places = [
        Named("run", str(run.pk), "command", (1,)),
        Named("run", str(run.pk), "config", ("values", "b")),
        Named("run", str(run.pk), "config", ("values", "b", 0)),  # said twice, taken out once
    ]
    row = approved(cast, asked(cast, text=None, places=places))
    assert row.outcome == {"redacted": 3, "changed": []}
    run.refresh_from_db()
    assert (run.command[0], run.command[2]) == ("python", CANARY)
    assert MARK.fullmatch(run.command[1])
    assert (run.config or {})["values"]["a"] == CANARY
    assert len(marks_in(run.config)) == 2


@pytest.mark.parametrize(
    ("place", "field"),
    [
        (Named("user", "{run}", "password"), "places[0].kind"),
        (Named("run", "{run}", "status"), "places[0].field"),
        (Named("run", "not-a-uuid", "command"), "places[0].id"),
        (Named("run", "{run}", "command", (9,)), "places[0].path[0]"),
        (Named("run", "{run}", "name", ("x",)), "places[0].path"),
        (Named("run", "{run}", "failure"), "places[0].field"),
        (Named("run", "{run}", "code", ("dirty",)), "places[0].path"),
    ],
)
def test_a_place_where_nothing_can_be_taken_out_is_refused(cast: Cast, place: Named, field: str) -> None:
    run = a_run(cast)
    named = Named(place.kind, place.id.format(run=run.pk), place.field, place.path)
    with pytest.raises(DomainError) as refused:
        asked(cast, text=None, places=[named])
    assert refused.value.field == field
    assert Redaction.objects.count() == 0


def test_decided_twice_it_is_done_once(cast: Cast) -> None:
    a_run(cast, command=[CANARY])
    row = approved(cast, asked(cast))
    count = Event.objects.count()
    assert approved(cast, row).outcome == row.outcome
    assert Event.objects.count() == count
    with pytest.raises(redactions.RedactionIsDecided):
        decide_redaction(redaction=row, verdict="reject", reason="no", by=cast.principal("cora"))


def test_rejected_everything_stays(cast: Cast) -> None:
    run = a_run(cast, command=[CANARY])
    row = asked(cast)
    decide_redaction(redaction=row, verdict="reject", reason="it is a test value", by=cast.principal("cora"))
    assert Run.objects.get(pk=run.pk).command == [CANARY]
    assert Event.objects.latest("pk").type == "redaction.rejected"
    with pytest.raises(redactions.RedactionIsDecided):
        approved(cast, row)


def test_what_changed_since_is_left_alone(cast: Cast) -> None:
    model = a_version(cast).model
    model.description = f"It is {CANARY}."
    model.save()
    row = asked(cast)
    model.description = "It is what I say now."
    model.save()
    done = approved(cast, row)
    outcome = done.outcome or {}
    assert (outcome["redacted"], len(outcome["changed"])) == (0, 1)
    model.refresh_from_db()
    assert model.description == "It is what I say now."


def test_the_reason_does_not_keep_it(cast: Cast) -> None:
    run = a_run(cast, command=[CANARY])
    for more in ({"text": CANARY}, {"text": None, "places": [Named("run", str(run.pk), "command", (0,))]}):
        with pytest.raises(DomainError) as refused:
            ask_redaction(
                namespace=cast.namespace, reason=f"because of {CANARY}", by=cast.principal("ada"), **more
            )
        assert refused.value.field == "reason"


def test_a_document_is_gone_from_the_store(cast: Cast) -> None:
    scene = planted(cast)
    row = asked(cast)
    assert row.fields["attachment.content"] == 1
    assert cast.client("vera").get(f"/api/v1/attachments/{scene.attachment.pk}/content").content == DIFF
    approved(cast, row)
    answer = cast.client("vera").get(f"/api/v1/attachments/{scene.attachment.pk}/content")
    assert (answer.status_code, answer.json()["code"]) == (410, "attachment-redacted")
    at = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1/attachments"
    assert [each["redacted"] for each in cast.client("vera").get(at).json()["results"]] == [True]
    key = storage.attachment_key(scene.attachment.sha256)
    assert storage.attachments().head(key) is not None
    assert attachments.remove_redacted() >= 1
    assert storage.attachments().head(key) is None
    assert attachments.remove_redacted() == 0


def test_why_takes_a_mark_for_no_cause(cast: Cast) -> None:
    first = a_version(cast, a_run(cast, parameters={"lr": "0.1", "token": CANARY}))
    second = a_version(cast, a_run(cast, parameters={"lr": "0.1", "token": CANARY}))
    third = a_version(cast, a_run(cast, parameters={"lr": "0.1", "token": "another"}))
    approved(cast, asked(cast))
    by = cast.principal("vera")
    for version in (first, second, third):
        version.refresh_from_db()
    assert explain(first, second, by)["differences"] == []
    assert "redacted" not in explain(first, second, by)["sentence"]
    told = explain(first, third, by)
    assert told["differences"] == []
    assert "Some of what is recorded of" in told["sentence"]
    assert "was redacted, so more may differ" in told["sentence"]
