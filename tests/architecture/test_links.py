"""The documents lead where they say."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture.tree import ROOT, files, source

LINK = re.compile(r"\]\(([^)#\s]+)")


def led_nowhere(page: Path, text: str) -> list[str]:
    """The links of a page to files that are not there."""
    targets = [target for target in LINK.findall(text) if "://" not in target]
    return [target for target in targets if not (ROOT / page.parent / target).exists()]


def test_every_link_leads_to_a_file() -> None:
    pages = [page for page in files() if page.suffix == ".md"]
    assert len(pages) > 10
    assert {str(page): found for page in pages if (found := led_nowhere(page, source(page)))} == {}
    assert led_nowhere(Path("README.md"), "[a](nowhere.md) [b](README.md#x) [c](https://x)") == ["nowhere.md"]
