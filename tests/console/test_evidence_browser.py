"""Evidence in Chromium: taken from the version's page, then read as a file, where there is no server."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Dialog, expect

from registry.models import ModelVersion, RegisteredModel
from tests.conftest import Live
from tests.console.browsing import chromium
from tests.console.scene import make_scene
from tests.lifecycle.audit.test_page import HOSTILE


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
@pytest.mark.django_db(transaction=True)
def test_taken_from_the_page_and_read_as_a_file(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    scene = make_scene(f"-{secrets.token_hex(3)}", log_in=["ada"])
    version = scene.versions[1]
    RegisteredModel.objects.filter(pk=version.model_id).update(card=HOSTILE, description=HOSTILE)
    ModelVersion.objects.filter(pk=version.pk).update(tags={"<b>": HOSTILE})
    path = f"/m/{scene.namespace.name}/card-scorer/2"
    with chromium(live.url) as browser:
        page = browser.page
        opened: list[str] = []

        def heard(dialog: Dialog) -> None:
            opened.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", heard)
        browser.sign_in(scene.people["ada"].username, scene.passwords["ada"], path)
        with page.expect_download() as download:
            page.get_by_role("link", name="To read").click()
        file = tmp_path / "evidence.html"
        download.value.save_as(file)

        page.goto(f"{live.url}/m/{scene.namespace.name}/card-scorer")
        page.get_by_label("From").fill(f"{timezone.now():%Y-%m-%d}")
        with page.expect_download() as download:
            page.get_by_role("button", name="To read").click()
        assert download.value.suggested_filename.startswith(f"{scene.namespace.name}-")
        assert version.reference in Path(download.value.path()).read_text(encoding="utf-8")

        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for width, height in ((1280, 800), (390, 844)):
            browser.size(width, height)
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            expect(page.get_by_role("heading", name=version.reference).first).to_be_visible()
            allowed = page.locator(".answers li", has_text="Who allowed production?")
            expect(allowed).to_contain_text(scene.people["cora"].username)
        assert set(asked) == {file.as_uri()}, "nothing else is fetched"
        assert opened == []
        assert browser.complaints == []
