"""A headless Chromium that keeps what a page complained of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import ConsoleMessage, Page, Response, sync_playwright

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
]  # fmt: skip


_STANDS_OUT = """() => {
    const scrolls = e => e && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
    return [...document.querySelectorAll("main *, #content-main *, .desk *")]
        .filter(e => { const box = e.getBoundingClientRect(); return box.width > 1 && box.right > innerWidth + 1; })
        .filter(e => !scrolls(e.parentElement)).slice(0, 3).map(e => e.outerHTML.slice(0, 120));
}"""
_AXE = """without => axe.run({exclude: [without]}, {
    resultTypes: ["violations"],
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
})"""


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

    def stands_out(self) -> list[str]:
        """The beginnings of what reaches over the right edge and cannot be scrolled to. A page that clips what is too
        wide would hide it from a look at the page's own width."""
        found: list[str] = self.page.evaluate(_STANDS_OUT)
        return found

    def barriers(self, without: str = "#none") -> list[str]:
        """What axe-core finds serious or critical on the page as it is, each with the element and why. `without`
        names, as CSS does, what it need not look at."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(AXE_SCRIPT)
        found = self.page.evaluate(_AXE, without)["violations"]
        return [
            f"{wrong['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
            for wrong in found
            if wrong["impact"] in {"serious", "critical"}
            for node in wrong["nodes"]
        ]

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
