"""Models that were bought: what is recorded in place of a run, and what it is worth."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.utils import timezone

from lifecycle.gates.kinds import Context, Finding
from lifecycle.gates.proofs import LineageComplete
from lifecycle.models import Promotion
from lineage.models import Supply
from lineage.provenance import completeness, digest_of, trainers_of
from registry.actions.attachments import add_attachment
from registry.actions.uploads import create_upload
from registry.artifacts.manifests import Entry, manifest_digest, oms_digest
from registry.artifacts.publish import publish
from registry.journal.outbox import drain
from registry.models import Event, ModelVersion, OutboxItem, Upload
from tests.cast import Cast
from tests.lineage.scenes import EMPTY_FILE, a_run, a_version
from tests.registry.artifacts.sending import again, sha256, staged

pytestmark = pytest.mark.django_db
FILES = {"model.onnx": b"bought weights", "LICENSE": b"do as you like", "x/empty": b""}
ENTRIES = [Entry(path, len(content), sha256(content)) for path, content in FILES.items()]
WEIGHTS = f"sha256:{sha256(FILES['model.onnx'])}"
PURCHASE = {
    "supplier": "Acme AI",
    "origin": "https://models.acme.example/scorer/7",
    "contract": "C-17",
    "digest": WEIGHTS,
}


def register(cast: Cast, upload: Upload | None = None, by: str = "ben", **body: Any) -> Any:
    upload = upload or staged(cast, FILES, by)
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions"
    return cast.client(by).post(path, {"upload": str(upload.pk), **body})


def bought(cast: Cast, by: str = "ben", **changes: str) -> ModelVersion:
    """A published version with this supply."""
    answer = register(cast, by=by, supply={**PURCHASE, **changes})
    assert answer.status_code == 202, answer.json()
    publish(answer.json()["id"])
    return again(ModelVersion.objects.get(pk=answer.json()["id"]))


def shown(cast: Cast, version: ModelVersion) -> dict[str, Any]:
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/{version.number}"
    return dict(cast.client("vera").get(path).json())


def gate(version: ModelVersion, *require: str) -> Finding:
    context = Context(promotion=Promotion(), version=version, incumbent=None, now=timezone.now())
    found = LineageComplete()
    return found.evaluate(context, found.checked({"require": list(require)}, "parameters"))


def report(cast: Cast, version: ModelVersion) -> None:
    add_attachment(
        version=version, kind="supplier_report", name="r.pdf", body=io.BytesIO(b"ok"), length=2,
        by=cast.principal("ben"),
    )  # fmt: skip


def test_it_works(cast: Cast) -> None:
    version = bought(cast)
    told = shown(cast, version)
    assert told["run"] is None
    assert told["supply"] == {**PURCHASE, "digest_of": "model.onnx", "report": False}
    assert told["completeness"]["state"] == "complete"
    assert told["completeness"]["absent"] == {"supplier_report": "no report by the supplier"}
    assert told["completeness"]["score"] == 100 * 5 // 6
    row = Supply.objects.get(version=version)
    assert (row.supplier, row.contract) == ("Acme AI", "C-17")
    found = gate(version)
    assert found.verdict == "pass"
    assert found.sentence == (
        "Bought from Acme AI under contract C-17, got from https://models.acme.example/scorer/7; "
        "the supplier's digest is that of model.onnx."
    )
    assert found.evidence == {"state": "complete", "missing": [], "supply": told["supply"]}
    # What is told of it when it is registered is what the gate finds when it is published.
    assert told["completeness"] | {"supply": told["supply"]} == completeness(version)
    assert Event.objects.filter(subject_id=str(version.pk), type="version.registered").count() == 1


@pytest.mark.parametrize(
    ("digest", "of"),
    [
        (sha256(FILES["model.onnx"]), "model.onnx"),
        (manifest_digest(ENTRIES), "the manifest"),
        (oms_digest(ENTRIES), "the whole, as OpenSSF model_signing makes it"),
        (sha256(b"other"), None),
        (EMPTY_FILE, None),
        ("", None),
    ],
)
def test_what_the_suppliers_digest_is_compared_with(digest: str, of: str | None) -> None:
    assert digest_of(digest, ENTRIES) == of


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"origin": ""}, "no origin: where it was got is not known"),
        ({"contract": ""}, "no contract or licence"),
        ({"digest": ""}, "no digest by the supplier: these may be other bytes than were bought"),
        ({"digest": "sha256:" + "0" * 64}, "is that of none of its files, nor of all together"),
    ],
)
def test_what_is_missing_of_a_purchase(cast: Cast, changes: dict[str, str], said: str) -> None:
    version = bought(cast, **changes)
    (missing,) = shown(cast, version)["completeness"]["missing"]
    assert said in missing
    found = gate(version)
    assert found.verdict == "fail"
    assert found.sentence.startswith("Bought from Acme AI")
    assert found.sentence.endswith(f"which is not fully recorded: {missing}.")


def test_a_policy_may_require_a_report(cast: Cast) -> None:
    version = bought(cast)
    found = gate(version, "supplier_report", "contract")
    assert found.verdict == "fail"
    assert found.sentence.endswith("not fully recorded: no report by the supplier.")
    OutboxItem.objects.all().delete()
    report(cast, version)
    assert gate(version, "supplier_report").verdict == "pass"
    # The summary hears of it by the journal.
    assert shown(cast, version)["supply"]["report"] is False
    drain()
    told = shown(cast, version)
    assert (told["supply"]["report"], told["completeness"]["notes"]) == (True, [])


def test_a_report_may_come_before_the_bytes_are_proven(cast: Cast) -> None:
    version = ModelVersion.objects.get(pk=register(cast, supply=PURCHASE).json()["id"])
    report(cast, version)
    drain()
    assert shown(cast, version)["supply"] == {**PURCHASE, "digest_of": "model.onnx", "report": True}


def test_a_policy_that_requires_a_run_takes_nothing_bought(cast: Cast) -> None:
    assert gate(bought(cast), "run").sentence.endswith("not fully recorded: no run: it was bought.")
    assert gate(bought(cast), "image_digest").verdict == "fail"


def test_a_fact_of_a_purchase_is_not_asked_of_what_was_trained_here(cast: Cast) -> None:
    assert gate(a_version(cast, a_run(cast)), "contract", "supplier_report").verdict == "pass"


def test_what_is_refused(cast: Cast) -> None:
    run = a_run(cast)
    upload = staged(cast, FILES)
    both = register(cast, upload, supply=PURCHASE, run=str(run.pk))
    assert (both.status_code, both.json()["field"]) == (422, "supply")
    assert both.json()["detail"] == "A version was made by a run, or bought: give run or supply, not both."
    refused: list[Any] = [
        {},
        {"supplier": " "},
        {**PURCHASE, "origin": "javascript:alert(1)"},
        {**PURCHASE, "origin": "https://a b"},
        {**PURCHASE, "digest": "md5:1"},
        {**PURCHASE, "digest": WEIGHTS.upper()},
        {**PURCHASE, "supplier": "x" * 201},
        {**PURCHASE, "price": "1"},
        [],
        "Acme",
    ]
    for supply in refused:
        assert register(cast, upload, supply=supply).status_code == 422, supply
    assert not Supply.objects.filter(version__model__namespace=cast.namespace).exists()
    assert not ModelVersion.objects.filter(model__namespace=cast.namespace).exists()


def test_who_registered_it_made_it(cast: Cast) -> None:
    """The duties stay separate: who brought it in, and who answers for them, do not let it through."""
    version = bought(cast, by="ci")
    assert trainers_of(version) == {cast.user("ci").pk, cast.user("ada").pk}
    context = Context(
        promotion=Promotion(requested_by=cast.user("eve")),
        version=version,
        incumbent=None,
        now=timezone.now(),
    )
    assert {cast.user(who).pk for who in ("ci", "ada", "eve")} <= context.interested()
    assert cast.user("ben").pk not in context.interested()


def test_why_and_trace_say_that_it_was_bought(cast: Cast) -> None:
    trained, other = a_version(cast, a_run(cast)), bought(cast)
    client = cast.client("vera")
    sentence = client.get("/api/v1/why", {"a": trained.reference, "b": other.reference}).json()["sentence"]
    assert f"{other.reference} was bought from Acme AI: what made it is the supplier's knowledge." in sentence
    assert "without a run" not in sentence
    derived = a_version(cast, a_run(cast), base=[other.reference])
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/{derived.number}/lineage"
    nodes = {node["label"]: node["detail"] for node in client.get(path).json()["nodes"]}
    assert nodes[other.reference]["bought_from"] == "Acme AI"
    assert "bought_from" not in nodes[derived.reference]


def test_the_graphs_labels_take_no_more_queries(cast: Cast, django_assert_max_num_queries: Any) -> None:
    client = cast.client("vera")

    def asked(number: int) -> int:
        path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/{number}/lineage"
        with django_assert_max_num_queries(60) as counted:
            assert client.get(path).status_code == 200
            return len(counted)

    one = bought(cast)
    first = a_version(cast, a_run(cast), base=[one.reference])
    few = asked(first.number)
    second = a_version(
        cast, a_run(cast), base=[one.reference, bought(cast).reference, bought(cast).reference]
    )
    assert asked(second.number) <= few


def test_its_files_may_travel_in_packs(cast: Cast) -> None:
    """What is compared are the files, however they travel."""
    upload = create_upload(namespace=cast.namespace, files=ENTRIES, by=cast.principal("ben"), packed=True)
    assert upload.files.update(status="received") > len(FILES)
    told = register(cast, upload, supply={**PURCHASE, "digest": f"sha256:{manifest_digest(ENTRIES)}"}).json()
    assert told["supply"]["digest_of"] == "the manifest"
