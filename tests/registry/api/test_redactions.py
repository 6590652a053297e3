"""Redactions over REST and in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from lineage.models import Run
from registry.models import IdempotencyKey, Redaction
from tests.cast import Cast
from tests.lineage.scenes import a_run

pytestmark = pytest.mark.django_db
SECRET = "hunter2-rest"


@pytest.fixture
def run(cast: Cast) -> Run:
    return a_run(cast, command=["python", f"--token={SECRET}"])


def post(cast: Cast, who: str, path: str, body: dict[str, Any], **headers: str) -> Any:
    return cast.client(who).post(f"/api/v1/{path}", body, headers=headers)


def asked(cast: Cast, **body: Any) -> Any:
    given = {"reason": "a token", "find": SECRET, **body}
    return post(cast, "ada", f"namespaces/{cast.namespace.name}/redactions", given)


def test_it_works(cast: Cast, run: Run) -> None:
    found = post(cast, "cora", f"namespaces/{cast.namespace.name}/redactions/find", {"find": SECRET})
    place = {
        "kind": "run", "id": str(run.pk), "field": "command", "path": [1], "part": "value", "words": "command[1]"
    }  # fmt: skip
    assert found.json() == {"where": [place], "more": False, "stays": []}
    row = asked(cast)
    assert row.status_code == 201, row.content
    told = row.json()
    assert (told["state"], told["places"], told["fields"]) == ("asked", 1, {"run.command": 1})
    done = post(cast, "cora", f"redactions/{told['id']}/decide", {"verdict": "approve", "reason": "yes"})
    assert done.status_code == 200, done.content
    assert (done.json()["state"], done.json()["redacted"]) == ("applied", 1)
    run.refresh_from_db()
    assert run.command == ["python", done.json()["where"][0]["mark"]]
    (listed,) = (
        cast.client("vera").get(f"/api/v1/namespaces/{cast.namespace.name}/redactions").json()["results"]
    )
    assert (listed["decided_by"], listed["decision_reason"]) == (cast.user("cora").username, "yes")
    assert SECRET not in f"{found.json()} {told} {done.json()} {listed}"


def test_the_text_is_not_kept_for_a_key(cast: Cast, run: Run) -> None:
    path = f"namespaces/{cast.namespace.name}/redactions"
    post(cast, "ada", path, {"reason": "a token", "find": SECRET}, **{"Idempotency-Key": "k"})
    post(cast, "ada", f"{path}/find", {"find": SECRET}, **{"Idempotency-Key": "k2"})
    assert not IdempotencyKey.objects.filter(user=cast.user("ada")).exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"find": "abc"}, "find"),
        ({"find": None}, "places"),
        ({"places": [{"kind": "run", "id": "x", "field": "command"}]}, "places"),
        ({"find": None, "places": [{"kind": "run", "id": "x", "field": "command", "path": [-1]}]}, None),
        ({"reason": " "}, "reason"),
        ({"reason": f"because of {SECRET}"}, "reason"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_what_is_refused_names_the_field(
    cast: Cast, run: Run, body: dict[str, Any], field: str | None
) -> None:
    answer = asked(cast, **body)
    assert answer.status_code == 422, answer.content
    assert field is None or answer.json()["field"] == field
    assert SECRET not in answer.content.decode()


def test_nothing_found_is_said(cast: Cast) -> None:
    answer = asked(cast)
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing-to-redact")


def test_in_the_admin(cast: Cast, run: Run) -> None:
    row = Redaction.objects.get(pk=asked(cast).json()["id"])
    at = f"/admin/registry/redaction/{row.pk}"
    pages = {who: Client() for who in ("ada", "cora", "vera", "mallory")}
    for who, page in pages.items():
        page.force_login(cast.user(who), backend="django.contrib.auth.backends.ModelBackend")
    assert b"1 text: run.command" in pages["vera"].get("/admin/registry/redaction/").content
    shown = pages["cora"].get(f"{at}/change/").content.decode()
    assert "command[1]" in shown
    assert f"{at}/approve" in shown
    assert f"{at}/approve" not in pages["ada"].get(f"{at}/change/").content.decode()  # she asked
    assert pages["mallory"].get(f"{at}/change/").status_code == 404
    assert pages["vera"].post(f"{at}/approve/", {"reason": ""}).status_code == 403
    assert b"somebody else must decide" in pages["ada"].post(f"{at}/approve/", {"reason": ""}).content
    assert b"nobody can bring it back" in pages["cora"].get(f"{at}/approve/").content
    assert b"This field is required" in pages["cora"].post(f"{at}/reject/", {"reason": ""}).content
    assert pages["cora"].post(f"{at}/approve/", {"reason": "yes"}).status_code == 302
    row.refresh_from_db()
    assert row.state == Redaction.State.APPLIED
    done = pages["cora"].get(f"{at}/change/").content.decode()
    assert "1 taken out" in done
    assert f"{at}/approve" not in done
    assert SECRET not in done + shown
