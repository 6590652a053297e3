"""The desk and the pages in Chromium, over gunicorn, as an operator goes through them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from registry.models import ModelVersion
from tests.console.browsing import Browser, chromium
from tests.console.scene import Scene, make_scene

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return make_scene(f"-{secrets.token_hex(3)}", log_in=["cora"])


@pytest.fixture
def browser(live: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with chromium(str(getattr(live, "url"))) as opened:  # noqa: B009 - the fixture's class is conftest's
        yield opened


def sign_in(browser: Browser, scene: Scene, path: str = "/") -> None:
    browser.sign_in(scene.people["cora"].username, scene.passwords["cora"], path)


def test_an_operator_finds_understands_and_approves(scene: Scene, browser: Browser) -> None:
    page = browser.page
    version = scene.versions[3]
    sign_in(browser, scene)
    expect(page.get_by_role("status")).to_have_count(0)
    page.get_by_role("link", name="Open the desk").click()
    page.get_by_role("link", name="Decide").click()
    # What decides lies on the screen, without scrolling: the regression, the gates' tally, both buttons.
    for seen in (
        page.get_by_text("2 worse"),
        page.get_by_role("row", name=re.compile("recall slice country = PT .* 3.8 % worse")),
        page.get_by_role("row", name=re.compile("recall slice country = PT")).locator(".bar .a"),
        page.get_by_text("eu-1 version 2"),
        page.get_by_text("Several things differ"),
        page.get_by_text("high risk"),
        page.get_by_text("6 of 6 passed"),
        page.get_by_role("button", name="Approve"),
        page.get_by_role("button", name="Reject"),
    ):
        box = seen.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 800, seen
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    # Apart from its colour, what is worse lies on the other side than what is better.
    worse, middle, better = (
        page.locator(f"tr:has-text('{name}') .bar {part}").first.bounding_box()
        for name, part in (("country = PT", ".a"), ("country = PT", ".t"), ("log_loss", ".a"))
    )
    assert worse is not None
    assert middle is not None
    assert better is not None
    assert worse["x"] < middle["x"] - 20
    assert worse["x"] + worse["width"] <= middle["x"] + 2 <= better["x"] + 4
    page.get_by_label("Reason").fill("worth the loss in Portugal")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text(f"Approved: {version.reference} is in production.")).to_be_visible()
    assert ModelVersion.objects.get(pk=version.pk).stage == "production"

    browser.go(f"/m/{scene.namespace.name}/card-scorer")
    expect(page.locator(".banner")).to_contain_text("Version 4")
    expect(page.locator(".banner")).to_contain_text(f"approved by {scene.people['cora'].username}")
    assert browser.complaints == []


def test_a_decision_by_keyboard_alone(scene: Scene, browser: Browser) -> None:
    page = browser.page
    sign_in(browser, scene, f"/admin/desk/{scene.waiting.pk}/")
    page.get_by_label("Reason").focus()
    page.keyboard.type("Portugal got three points worse")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Reject")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Rejected: {scene.versions[3].reference}")).to_be_visible()
    scene.waiting.refresh_from_db()
    assert scene.waiting.state == "rejected"
    assert browser.complaints == []


def test_a_new_token_is_copied(scene: Scene, browser: Browser) -> None:
    page = browser.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(browser, scene, "/account/tokens")
    page.get_by_label("What is it for?").fill("laptop")
    page.get_by_role("button", name="Make a token").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("is revoked")).to_be_visible()
    assert browser.complaints == []
