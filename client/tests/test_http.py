"""Retries, keys, problems."""

from __future__ import annotations

import pytest

import assay
from assay.http import Connection
from client.tests.stand_in import Answer, StandIn


def test_it_works(stand_in: StandIn, connection: Connection) -> None:
    stand_in.routes["GET", "/api/v1/whoami"] = lambda asked: Answer.of({"user": "ben"})
    assert connection.call("GET", "/api/v1/whoami") == {"user": "ben"}
    asked = stand_in.asked[0]
    assert asked.headers["authorization"] == "Bearer assay_x"
    assert "idempotency-key" not in asked.headers


@pytest.mark.parametrize(
    "passing",
    [
        Answer.problem(503, "try-again", "The database did not answer in time; try again."),
        Answer(502, b"<html>"),
        Answer(429, headers={"Retry-After": "0"}),
        Answer.problem(409, "key-in-flight", "The first request is still being answered."),
        Answer(reset=True),
        Answer(200, b'{"id": 1}', cut=3),
    ],
)
def test_what_may_pass_is_repeated_with_the_same_key(
    stand_in: StandIn, connection: Connection, passing: Answer
) -> None:
    stand_in.fail("POST", "/thing", passing, times=2)
    stand_in.routes["POST", "/thing"] = lambda asked: Answer.of(asked.json)
    assert connection.call("POST", "/thing", body={"a": 1}) == {"a": 1}
    keys = [asked.headers["idempotency-key"] for asked in stand_in.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_two_calls_have_two_keys(stand_in: StandIn, connection: Connection) -> None:
    stand_in.routes["POST", "/thing"] = lambda asked: Answer.of({})
    connection.call("POST", "/thing")
    connection.call("POST", "/thing")
    assert len({asked.headers["idempotency-key"] for asked in stand_in.asked}) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, assay.Invalid),
        (401, assay.Unauthenticated),
        (403, assay.Forbidden),
        (404, assay.NotFound),
        (409, assay.Conflict),
        (422, assay.Invalid),
        (500, assay.ServerFault),
        (418, assay.Refusal),
    ],
)
def test_problems_become_exceptions_and_are_not_repeated(
    stand_in: StandIn, connection: Connection, status: int, kind: type[assay.Refusal]
) -> None:
    stand_in.fail("GET", "/thing", Answer.problem(status, "no-way", "No.", reasons=["a", "b"], field="name"))
    with pytest.raises(kind) as caught:
        connection.call("GET", "/thing")
    error = caught.value
    assert (error.sentence, error.code, error.reasons, error.field) == ("No.", "no-way", ("a", "b"), "name")
    assert error.status == status
    assert len(stand_in.asked) == 1


def test_what_does_not_pass_is_raised_in_the_end(stand_in: StandIn, connection: Connection) -> None:
    stand_in.fail("GET", "/thing", Answer(503, b"<html>busy</html>"), times=99)
    with pytest.raises(assay.ServerFault, match=r"The server answered 503 Service Unavailable\."):
        connection.call("GET", "/thing")
    assert len(stand_in.asked) == 5


def test_a_redirect_is_not_followed(stand_in: StandIn, connection: Connection) -> None:
    stand_in.fail("GET", "/thing", Answer(302, headers={"Location": f"{stand_in.url}/elsewhere"}))
    with pytest.raises(assay.Refusal, match="redirects to"):
        connection.call("GET", "/thing")
    assert stand_in.count("GET", "/elsewhere") == 0


def test_an_answer_that_is_not_json_is_a_sentence(stand_in: StandIn, connection: Connection) -> None:
    stand_in.fail("GET", "/thing", Answer(200, b"<html>hello</html>"))
    with pytest.raises(assay.ServerFault, match="is it an Assay server"):
        connection.call("GET", "/thing")


def test_nobody_there(nobody: str) -> None:
    with pytest.raises(assay.Unreachable, match="cannot be reached"):
        Connection(nobody, "", attempts=2, backoff=0.01).call("GET", "/thing")


def test_pages_stay_with_the_server_and_stop_at_the_limit(stand_in: StandIn, connection: Connection) -> None:
    """A `next` that names another host, as a proxy may make it do, must not carry the token there."""

    def page(asked: object) -> Answer:
        query = stand_in.asked[-1].query
        if "cursor" in query:
            return Answer.of({"results": [3, 4], "next": "http://elsewhere.invalid/list?cursor=y"})
        return Answer.of({"results": [1, 2], "next": "http://elsewhere.invalid/list?cursor=x%3D"})

    stand_in.routes["GET", "/list"] = page
    assert list(connection.pages("/list", {"state": None, "q": "a b"}, limit=3)) == [1, 2, 3]
    assert stand_in.asked[0].query == {"q": ["a b"], "limit": ["3"]}
    assert stand_in.asked[1].query == {"cursor": ["x="]}


def test_a_server_below_a_path(stand_in: StandIn) -> None:
    stand_in.routes["GET", "/assay/api/v1/x"] = lambda asked: Answer.of(
        {"results": [1], "next": "/assay/api/v1/y?c=1"}
    )
    stand_in.routes["GET", "/assay/api/v1/y"] = lambda asked: Answer.of({"results": [2], "next": None})
    link = Connection(f"{stand_in.url}/assay", "")
    assert list(link.pages("/api/v1/x")) == [1, 2]
    link.close()
