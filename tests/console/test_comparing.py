"""The page of two versions side by side: what it says, to whom, and how one comes to it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from registry.actions.evaluations import Measured, MeasuredOn, record_evaluation
from registry.models import ModelVersion
from tests.cast import Cast
from tests.console.scene import Scene, digest_of
from tests.console.test_pages import signed_in, text
from tests.lineage.scenes import ENVIRONMENT, a_run, a_version


def compared(scene: Scene, a: ModelVersion, b: ModelVersion, by: str = "vera", status: int = 200) -> Any:
    answer = signed_in(scene, by).get("/compare", {"a": a.reference, "b": b.reference})
    assert answer.status_code == status
    return answer


def test_the_one_cause_beside_the_metrics(scene: Scene) -> None:
    _, production, damaged, _ = scene.versions
    told = text(compared(scene, production, damaged))
    assert "Only the training data differs: the dataset payments.parquet changed" in told
    assert "recall held-out 2026-10, test 0.8405 0.7015 \u22120.139" in told
    assert re.search(
        r"data the dataset payments\.parquet sha256:\S+ \(184,302 rows\) sha256:\S+ \(61,021 rows\)", told
    )
    assert "Interval" not in told


def test_an_interval_where_both_values_have_one(scene: Scene) -> None:
    a, b = scene.versions[1], scene.versions[2]
    on = MeasuredOn(dataset="held-out 2026-10", digest=f"sha256:{digest_of('held out')}", split="test")
    for version, value in ((a, 0.84), (b, 0.70)):
        measured = [Measured(name="recall", value=value, low=value - 0.03, high=value + 0.03)]
        record_evaluation(version=version, on=on, metrics=measured, by=scene.principal("ci"))
    told = text(compared(scene, a, b))
    # 0.14 less, give or take the hypotenuse of 0.03 and 0.03
    assert "0.84 0.7 \u22120.14 \u22120.1824 to \u22120.09757" in told


def test_what_follows_stands_behind_its_cause_and_gaps_are_said(cast: Cast) -> None:
    environment = {**ENVIRONMENT, "image_digest": "sha256:" + "0" * 64, "packages": {"numpy": "2.3.0"}}
    unseen = {"state": "unknown", "notes": ["a reader could not be observed"]}
    a = a_version(cast, a_run(cast))
    b = a_version(cast, a_run(cast, environment=environment, capture=unseen))
    client = Client()
    client.force_login(cast.user("vera"))
    page = client.get("/compare", {"a": a.reference, "b": b.reference}).content.decode()
    assert page.count('<tr class="follows">') == 2
    assert page.index("the container image</span>") < page.index("the package numpy</span>")
    gap = f"Not all that the making of {b.reference} used was captured, so more may differ."
    assert page.count(gap) == 1


def test_a_link_leads_to_it_from_the_version_and_from_the_promotion(scene: Scene) -> None:
    client, room = signed_in(scene, "vera"), scene.namespace.name
    damaged, production = scene.versions[2], scene.versions[1]
    address = f"/compare?{urlencode({'a': production.reference, 'b': damaged.reference}, safe='/')}"
    for page in (f"/m/{room}/card-scorer/3", f"/promotions/{scene.refused.pk}"):
        assert address.replace("&", "&amp;") in client.get(page).content.decode(), page
    alone = f"/compare?b={production.reference}".replace(":", "%3A")
    assert alone in client.get(f"/m/{room}/card-scorer/2").content.decode()


def test_without_two_versions_it_asks_for_them(scene: Scene) -> None:
    client = signed_in(scene, "vera")
    assert "Why do two versions differ?" in text(client.get("/compare"))
    page = client.get("/compare", {"b": scene.versions[3].reference})
    assert page.status_code == 200
    assert f'value="{scene.versions[3].reference}"' in page.content.decode()


def test_what_names_no_version_is_said_on_the_page(scene: Scene) -> None:
    room, client = scene.namespace.name, signed_in(scene, "vera")
    for ref, status, told in (
        ("<script>alert(1)</script>", 422, "is not a reference"),
        (f"{room}/card-scorer:99", 404, "There is no version"),
        (f"{room}/other", 404, "There is no model"),
    ):
        answer = client.get("/compare", {"a": ref, "b": scene.versions[0].reference})
        assert (answer.status_code, told in text(answer)) == (status, True), ref
        assert "<script>alert" not in answer.content.decode()


def test_a_stranger_finds_nothing_and_others_are_asked_to_sign_in(scene: Scene) -> None:
    a, b = scene.versions[1], scene.versions[2]
    assert "payments.parquet" not in text(compared(scene, a, b, by="mallory", status=404))
    assert Client().get("/compare").status_code == 302
