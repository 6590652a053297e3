"""What a document proves without a server: whole as it came, found out when anything in it was changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.errors import DigestMismatch, PathRefused
from assay.proof import Checked, check
from lifecycle.actions.glass import break_glass
from lifecycle.audit.export import export_version
from lifecycle.audit.proof import chained, sealed
from registry.actions.redactions import ask_redaction, decide_redaction
from tests.cast import Cast
from tests.factories import fresh, promotion_at, simple_policy
from tests.lifecycle.audit.scene import past
from tests.registry.artifacts.sending import published

Change = Callable[[dict[str, Any]], None]


def saved(folder: Path, document: dict[str, Any], name: str = "evidence.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1))
    return path


def wrong(found: Checked) -> list[str]:
    """What does not agree. The factories' versions have made-up digests, which is always found."""
    return [
        each["sentence"]
        for each in found["findings"]
        if not each["ok"] and "Its files make" not in each["sentence"]
    ]


def production(document: dict[str, Any]) -> Any:
    return next(each for each in document["versions"][0]["promotions"] if each["target"] == "production")


def changed_metric(document: dict[str, Any]) -> None:
    document["versions"][0]["evaluations"][0]["metrics"][0]["value"] = 0.99


def changed_event(document: dict[str, Any]) -> None:
    document["journal"]["events"][3]["actor"] = "somebody"


def taken_out(document: dict[str, Any]) -> None:
    del document["journal"]["events"][3]


def own_approval(document: dict[str, Any]) -> None:
    asked = production(document)
    asked["requested_by"] = asked["approvals"][0]["by"]


def other_binding(document: dict[str, Any]) -> None:
    production(document)["approvals"][0]["binding"] = "0" * 64


def no_approval(document: dict[str, Any]) -> None:
    production(document)["approvals"] = []


def failed_gate(document: dict[str, Any]) -> None:
    production(document)["gates"][0]["verdict"] = "fail"


def no_promotion(document: dict[str, Any]) -> None:
    document["versions"][0]["promotions"].remove(production(document))


def gap(document: dict[str, Any]) -> None:
    del document["versions"][0]["stages"][1]


def other_stage(document: dict[str, Any]) -> None:
    document["versions"][0]["version"]["stage"] = "production"


def moved_decision(document: dict[str, Any]) -> None:
    production(document)["approvals"][0]["at"] = "2026-01-01T00:00:00Z"


def no_shape(document: dict[str, Any]) -> None:
    document["versions"] = [{"version": 3}]


@pytest.fixture
def document(cast: Cast) -> dict[str, Any]:
    return export_version(version=past(cast).first, by=cast.principal("otto"))


def test_broken_glass_stands_for_the_approvals_of_others(cast: Cast, tmp_path: Path) -> None:
    simple_policy(cast, "production", approvals=3)
    promotion = promotion_at(cast, "awaiting_approval")
    break_glass(promotion=promotion, reason="fraud is going through", by=cast.principal("cora"))
    document = export_version(version=fresh(promotion.version), by=cast.principal("otto"))

    found = check(saved(tmp_path, document))
    assert wrong(found) == []
    cora = cast.user("cora").get_username()
    assert any(f"{cora} broke the glass: fraud is going" in each["sentence"] for each in found["findings"])
    applied = production(document)
    applied["approvals"] = []
    found = check(saved(tmp_path, sealed(document)))
    assert any("without the approval of" in sentence for sentence in wrong(found))


def test_a_document_as_it_came(document: dict[str, Any], tmp_path: Path) -> None:
    found = check(saved(tmp_path, document))
    assert wrong(found) == []
    said = " ".join(each["sentence"] for each in found["findings"])
    assert "Nothing in it was changed" in said
    assert "Its 3 moves lead to archived" in said
    assert "The promotion to production: every gate passed or was waived; approved by cora" in said
    assert "an entry of each move and each decision" in said

    for change in (changed_metric, changed_event, taken_out):
        other = copy.deepcopy(document)
        change(other)
        assert any(
            "It was changed: its digest would be" in each for each in wrong(check(saved(tmp_path, other)))
        )


def test_a_document_that_was_sealed_again_has_to_agree_with_itself(
    document: dict[str, Any], tmp_path: Path
) -> None:
    said: dict[Change, str] = {
        changed_event: "Entries were changed: ",
        taken_out: "Entries were added, taken out or put in another order.",
        own_approval: "who asked for it or made the version",
        other_binding: "as something else than what was applied",
        no_approval: "has 0 of the 1 approvals it needed",
        failed_gate: "was applied although integrity_verified did not pass",
        no_promotion: "without a promotion that was applied",
        gap: "It left production at",
        other_stage: "Its moves lead to archived, but it is said to be in production.",
        moved_decision: "The journal has no entry of the decision of cora",
        no_shape: "It has not the shape of evidence",
    }
    for change, sentence in said.items():
        other = copy.deepcopy(document)
        change(other)
        assert any(sentence in each for each in wrong(check(saved(tmp_path, sealed(other))))), change.__name__


def test_an_older_document_shows_what_was_rewritten_since(cast: Cast, tmp_path: Path) -> None:
    scene, otto = past(cast), cast.principal("otto")
    then = saved(tmp_path, export_version(version=scene.first, by=otto), "then.json")
    redaction = ask_redaction(
        namespace=cast.namespace, reason="a name", text="as it should be", by=cast.principal("ada")
    )
    decide_redaction(redaction=redaction, verdict="approve", by=cast.principal("cora"))
    now = export_version(version=scene.first, by=otto)
    assert wrong(check(saved(tmp_path, now), then)) == [], "a redaction is no rewriting"

    events = [{k: v for k, v in event.items() if k != "sha256"} for event in now["journal"]["events"]]
    events[2]["reason"] = "another reason"
    rewritten = sealed({**now, "journal": {**now["journal"], **chained(events)}})
    assert wrong(check(saved(tmp_path, rewritten))) == ["The signature is of another document."], (
        "it agrees with itself"
    )
    assert wrong(check(saved(tmp_path, rewritten), then))[1:] == [
        f"Journal entries were rewritten or taken out since: {events[2]['id']}."
    ]
    shorter = sealed({**now, "journal": {**now["journal"], **chained(events[:1])}})
    assert any("taken out since" in each for each in wrong(check(saved(tmp_path, shorter), then)))


def test_the_files_make_the_digest(cast: Cast, tmp_path: Path) -> None:
    version = published(cast, {"model.bin": b"weights", "config/a.json": b"{}"})
    document = export_version(version=version, by=cast.principal("otto"))
    found = check(saved(tmp_path, document))
    assert found["ok"], found
    document["versions"][0]["files"][0]["size"] += 1
    assert "Its files make sha256:" in str(check(saved(tmp_path, sealed(document)))["findings"])


def test_what_is_no_evidence(tmp_path: Path) -> None:
    for text in ("", "[]", "{", '{"format": "assay-evidence/2"}', "[" * 100_000):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(DigestMismatch, match="is not evidence"):
            check(tmp_path / "x.json")
    (tmp_path / "x.json").write_text('{"format": "assay-evidence/1"}')
    assert not check(tmp_path / "x.json")["ok"]
    with pytest.raises(PathRefused, match="cannot be read"):
        check(tmp_path / "absent.json")
