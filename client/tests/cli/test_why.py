"""What `assay why` and `assay show` print of what made versions, as people read it."""

from __future__ import annotations

from typing import Any

from client.tests.cli.test_commands import Assay, assay
from client.tests.stand_in import Answer, StandIn

__all__ = ["assay"]
A, B = "fraud/card:1", "fraud/card:2"
LINK = "https://github.com/fraud/card/compare/" + "1" * 12 + "..." + "2" * 12


def difference(kind: str, what: str, told: list[str], **more: Any) -> dict[str, Any]:
    sentence = f"{what} changed: {told[0]} in {A}, {told[1]} in {B}"
    return {"kind": kind, "what": what, "sentence": sentence, "told": told, "more": "", "a": told[0],
            "b": told[1], "follows": "", "link": "", **more}  # fmt: skip


def answer(verdict: str, *differences: dict[str, Any], reserved: str = "", **more: Any) -> dict[str, Any]:
    return {
        "a": A, "b": B, "cause": None, "metrics": [], "differences": list(differences), "verdict": verdict,
        "sentence": f"{verdict} {reserved}".rstrip(), "reservations": [reserved] if reserved else [], **more,
    }  # fmt: skip


def metric(name: str, a: float | None, b: float | None, **more: Any) -> dict[str, Any]:
    between = None if a is None or b is None else b - a
    return {"name": name, "dataset": "held.csv", "dataset_digest": "", "split": "test", "slice": "", "a": a,
            "b": b, "difference": between, "low": None, "high": None, **more}  # fmt: skip


def serve(stand_in: StandIn, found: dict[str, Any]) -> None:
    stand_in.routes["GET", "/api/v1/why"] = lambda asked: Answer.of(found)


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_cause_and_what_follows_from_it(assay: Assay, stand_in: StandIn) -> None:
    image = difference("image", "the container image", ["sha256:ffffffff…", "sha256:00000000…"])
    numpy = difference("environment", "the package numpy", ["2.2.0", "2.3.0"], follows="image")
    serve(stand_in, answer("Only the container image differs.", image, numpy))
    lines = assay("why", A, B).stdout.splitlines()
    assert lines[0] == "Only the container image differs."
    assert lines[1] == f"A is {A}, B is {B}."
    (first,) = [line for line in lines if line.startswith("image ")]
    assert words(first) == "image the container image sha256:ffffffff… sha256:00000000…"
    # What follows stands below its cause, set back.
    (second,) = [line for line in lines if "numpy" in line]
    assert second.startswith("  environment ")
    assert lines.index(second) > lines.index(first)


def test_metrics_show_their_interval_only_where_one_is_known(assay: Assay, stand_in: StandIn) -> None:
    plain = answer(
        "Nothing recorded explains this.", metrics=[metric("auc", 0.9, 0.875), metric("f1", 0.5, None)]
    )
    serve(stand_in, plain)
    told = assay("why", A, B).stdout
    assert "interval" not in told
    assert "-0.025" in told
    known = [metric("auc", 0.9, 0.875, low=-0.05, high=0.001, slice="country = PT"), metric("f1", 0.5, 0.5)]
    serve(stand_in, {**plain, "metrics": known})
    told = assay("why", A, B).stdout
    assert "interval" in told
    assert "-0.05 to +0.001" in told
    assert "country = PT" in words(told)


def test_what_is_not_known_is_told_once_apart_from_the_verdict(assay: Assay, stand_in: StandIn) -> None:
    gap = f"Not recorded of {A}: no package versions."
    serve(stand_in, answer("Nothing recorded explains this.", reserved=gap))
    told = assay("why", A, B).stdout
    assert told.splitlines() == ["Nothing recorded explains this.", gap]
    # Of a server that does not take them apart the whole sentence is shown.
    older = answer("Nothing recorded explains this.", reserved=gap)
    del older["verdict"]
    serve(stand_in, older)
    assert words(assay("why", A, B).stdout) == f"Nothing recorded explains this. {gap}"


def test_commits_are_a_range_and_an_address_to_open(assay: Assay, stand_in: StandIn) -> None:
    told = ["commit 1111111111", "commit 2222222222"]
    commits = difference("code", "the code", told, more="1111111..2222222", link=LINK)
    serve(stand_in, answer("Only the code differs.", commits))
    lines = assay("why", A, B).stdout.splitlines()
    assert LINK in lines
    assert any("1111111..2222222" in line for line in lines)


def test_an_older_servers_differences_are_shown_by_their_sentences(assay: Assay, stand_in: StandIn) -> None:
    old = {"kind": "data", "sentence": "the dataset a.csv changed", "a": "x", "b": "y"}
    serve(
        stand_in, {"a": A, "b": B, "metrics": [], "differences": [old], "sentence": "Only the data differs."}
    )
    assert "the dataset a.csv changed" in words(assay("why", A, B).stdout)


def test_show_tells_the_score_and_what_else_is_not_recorded(assay: Assay, stand_in: StandIn) -> None:
    missing, others = (
        "no Git commit: the code cannot be found again",
        {"lock_file": "no lock file", "seeds": "no seed"},
    )
    known = {"state": "incomplete", "score": 61, "missing": [missing], "notes": [],
             "absent": {"commit": missing, **others}}  # fmt: skip
    shown = {**stand_in.version(), "completeness": known}
    stand_in.routes["GET", "/api/v1/resolve"] = lambda asked: Answer.of(shown)
    told = words(assay("show", A).stdout)
    assert f"incomplete 61 of 100 {missing} also not recorded: lock file, seeds" in told
