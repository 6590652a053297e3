"""A headless Chromium that keeps what a page complained of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Page, Response, sync_playwright

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
]  # fmt: skip


@dataclass
class Browser:
    """A page in Chromium. `complaints`: console errors and warnings, policy violations, answers of 500 and over."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}", wait_until="networkidle")

    def sign_in(self, user: str, password: str, path: str = "/") -> None:
        """Log in as one person, then open `path`."""
        self.page.context.clear_cookies()
        self.go(f"/admin/login/?next={path}")
        self.page.fill("input[name=username]", user)
        self.page.fill("input[name=password]", password)
        self.page.click("form#login-form button[type=submit]")
        self.page.wait_for_url(f"{self.url}{path}")
        self.page.wait_for_load_state("networkidle")

    def size(self, width: int, height: int) -> None:
        self.page.set_viewport_size({"width": width, "height": height})


@contextmanager
def chromium(url: str) -> Iterator[Browser]:
    """A browser for the server at `url`, 1280 by 800."""
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("The tests of pages need `chromium` on the PATH.")
    with sync_playwright() as playwright:
        process = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = process.new_context(viewport={"width": 1280, "height": 800}).new_page()
        browser = Browser(page, url)

        def heard(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                browser.complaints.append(f"{page.url}: {message.text}")

        def answered(response: Response) -> None:
            if response.status >= 500:
                browser.complaints.append(f"{response.url}: {response.status}")

        page.on("console", heard)
        page.on("pageerror", lambda error: browser.complaints.append(f"{page.url}: {error}"))
        page.on("response", answered)
        yield browser
        process.close()
