"""The pages: who sees them, what they say, and how many queries they cost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from lifecycle.actions.promotions import decide_promotion
from registry.actions.models import ensure_model
from registry.actions.people import create_user
from registry.artifacts.scan import conclude
from registry.artifacts.scanning import SCANNER
from registry.models import SYSTEM, ScanReport
from tests.console.scene import Scene


def signed_in(scene: Scene, name: str) -> Client:
    client = Client()
    client.force_login(scene.people[name])
    return client


def addresses(scene: Scene) -> list[str]:
    room = scene.namespace.name
    return [f"/m/{room}/card-scorer", f"/m/{room}/card-scorer/4", f"/promotions/{scene.waiting.pk}"]


def text(response: Any) -> str:
    """What a reader reads, white space folded."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_it_works(scene: Scene) -> None:
    client = signed_in(scene, "vera")
    for address in ["/", "/account/tokens", *addresses(scene)]:
        assert client.get(address).status_code == 200, address


def test_who_is_not_signed_in_is_asked_to(scene: Scene) -> None:
    for address in ["/", "/account/tokens", *addresses(scene)]:
        response = Client().get(address)
        assert response.status_code == 302
        assert response["Location"] == f"/admin/login/?next={address}"


def test_a_stranger_finds_nothing(scene: Scene) -> None:
    client = signed_in(scene, "mallory")
    for address in addresses(scene):
        assert client.get(address).status_code == 404, address
    home = text(client.get("/"))
    assert scene.namespace.name not in home
    assert "You hold no role in any namespace" in home
    assert "card-scorer" not in text(client.get("/", {"q": "card"})).replace('q": "card', "")


def test_what_is_not_there_is_404(scene: Scene) -> None:
    client = signed_in(scene, "vera")
    room = scene.namespace.name
    for address in (f"/m/{room}/none", f"/m/{room}/card-scorer/99", f"/promotions/{scene.versions[0].pk}"):
        assert client.get(address).status_code == 404


def test_the_version_page_tells_what_a_version_is(scene: Scene) -> None:
    told = text(signed_in(scene, "vera").get(f"/m/{scene.namespace.name}/card-scorer/4"))
    version = scene.versions[3]
    assert f"sha256:{version.manifest.digest}" in told
    assert "payments.parquet" in told
    assert "training data" in told
    assert "model.skops" in told
    assert f"assay pull {version.reference}" in told
    assert "No container image digest" in told
    # Beside production, worse first: the slice that lost three points, before everything that got better.
    assert told.index("slice country = PT 0.788 0.819 ▼ \u22120.031 3.8 % worse") < told.index(
        "0.1604 0.1671"
    )


def test_the_version_page_tells_what_a_scan_found(scene: Scene) -> None:
    address, version = f"/m/{scene.namespace.name}/card-scorer/4", scene.versions[3]
    assert "not scanned yet" in text(signed_in(scene, "vera").get(address))
    for artifact in version.manifest.artifacts.all():
        found = {
            "where": "1.npy",
            "what": "it imports <os.system>",
            "name": "os.system",
            "verdict": "malicious",
        }
        bad = artifact.path == "model.skops"
        ScanReport.objects.create(
            blob=artifact.blob, scanner=SCANNER, format="skops" if bad else "text",
            verdict="malicious" if bad else "clean", findings=[found] if bad else [],
        )  # fmt: skip
    conclude(version.pk)
    told = text(signed_in(scene, "vera").get(address))
    assert "not scanned yet" not in told
    assert "skops malicious It imports &lt;os.system&gt;. In 1.npy." in told


def test_only_who_may_take_evidence_out_is_offered_it(scene: Scene) -> None:
    page, download = f"/m/{scene.namespace.name}/card-scorer/2", "/card-scorer/versions/2/evidence"
    assert download not in signed_in(scene, "vera").get(page).content.decode()
    client = signed_in(scene, "ada")
    told = client.get(page).content.decode()
    assert f"{download}?as=html" in told
    address = told.partition(download)[0].rpartition('"')[2] + download
    answer = client.get(f"{address}?as=html")
    assert answer["Content-Disposition"].endswith('card-scorer-2.evidence.html"')
    version = f"/admin/registry/modelversion/{scene.versions[1].pk}/evidence/"
    assert client.get(version).headers["Location"] == f"{address}?as=html"
    assert signed_in(scene, "vera").get(version).status_code == 403


def test_the_model_page_tells_on_whose_approval_production_runs(scene: Scene) -> None:
    told = text(signed_in(scene, "vera").get(f"/m/{scene.namespace.name}/card-scorer"))
    asked, approved = scene.people["eve"].username, scene.people["cora"].username
    assert f"asked by {asked}, approved by {approved}" in told


def test_the_promotion_page_tells_why_it_was_refused(scene: Scene) -> None:
    told = text(signed_in(scene, "vera").get(f"/promotions/{scene.refused.pk}"))
    assert "2 of 6 did not pass" in told
    assert "recall is 0.7015 against 0.8405" in told
    assert "Only the training data differs" in told


def test_only_who_may_decide_is_sent_to_the_desk(scene: Scene) -> None:
    path = f"/promotions/{scene.waiting.pk}"
    assert "It waits for your decision" in text(signed_in(scene, "cora").get(path))
    assert "It waits for your decision" not in text(signed_in(scene, "vera").get(path))


def test_home_names_what_waits_and_how_to_begin(scene: Scene) -> None:
    assert "1 decision waits for you" in text(signed_in(scene, "cora").get("/"))
    assert "your decision" not in text(signed_in(scene, "vera").get("/"))
    told = text(signed_in(scene, "vera").get("/"))
    assert "card-scorer" in told
    assert "production 2" in told


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("metric.log_loss < 0.161", ["card-scorer:4"]),
        ("stage = archived", ["card-scorer:1"]),
        ("card", ["card-scorer:4", "card-scorer:3", "card-scorer:2", "card-scorer:1"]),
        ("nothing-like-it", []),
    ],
)
def test_search_finds_by_the_grammar_and_by_a_piece_of_a_name(
    scene: Scene, query: str, found: list[str]
) -> None:
    told = text(signed_in(scene, "vera").get("/", {"q": query}))
    assert [reference in told for reference in found] == [True] * len(found)
    assert len(re.findall(r"card-scorer:\d", told)) == len(found)


def test_a_wrong_search_says_what_is_wrong(scene: Scene) -> None:
    assert "At character" in text(signed_in(scene, "vera").get("/", {"q": "stage ="}))


def test_what_people_wrote_is_shown_as_text(scene: Scene) -> None:
    """Names, reasons and tags are theirs, not markup."""
    version = scene.versions[3]
    type(version).objects.filter(pk=version.pk).update(
        description="<script>alert(1)</script>", tags={"<b>": "<img src=x onerror=alert(1)>"}
    )
    page = signed_in(scene, "vera").get(f"/m/{scene.namespace.name}/card-scorer/4").content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;" in page


def test_pages_forbid_foreign_and_inline_scripts(scene: Scene) -> None:
    policy = signed_in(scene, "vera").get("/")["Content-Security-Policy"]
    assert "script-src 'self';" in f"{policy};"
    assert "unsafe" not in policy
    admin = signed_in(scene, "vera").get("/admin/desk/")["Content-Security-Policy"]
    assert "'unsafe-eval'" in admin
    assert "'unsafe-inline'" not in admin.replace("style-src-attr 'unsafe-inline'", "")


def queries(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get(path).status_code == 200
    return len(seen)


def test_lists_cost_the_same_however_long_they_are(scene: Scene) -> None:
    client = signed_in(scene, "cora")
    room = scene.namespace.name
    paths = ["/", "/?q=card", f"/m/{room}/card-scorer", "/admin/desk/"]
    before = {path: queries(client, path) for path in paths}
    for number in range(5):
        ensure_model(namespace=scene.namespace, name=f"another-{number}", by=scene.principal("ben"))
    decide_promotion(
        promotion=scene.waiting, verdict="reject", reason="Portugal got worse", by=scene.principal("cora")
    )
    after = {path: queries(client, path) for path in paths}
    assert {path: after[path] - before[path] for path in paths if after[path] > before[path]} == {}


def test_a_person_without_a_role_keeps_out_of_the_admin(scene: Scene) -> None:
    client = Client()
    client.force_login(create_user(username=f"new{scene.namespace.name}", by=SYSTEM))
    assert client.get("/admin/desk/").status_code == 302
