"""What commands print, where, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from assay import settings
from assay.cli import app
from assay.evidence import examples_document
from client.tests.stand_in import VERSION, Answer, Asked, StandIn

Assay = Callable[..., Result]
PROMOTION = "0f0f0f0f-0000-4000-8000-000000000001"


@pytest.fixture
def assay(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Assay:
    """Run a command against the stand-in, on a screen of 80 columns that is no terminal."""
    monkeypatch.setenv("ASSAY_URL", stand_in.url)
    monkeypatch.setenv("ASSAY_TOKEN", "assay_x")
    monkeypatch.setenv("COLUMNS", "80")
    stand_in.contents = {"model.skops": b"0123456789"}

    def run(*arguments: str, input: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "\x1b" not in result.output
        assert all(len(line) <= 80 for line in result.stdout.splitlines() if "--json" not in arguments)
        return result

    return run


def promotion(state: str, *verdicts: str, **more: object) -> dict[str, Any]:
    gates: list[dict[str, Any]] = [
        {"key": str(n), "gate": "metric_at_least", "claim": "auc is at least 0.9", "verdict": verdict,
         "sentence": f"auc is 0.8{n} on holdout (test); 0.9 is required, the incumbent fraud/card:1 has 0.95.",
         "evidence": {}, "at": None}
        for n, verdict in enumerate(verdicts)
    ]  # fmt: skip
    return {
        "id": PROMOTION, "version": "fraud/card:1", "namespace": "fraud", "target": "production",
        "kind": "promote", "state": state, "reason": "Better.", "requested_by": "eve",
        "requested_at": "2026-11-23T10:00:00Z", "decided_at": None,
        "policy": {"name": "seed", "revision": 2, "target": "production"}, "gates": gates, "approvals": [],
        "approvals_required": 1, "replaces": None, "reasons": [], "outcome": "", "url": "http://assay/p/1", **more,
    }  # fmt: skip


def test_show(assay: Assay) -> None:
    result = assay("show", "fraud/card:1")
    assert result.exit_code == 0
    for words in (
        "fraud/card:1",
        "staging",
        "sha256:",
        "auc",
        "0.94312",
        "incomplete",
        "no Git commit",
        "champion",
    ):
        assert words in result.stdout
    assert result.stderr == ""


def test_scan_names_what_was_found_and_where(assay: Assay, stand_in: StandIn) -> None:
    found = {
        "where": "data.pkl",
        "what": "GLOBAL imports os.system",
        "name": "os.system",
        "verdict": "malicious",
    }
    file = {
        "sha256": "a" * 64,
        "scanner": "1",
        "format": "torch",
        "verdict": "malicious",
        "findings": [found],
    }
    clean = {**file, "format": "text", "verdict": "clean", "findings": []}
    files = [{"path": "README.md", **clean}, {"path": "model.pt\x1b[2J", **file}]
    told = {"reference": "fraud/card:1", "safety": "malicious", "scanned_with": "1", "files": files}
    stand_in.routes["GET", f"{VERSION}/scan"] = lambda asked: Answer.of(told)
    result = assay("scan", "fraud/card:1")
    assert result.exit_code == 0
    assert "fraud/card:1  malicious" in result.stdout
    assert "README.md" in result.stdout
    assert "data.pkl: GLOBAL imports os.system" in " ".join(result.stdout.split())
    assert json.loads(assay("scan", "fraud/card:1", "--json").stdout) == told


def test_show_says_when_a_version_is_not_clean(assay: Assay, stand_in: StandIn) -> None:
    assert "clean" not in assay("show", "fraud/card:1").stdout
    bad = {**stand_in.version(), "safety": "malicious"}
    stand_in.routes["GET", "/api/v1/resolve"] = lambda asked: Answer.of(bad)
    assert "staging  malicious" in assay("show", "fraud/card:1").stdout


def test_json_is_the_answer_and_nothing_else(assay: Assay, stand_in: StandIn) -> None:
    result = assay("show", "fraud/card:1", "--json")
    assert json.loads(result.stdout) == stand_in.version()


def test_a_refusal_is_a_sentence_with_its_reasons(assay: Assay, stand_in: StandIn) -> None:
    refused = Answer.problem(403, "forbidden", "You may not do this.", reasons=["[red]You trained it.[/red]"])
    stand_in.fail("GET", "/resolve", refused, times=2)
    result = assay("show", "fraud/card:1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Refused: You may not do this.\n  - [red]You trained it.[/red]\n"
    result = assay("show", "fraud/card:1", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert json.loads(result.stderr)["error"]["code"] == "forbidden"


def test_wrong_usage_ends_with_2(assay: Assay, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert assay("show", "card").exit_code == 2
    assert assay("show").exit_code == 2
    assert assay("promote", "fraud/card:1", "space", "--reason", "r").exit_code == 2
    assert assay("push", ".", "fraud/card", "--tag", "novalue").exit_code == 2
    assert assay("evaluate", "fraud/card:1", "-m", "auc=x", "--dataset", "d", "--digest", "s").exit_code == 2
    assert assay("evaluate", "fraud/card:1", "-m", "auc=1").exit_code == 2
    assert stand_in.asked == []
    monkeypatch.delenv("ASSAY_URL")
    result = assay("whoami")
    assert result.exit_code == 2
    assert "assay login" in result.stderr


def test_what_a_server_says_cannot_steer_the_terminal(assay: Assay, stand_in: StandIn) -> None:
    version = {**stand_in.version(), "description": "\x1b]0;owned\x07\x1b[31m[bold]x[/bold]"}
    stand_in.routes["GET", "/api/v1/resolve"] = lambda asked: Answer.of(version)
    result = assay("show", "fraud/card:1")
    assert "[bold]x[/bold]" in result.stdout
    assert "\x1b" not in result.stdout


def test_push_waits_and_says_where_to_look(assay: Assay, stand_in: StandIn, tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(b"0123456789")
    verifying = {**stand_in.version(), "status": "verifying", "digest": ""}
    stand_in.routes["POST", f"{VERSION.rpartition('/')[0]}"] = lambda asked: Answer.of(verifying, 202)
    answers = [Answer.of(verifying), Answer.of(stand_in.version())]
    stand_in.routes["GET", VERSION] = lambda asked: answers.pop(0)
    result = assay(
        "push", str(tmp_path), "fraud/card", "--tag", "team=fraud", "--run", "r1", "--description", "First"
    )
    assert result.exit_code == 0, result.output
    assert stand_in.version()["digest"] in result.stdout
    assert "no Git commit" in result.stdout
    assert f"{stand_in.url}/fraud/card/1" in result.stdout
    assert stand_in.arrived() == {"model.skops": b"0123456789"}
    asked = next(asked for asked in stand_in.asked if asked.path.endswith("/versions"))
    assert asked.json == {"upload": "u1", "run": "r1", "description": "First", "tags": {"team": "fraud"}}


def test_push_that_fails_ends_with_1(assay: Assay, stand_in: StandIn, tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(b"0123456789")
    failed = {**stand_in.version(), "status": "failed", "status_message": "model.skops: other bytes arrived."}
    stand_in.routes["POST", f"{VERSION.rpartition('/')[0]}"] = lambda asked: Answer.of(failed, 202)
    result = assay("push", str(tmp_path), "fraud/card")
    assert result.exit_code == 1
    assert "fraud/card:1 was not published: model.skops: other bytes arrived." in result.stderr.replace(
        "\n", " "
    )


def test_pull_then_verify(assay: Assay, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert assay("pull", "fraud/card@champion", str(folder)).exit_code == 0
    assert (folder / "model.skops").read_bytes() == b"0123456789"
    result = assay("verify", str(folder), "fraud/card:1")
    assert result.exit_code == 0
    assert "every byte agrees" in " ".join(result.stdout.split())
    (folder / "model.skops").write_bytes(b"012345678X")
    (folder / "more").write_bytes(b"")
    result = assay("verify", str(folder), "fraud/card:1", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["differs"], found["missing"], found["extra"]) == (["model.skops"], [], ["more"])
    (folder / "model.skops").unlink()
    assert "missing  model.skops" in assay("verify", str(folder), "fraud/card:1").stdout


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (promotion("gates_failed", "pass", "fail"), 1, "Refused: 1 of 2 gates failed."),
        (promotion("awaiting_approval", "pass"), 0, f"assay approve {PROMOTION}"),
        (
            promotion("applied", "pass", replaces="fraud/card:0"),
            0,
            "fraud/card:1 entered production in place of fraud/card:0.",
        ),
        (promotion("void", "pass", outcome="production changed"), 1, "production changed"),
    ],
)
def test_promote_shows_every_gate(
    assay: Assay, stand_in: StandIn, answer: dict[str, Any], code: int, words: str
) -> None:
    stand_in.routes["POST", f"{VERSION}/promotions"] = lambda asked: Answer.of(promotion("evaluating"), 202)
    stand_in.routes["GET", f"/api/v1/promotions/{PROMOTION}"] = lambda asked: Answer.of(answer)
    result = assay("promote", "fraud/card:1", "production", "--reason", "Better.")
    assert result.exit_code == code, result.output
    assert " ".join(words.split()) in " ".join(result.stdout.split())
    for gate in answer["gates"]:
        assert gate["sentence"][:40] in " ".join(result.stdout.split())


def test_promote_that_waits_for_an_outside_check_is_no_failure(assay: Assay, stand_in: StandIn) -> None:
    waits = promotion("evaluating", "pass", "pending")
    stand_in.routes["POST", f"{VERSION}/promotions"] = lambda asked: Answer.of(waits, 202)
    stand_in.routes["GET", f"/api/v1/promotions/{PROMOTION}"] = lambda asked: Answer.of(waits)
    result = assay("promote", "fraud/card:1", "production", "-r", "Better.", "--timeout", "0")
    assert result.exit_code == 0
    assert "waiting for metric_at_least" in result.stdout


def deletion(**more: object) -> dict[str, Any]:
    frees = {"blobs": 2, "bytes": 12_000_000}
    told = {"reference": "fraud/card:1", "deleted": False, "reasons": [], "frees": frees}
    return {**told, "grace_seconds": 604_800, **more}


def test_delete_asks_and_says_what_is_freed(
    assay: Assay, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {**stand_in.version(), "status": "deleted", "deleted_at": "2026-11-25T10:00:00Z"}
    stand_in.routes["GET", f"{VERSION}/deletion"] = lambda asked: Answer.of(deletion())
    stand_in.routes["DELETE", VERSION] = lambda asked: Answer.of(gone)
    result = assay("delete", "fraud/card:1", "-r", "Obsolete.")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    monkeypatch.setattr("assay.cli.screen.Screen.can_ask", True)
    result = assay("delete", "fraud/card:1", "-r", "Obsolete.", input="n\n")
    assert result.exit_code == 1
    words = " ".join(result.stderr.split())
    assert "Deleting fraud/card:1 frees 12.0 MB in 2 files, removed after 7 days." in words
    assert "Delete fraud/card:1 for good?" in words
    assert stand_in.count("DELETE", ".*") == 0
    result = assay("delete", "fraud/card:1", "-r", "Obsolete.", input="y\n")
    assert result.exit_code == 0
    assert "fraud/card:1 is deleted. This frees 12.0 MB" in " ".join(result.stdout.split())
    assert stand_in.asked[-1].json == {"reason": "Obsolete."}
    assert assay("delete", "fraud/card:1", "-r", "Obsolete.", "--yes", "--json").exit_code == 0


def test_delete_that_is_refused_names_every_referrer(assay: Assay, stand_in: StandIn) -> None:
    reasons = ["It is in staging: demote or deprecate it.", "fraud/child:2 is based on it."]
    refused = Answer.problem(409, "version-in-use", "fraud/card:1 cannot be deleted.", reasons=reasons)
    stand_in.routes["GET", f"{VERSION}/deletion"] = lambda asked: Answer.of(deletion(reasons=reasons))
    stand_in.routes["DELETE", VERSION] = lambda asked: refused
    result = assay("delete", "fraud/card:1", "-r", "Obsolete.")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Refused: fraud/card:1 cannot be deleted.",
        *(f"  - {reason}" for reason in reasons),
    ]


def test_evaluate_takes_the_digest_of_a_file(assay: Assay, stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.routes["POST", f"{VERSION}/evaluations"] = lambda asked: Answer.of(asked.json, 201)
    (tmp_path / "holdout.csv").write_bytes(b"abc")
    result = assay(
        "evaluate", "fraud/card:1", "--data", str(tmp_path / "holdout.csv"), "-m", "auc=0.9", "-m", "f1=1"
    )
    assert result.exit_code == 0
    body = stand_in.asked[-1].json
    digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert body["dataset"] == {"name": "holdout.csv", "digest": digest}
    assert body["metrics"] == [{"name": "auc", "value": 0.9}, {"name": "f1", "value": 1.0}]


def test_evaluate_sends_what_a_metric_is_the_mean_of(assay: Assay, stand_in: StandIn, tmp_path: Path) -> None:
    sent = {"digest": "sha256:" + "ab" * 32, "count": 2}
    stand_in.routes["POST", f"{VERSION}/example-results"] = lambda asked: Answer.of(sent, 201)
    stand_in.routes["POST", f"{VERSION}/evaluations"] = lambda asked: Answer.of(asked.json, 201)
    (tmp_path / "results.csv").write_bytes(b"value\n1\n0\n")
    said = ("evaluate", "fraud/card:1", "--dataset", "d", "--digest", "sha256:" + "0" * 64, "-m", "acc=0.5")
    named = ("--examples", f"acc={tmp_path / 'results.csv'}")
    assert assay(*said, "--examples", f"auc={tmp_path / 'results.csv'}").exit_code == 2
    assert assay(*said, *named).exit_code == 0
    results, evaluation = stand_in.asked[-2:]
    assert results.body == b"value\n1\n0\n"
    assert evaluation.json["metrics"] == [{"name": "acc", "value": 0.5, "examples": sent}]


def test_results_are_a_column_or_by_id() -> None:
    assert examples_document([1, 0.25]) == b"value\n1.0\n0.25\n"
    assert examples_document({"a,b": 1, "c": 0.1}) == b'id,value\n"a,b",1.0\nc,0.1\n'


def test_trace_draws_a_tree(assay: Assay, stand_in: StandIn) -> None:
    nodes = [
        ("v", "model_version", "fraud/card:1", {"stage": "staging"}),
        ("r", "run", "train", {"status": "finished", "commit": "c0ffee" * 6}),
        ("d", "dataset_version", "card.csv", {"digest": "sha256:" + "ab" * 32}),
        ("b", "model_version", "fraud/base:7", {"stage": "archived"}),
    ]
    edges = [
        ("r", "v", "output", ""),
        ("d", "r", "input", "training"),
        ("b", "v", "base", ""),
        ("b", "r", "base", ""),
    ]
    graph = {
        "root": "v",
        "nodes": [
            {"id": key, "kind": kind, "label": name, "detail": said} for key, kind, name, said in nodes
        ],
        "edges": [{"from": a, "to": b, "role": role, "context": said} for a, b, role, said in edges],
    }
    stand_in.routes["GET", f"{VERSION}/lineage"] = lambda asked: Answer.of(graph)
    assert [line.rstrip() for line in assay("trace", "fraud/card:1").stdout.splitlines()] == [
        "version fraud/card:1  staging  made from",
        "├── run train  finished, commit c0ffeec0ff",
        "│   ├── version fraud/base:7  archived  base",
        "│   └── dataset card.csv  sha256:abababababab  training",
        "└── version fraud/base:7  archived  base  (above)",
    ]


def test_lists(assay: Assay, stand_in: StandIn) -> None:
    page = Answer.of({"results": [stand_in.version()], "next": None})
    stand_in.routes["GET", "/api/v1/search"] = lambda asked: page
    stand_in.routes["GET", f"{VERSION.rpartition('/')[0]}"] = lambda asked: page
    stand_in.routes["GET", "/api/v1/promotions"] = lambda asked: Answer.of(
        {"results": [promotion("awaiting_approval")], "next": None}
    )
    assert "fraud/card:1" in assay("search", "stage = staging", "--order-by", "-metric.auc").stdout
    assert stand_in.asked[-1].query["q"] == ["stage = staging"]
    assert "fraud/card:1" in assay("versions", "fraud/card").stdout
    assert PROMOTION in assay("promotions", "--state", "awaiting_approval").stdout


def test_login_stores_the_token_of_who_may_in(assay: Assay, stand_in: StandIn) -> None:
    def whoami(asked: Asked) -> Answer:
        if asked.headers.get("authorization") != "Bearer assay_good":
            return Answer.problem(401, "not-authenticated", "This token is not known.")
        return Answer.of({"user": "ben", "namespaces": []})

    stand_in.routes["GET", "/api/v1/whoami"] = whoami
    assert assay("login", stand_in.url, input="assay_bad\n").exit_code == 1
    assert not settings.config_file().exists()
    result = assay("login", stand_in.url, input="assay_good\n")
    assert result.exit_code == 0, result.output
    assert "assay_good" not in result.output
    assert settings.config_file().stat().st_mode & 0o777 == 0o600
    assert "assay_good" in settings.config_file().read_text()
