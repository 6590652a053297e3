"""What `assay redact` sends and prints. The text is read from a pipe or a prompt, and shown nowhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from client.tests.cli.test_commands import Assay, assay
from client.tests.stand_in import Answer, StandIn

__all__ = ["assay"]
AT = "/api/v1/namespaces/fraud/redactions"
SECRET = "hunter2 with a space "
PLACE = {
    "kind": "run", "id": "5f", "field": "command", "path": [2], "part": "value", "words": "command[2]",
    "digest": "ab" * 32, "mark": "[redacted abababababab]", "changed_since": False,
}  # fmt: skip


def redaction(state: str = "asked", **more: Any) -> dict[str, Any]:
    return {
        "id": "r1", "namespace": "fraud", "state": state, "reason": "a token", "asked_by": "ada",
        "asked_at": "2026-11-25T03:00:00Z", "decided_by": None, "decided_at": None, "decision_reason": "",
        "places": 1, "fields": {"run.command": 1}, "more": False, "redacted": 0, "changed_since": 0, "where": [PLACE],
        "salt": None, **more,
    }  # fmt: skip


def sent(stand_in: StandIn, path: str) -> Any:
    return json.loads(next(a for a in reversed(stand_in.asked) if a.path == path).body)


def test_find_reads_the_text_from_a_pipe(assay: Assay, stand_in: StandIn) -> None:
    stays = [{"kind": "artifact", "id": "7", "field": "path", "why": "The manifest's digest binds it."}]
    stand_in.routes["POST", f"{AT}/find"] = lambda asked: Answer.of({"where": [PLACE], "stays": stays})
    result = assay("redact", "find", "fraud", input=f"{SECRET}\n")
    assert result.exit_code == 0
    assert sent(stand_in, f"{AT}/find") == {"find": SECRET}
    assert "command[2]" in result.stdout
    assert "stays: artifact 7, path. The manifest's digest binds it." in " ".join(result.stdout.split())
    assert "Not looked into: files of models" in " ".join(result.stdout.split())
    assert "more places" not in result.stdout
    assert "hunter2" not in result.output


def test_more_than_one_redaction_takes_is_said(assay: Assay, stand_in: StandIn) -> None:
    found = {"where": [PLACE], "stays": [], "more": True}
    stand_in.routes["POST", f"{AT}/find"] = lambda asked: Answer.of(found)
    stand_in.routes["POST", AT] = lambda asked: Answer.of(redaction(more=True), 201)
    for result in (
        assay("redact", "find", "fraud", input=SECRET),
        assay("redact", "ask", "fraud", "-r", "x", input=SECRET),
    ):
        assert "ask again when these are taken out" in " ".join(result.stdout.split())


def test_nothing_found_is_said(assay: Assay, stand_in: StandIn) -> None:
    stand_in.routes["POST", f"{AT}/find"] = lambda asked: Answer.of({"where": [], "stays": []})
    assert "It stands nowhere in fraud" in assay("redact", "find", "fraud", input="abcd").stdout


def test_ask_by_text_and_by_places(assay: Assay, stand_in: StandIn) -> None:
    stand_in.routes["POST", AT] = lambda asked: Answer.of(redaction(), 201)
    result = assay("redact", "ask", "fraud", "-r", "a token", input=SECRET)
    assert sent(stand_in, AT) == {"reason": "a token", "find": SECRET}
    assert "assay redact approve r1" in result.stdout
    assay(
        "redact", "ask", "fraud", "-r", "x", "--place", "run:5f-0:command[2]",
        "--place", 'event:7:after.config["a b"][0].c', "--place", "run:5f-0:failure",
    )  # fmt: skip
    assert sent(stand_in, AT) == {
        "reason": "x",
        "places": [
            {"kind": "run", "id": "5f-0", "field": "command", "path": [2]},
            {"kind": "event", "id": "7", "field": "after", "path": ["config", "a b", 0, "c"]},
            {"kind": "run", "id": "5f-0", "field": "failure", "path": []},
        ],
    }


@pytest.mark.parametrize("place", ["command[2]", "run:5f", "run:5f:command[x]", "run:5f:command[true]"])
def test_a_place_that_is_none_is_refused_before_anything_is_sent(
    assay: Assay, stand_in: StandIn, place: str
) -> None:
    result = assay("redact", "ask", "fraud", "-r", "x", "--place", place)
    assert result.exit_code == 2
    assert stand_in.asked == []


def test_approve_reject_list_and_show(assay: Assay, stand_in: StandIn) -> None:
    done = redaction(
        "applied", decided_by="cora", decided_at="2026-11-25T03:10:00Z", decision_reason="indeed",
        redacted=1, changed_since=1, salt="5a17",
    )  # fmt: skip
    stand_in.routes["POST", "/api/v1/redactions/r1/decide"] = lambda asked: Answer.of(done)
    stand_in.routes["GET", "/api/v1/redactions/r1"] = lambda asked: Answer.of(done)
    stand_in.routes["GET", AT] = lambda asked: Answer.of({"results": [done, redaction()], "next": None})
    told = " ".join(assay("redact", "approve", "r1").stdout.split())
    assert sent(stand_in, "/api/v1/redactions/r1/decide") == {"verdict": "approve", "reason": ""}
    assert "1 text in fraud applied" in told
    assert "cora, 2026-11-25 03:10 UTC: indeed" in told
    assert "left alone 1, changed since" in told
    assay("redact", "reject", "r1", "-r", "no")
    assert sent(stand_in, "/api/v1/redactions/r1/decide") == {"verdict": "reject", "reason": "no"}
    assert "5a17" in assay("redact", "show", "r1").stdout
    listed = assay("redact", "list", "fraud").stdout
    assert "applied" in listed
    assert "asked" in listed
    stand_in.routes["GET", AT] = lambda asked: Answer.of({"results": [], "next": None})
    assert "No redactions" in assay("redact", "list", "fraud").stdout
