"""Every page of the desk, of the administration and of the console in Chromium, wide and narrow: nothing is cut off,
nothing complains, and axe-core finds nothing serious."""

from __future__ import annotations

import secrets

import pytest

from registry.actions.accounts import reset_password
from registry.http.access import admin_rules
from registry.models import SYSTEM
from tests.conftest import Live
from tests.console.browsing import Browser, chromium
from tests.console.scene import Scene, make_scene
from tests.registry.admin.furnished import LABELS, act_page, administrator, furnish, page, row_of

# They lead to another page, or hand out a file.
NO_PAGE = {"open_page", "open_on_desk", "evidence"}
NAVIGATION = "#nav-sidebar"
# Pages of one sentence and one button look like each other: these have forms of their own.
FORMS = {
    ("lifecycle.Policy", "draft"),
    ("lifecycle.FreezeWindow", "freeze"),
    ("lifecycle.BreakGlass", "review"),
    ("lifecycle.Waiver", "grant"),
    ("registry.Namespace", "grant"),
    ("registry.RegisteredModel", "reviewers"),
    ("registry.RegisteredModel", "roll_back"),
    ("registry.Webhook", "new_webhook"),
    ("registry.Webhook", "rotate"),
    ("registry.Webhook", "replay"),
    ("registry.Delivery", "redeliver"),
}


def addresses(scene: Scene) -> list[str]:
    room, version = scene.namespace.name, scene.versions[3]
    found = [
        "/",
        "/?q=stage+%3D+production",
        "/account/tokens",
        f"/m/{room}/card-scorer",
        f"/m/{room}/card-scorer/4",
        f"/promotions/{scene.refused.pk}",
        f"/compare?a={scene.versions[1].reference}&b={version.reference}",
        "/admin/desk/",
        f"/admin/desk/{scene.waiting.pk}/",
        f"/admin/desk/{scene.refused.pk}/",
    ]
    for label in LABELS:
        found += [page(label, "changelist"), page(label, "change", row_of(scene, label).pk)]
    return found + [act_page(scene, label, action) for label, action in sorted(FORMS)]


def look_at(browser: Browser, path: str, without: str = NAVIGATION) -> list[str]:
    """What is wrong with a page, at both widths."""
    browser.size(1280, 800)
    answer = browser.page.goto(f"{browser.url}{path}", wait_until="load")
    wrong = [] if answer and answer.status == 200 else [f"answers {answer and answer.status}"]
    wrong += browser.barriers(without)
    if "object (" in browser.page.title():
        wrong.append(f"is called {browser.page.title()}")
    for width, height in ((1280, 800), (390, 844)):
        browser.size(width, height)
        if (needs := browser.page.evaluate("document.documentElement.scrollWidth")) > width:
            wrong.append(f"is {needs} wide at {width}")
        wrong += [f"at {width} this is cut off: {each}" for each in browser.stands_out()]
    return [f"{path} {each}" for each in wrong]


def test_the_forms_are_those_of_the_rules() -> None:
    actions = {(label, action) for label in LABELS for action in admin_rules()[label].actions}
    assert actions >= FORMS
    assert not {action for _, action in FORMS} & NO_PAGE


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
@pytest.mark.django_db(transaction=True)
def test_no_page_complains_is_cut_off_or_shuts_anybody_out(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    scene = furnish(make_scene(f"-{secrets.token_hex(3)}", log_in=["cora"]))
    root = administrator()
    paths = addresses(scene)
    with chromium(live.url) as browser:
        wrong = look_at(browser, "/admin/login/")
        browser.sign_in(root.username, reset_password(user=root, by=SYSTEM))
        for path in paths:
            wrong += look_at(browser, path)
        # The navigation is the same on all pages; an operator's desk is another one than the administrator's.
        browser.sign_in(scene.people["cora"].username, scene.passwords["cora"], "/admin/desk/")
        wrong += look_at(browser, "/admin/desk/", without="#none")
        assert browser.complaints == []
    assert wrong == []
