"""The page: every word that people wrote is text, nothing is fetched, nothing runs."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from lifecycle.audit.export import export_version
from lifecycle.audit.page import page_of
from registry.models import ModelVersion, RegisteredModel
from tests.cast import Cast
from tests.lifecycle.audit.scene import past

HOSTILE = (
    "</style><script>alert(1)</script><img src=x onerror=alert(2)>\"'><a href='javascript:alert(3)'>"
    "{{7*7}}{% now %}"
)


class Seen(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def seen(page: str) -> Seen:
    parser = Seen()
    parser.feed(page)
    return parser


@pytest.fixture
def page(cast: Cast) -> str:
    scene = past(cast, words=HOSTILE)
    RegisteredModel.objects.filter(pk=scene.first.model_id).update(
        card=HOSTILE, description=HOSTILE, intended_use=HOSTILE, task=HOSTILE[:100]
    )
    ModelVersion.objects.filter(pk__in=[scene.first.pk, scene.second.pk]).update(
        description=HOSTILE, tags={HOSTILE[:50]: HOSTILE}
    )
    documents = [export_version(version=v, by=cast.principal("otto")) for v in (scene.first, scene.second)]
    return "".join(map(page_of, documents))


def test_what_people_wrote_is_text(page: str) -> None:
    found = seen(page)
    assert not {"script", "img", "a", "iframe", "object", "link", "form", "svg"} & set(found.tags)
    assert not [
        name for name, _ in found.attributes if name.startswith("on") or name in ("src", "href", "style")
    ]
    assert found.tags.count("style") == 2, "one for each of the two pages, ended by none of the words"
    assert page.count("&lt;script&gt;alert(1)") > 10
    assert "{{7*7}}" in page
    assert "".join(found.texts).count("<script>alert(1)</script>") > 10


def test_it_forbids_what_it_does_not_need(page: str) -> None:
    policies = [
        value for name, value in seen(page).attributes if name == "content" and "default-src" in value
    ]
    assert (
        policies == ["default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"] * 2
    )
    assert "url(" not in page
    assert "@import" not in page


def test_it_answers_an_auditors_first_questions(cast: Cast) -> None:
    scene = past(cast)
    page = page_of(export_version(version=scene.second, by=cast.principal("otto")))
    told = " ".join(" ".join(seen(page).texts).split())
    cora = cast.user("cora").username
    assert "Where is it? In production since" in told
    assert f"Who allowed production? {cora} (" in told
    assert "Was a gate waived? No" in told
    assert "Where does it run? eu-1" in told
    assert f"Approved by {cora}" in told
    assert "which is what was applied" in told
    assert "Digest A fingerprint (SHA-256)" in told
