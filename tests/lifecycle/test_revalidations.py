"""Periodic validation: by whom, told once when it is overdue, shown where people look, with its documents."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from lifecycle.actions.revalidations import NotInProduction, OwnVersion
from lifecycle.models import OverdueReview, Revalidation
from lifecycle.revalidation import standing, tell_overdue
from lifecycle.tasks import sweep_revalidations
from registry.actions.accounts import set_address
from registry.actions.attachments import keep_document
from registry.actions.models import edit_model
from registry.errors import Forbidden, NotVisible
from registry.journal import outbox
from registry.models import Event, Mail, ModelVersion, OutboxItem
from tests.cast import Cast
from tests.factories import fresh, promotion_at, ready_version, staged_version
from tests.lifecycle.validating import REPORT, validate, yearly

DAY = timedelta(days=1)
PDF = b"%PDF-1.7 a validation"


@pytest.fixture
def produced(cast: Cast) -> ModelVersion:
    return fresh(promotion_at(cast, "applied").version)


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """What is shown is shown as of that many days from now."""
    clock = SimpleNamespace(now=lambda: timezone.now() + days * DAY)
    monkeypatch.setattr("lifecycle.api.revalidations.timezone", clock)
    monkeypatch.setattr("lifecycle.dossier.inbox.timezone", clock)


# ---- by whom


def test_it_is_written_down_for_ever_and_told(cast: Cast, produced: ModelVersion) -> None:
    row = validate(cast, produced)

    event = Event.objects.get(type="version.revalidated", subject_id=str(produced.pk))
    assert (event.reason, event.actor) == (REPORT["summary"], cast.user("cora"))
    assert event.after == {
        "revalidation": str(row.pk), "verdict": "valid", "findings": 1, "conditions": 1, "attachments": [],
    }  # fmt: skip


def test_who_decides_promotions_validates_what_is_in_production(cast: Cast, produced: ModelVersion) -> None:
    for who in ("ben", "eve", "vera", "ci"):
        with pytest.raises(Forbidden):
            validate(cast, produced, by=who)
    with pytest.raises(NotVisible):
        validate(cast, produced, by="mallory")
    with pytest.raises(OwnVersion):
        validate(cast, ready_version(cast, by="cora"))
    with pytest.raises(NotInProduction, match="is in staging: only what is in production"):
        validate(cast, staged_version(cast))


def test_the_database_holds_it_too(cast: Cast, produced: ModelVersion) -> None:
    for version, who, refused in (
        (staged_version(cast), "cora", "only what is in production"),
        (produced, "ben", "who made the version does not validate it"),
        (produced, "eve", "who validates is an active person"),
        (produced, "ci", "who validates is an active person"),
    ):
        with pytest.raises(IntegrityError, match=refused), transaction.atomic():
            Revalidation.objects.create(
                version=version, verdict="valid", report=REPORT, by=cast.user(who), at=timezone.now()
            )


# ---- overdue


def test_the_policy_of_the_risk_tier_gives_the_period(cast: Cast, produced: ModelVersion) -> None:
    assert standing(produced.model) is None
    yearly(cast, days=90, risk_tier="high")
    assert standing(produced.model) is None
    edit_model(model=produced.model, risk_tier="high", by=cast.principal("ada"))
    produced.model.refresh_from_db()

    clock = standing(produced.model)

    assert clock is not None
    assert (clock.due_at - clock.since, clock.blocks_at - clock.due_at) == (90 * DAY, 30 * DAY)


def test_overdue_is_told_once_to_the_owner_and_the_operators(
    cast: Cast, produced: ModelVersion, settings: Any
) -> None:
    settings.EMAIL_HOST = "mail.example.org"
    for name in ("ada", "ben", "cora", "vera", "mallory"):
        set_address(email=f"{name}@example.org", by=cast.principal(name))
    produced.model.owner = cast.user("ben")
    produced.model.save(update_fields=["owner"])
    yearly(cast)
    due = timezone.now() + 366 * DAY

    assert tell_overdue(timezone.now()) == 0
    assert [tell_overdue(due), tell_overdue(due + DAY)] == [1, 0]

    event = Event.objects.get(type="model.review_overdue", subject_id=str(produced.model_id))
    assert event.reason.startswith(f"The validation of {produced.model} is overdue since")
    assert event.after is not None
    assert event.after["version"] == produced.reference
    OutboxItem.objects.update(due_at=timezone.now())  # they are from next year
    while outbox.drain():
        pass
    mails = Mail.objects.filter(subject=f"Validation overdue: {produced.model}")
    assert {mail.to.email.partition("@")[0] for mail in mails} == {"ben", "cora"}
    assert fresh(produced).stage == "production"
    # Validated, and a year later overdue again: that is another one.
    validate(cast, produced)
    assert [tell_overdue(due - 2 * DAY), tell_overdue(due + 2 * DAY)] == [0, 1]


def test_beat_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr("lifecycle.revalidation.tell_overdue", seen.append)
    sweep_revalidations()
    assert len(seen) == 1


def test_it_is_shown_where_people_look(
    cast: Cast, produced: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    yearly(cast)
    name = cast.namespace.name
    version, model = (f"/api/v1/namespaces/{name}/models/scorer{end}" for end in ("/versions/1", "/review"))
    vera = cast.client("vera")
    review = vera.get(model).json()["review"]
    assert (review["state"], review["version"]) == ("current", produced.reference)
    assert vera.get(version).json()["review"] == review
    ready_version(cast)
    assert vera.get(version.replace("/1", "/2")).json()["review"] is None

    later(monkeypatch, 370)
    tell_overdue(timezone.now() + 370 * DAY)
    assert vera.get(model).json()["review"]["state"] == "overdue"
    page = Client()
    page.force_login(cast.user("cora"))
    for path in (f"/m/{name}/scorer", f"/m/{name}/scorer/1"):
        text = page.get(path).content.decode()
        assert f"The validation of {produced.model} is overdue since" in text, path
    desk = page.get("/admin/desk/").content.decode()
    assert "Validation overdue" in desk
    assert f"/m/{name}/scorer" in desk
    other = Client()
    other.force_login(cast.user("mallory"))
    assert "Validation overdue" not in other.get("/admin/desk/").content.decode()
    validate(cast, produced)
    later(monkeypatch, 0)
    assert "Validation overdue" not in page.get("/admin/desk/").content.decode()
    text = page.get(f"/m/{name}/scorer/1").content.decode()
    assert "Fewer cases from Portugal." in text
    assert OverdueReview.objects.count() == 1


# ---- documents


def sent(
    cast: Cast, version: ModelVersion, by: str = "cora", content: bytes = PDF, name: str = "report.pdf"
) -> Any:
    where = (
        f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/{version.number}/report-attachments"
    )
    return cast.client(by).generic("POST", f"{where}?name={name}", content.decode(), "application/pdf")


def test_a_document_goes_with_a_validation_and_is_handed_out(cast: Cast, produced: ModelVersion) -> None:
    kept = sent(cast, produced).json()
    assert sent(cast, produced).json() == kept
    there = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1"
    body = {"verdict": "valid", "report": {**REPORT, "attachments": [kept["id"]]}}
    made = cast.client("cora").post(f"{there}/revalidations", body, format="json")
    assert made.status_code == 201, made.content
    sha256 = hashlib.sha256(PDF).hexdigest()
    document = {"id": kept["id"], "name": "report.pdf", "sha256": sha256, "size": len(PDF)}
    assert made.json()["report"]["attachments"] == [document]
    assert cast.client("vera").get(f"{there}/revalidations").json()["results"] == [made.json()]
    content = f"/api/v1/attachments/{kept['id']}/content"
    answer = cast.client("vera").get(content)
    assert (answer.content, answer["Content-Type"]) == (PDF, "application/octet-stream")
    assert cast.client("mallory").get(content).status_code == 404
    evidence = cast.client("otto").get(f"{there}/evidence").json()
    (told,) = evidence["versions"][0]["validations"]
    assert told["report"]["attachments"] == [document]
    assert sha256 in {each["sha256"] for each in evidence["versions"][0]["documents"]}
    printed = cast.client("otto").get(f"{there}/evidence?as=html").content.decode()
    assert f"sha256:{sha256}" in printed


def test_and_with_a_decision(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    kept = sent(cast, promotion.version).json()
    body = {"report": {**REPORT, "attachments": [kept["id"]]}}
    answer = cast.client("cora").post(f"/api/v1/promotions/{promotion.pk}/approve", body, format="json")
    assert answer.json()["state"] == "applied", answer.content
    page = Client()
    page.force_login(cast.user("vera"))
    text = page.get(f"/promotions/{promotion.pk}").content.decode()
    assert f'<a href="/api/v1/attachments/{kept["id"]}/content">report.pdf</a>' in text


def test_it_is_ones_own_and_of_that_version(cast: Cast, produced: ModelVersion) -> None:
    other = sent(cast, ready_version(cast)).json()
    hers = keep_document(
        version=produced, kind="validation_report", name="hers.pdf", content=PDF, by=cast.principal("ada")
    )
    where = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1/revalidations"
    for named, field in (
        ([other["id"]], "report.attachments[0]"),
        ([str(hers.pk)], "report.attachments[0]"),
        (["x"], "report.attachments[0]"),
        ("x", "report.attachments"),
        ([other["id"]] * 2, "report.attachments"),
        ([other["id"]] * 11, "report.attachments"),
    ):
        body = {"verdict": "valid", "report": {**REPORT, "attachments": named}}
        answer = cast.client("cora").post(where, body, format="json")
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.content
    assert not Revalidation.objects.exists()


def test_others_send_none_and_there_is_a_bound(
    cast: Cast, produced: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who, status in (("ben", 403), ("eve", 403), ("vera", 403), ("mallory", 404)):
        assert sent(cast, produced, by=who).status_code == status
    monkeypatch.setattr("registry.artifacts.attachments.LARGEST", 10)
    answer = sent(cast, produced)
    assert (answer.status_code, answer.json()["code"]) == (413, "attachment-too-large")
    monkeypatch.undo()
    monkeypatch.setattr("registry.actions.attachments.MOST_ATTACHMENTS", 1)
    assert sent(cast, produced).status_code == 201
    assert sent(cast, produced, name="b.pdf").json()["code"] == "too-many-attachments"
