"""What is committed works anywhere: no folder of one machine, no address of a package index."""

from __future__ import annotations

import re

from tests.architecture.tree import files, source

# Spelled in parts, so that this file does not contain what it looks for.
FOLDERS = [f"/{name}/" for name in ("work", "farm", "root")]
INDEXES = ["files.python" + "hosted.org", "//pypi" + ".org", "registry.npm" + "js"]
ADDRESS = re.compile("|".join(re.escape(part) for part in FOLDERS + INDEXES))
TEXT = {
    ".py",
    ".toml",
    ".lock",
    ".md",
    ".yml",
    ".yaml",
    ".html",
    ".css",
    ".js",
    ".sh",
    ".conf",
    ".cfg",
    ".txt",
    ".json",
    ".example",
    "",
}


def test_the_pattern_sees_one() -> None:
    assert ADDRESS.search("open('/" + "work/data')")
    assert ADDRESS.search("https://files.python" + "hosted.org/x.whl")
    assert not ADDRESS.search("a framework/of work")


def test_no_file_names_one() -> None:
    found = []
    for path in files():
        if path.suffix in TEXT and path.name not in {"LICENSE", ".installed"}:
            found += [
                f"{path}:{number} {hit[0]}"
                for number, line in enumerate(source(path).splitlines(), start=1)
                if (hit := ADDRESS.search(line))
            ]
    assert found == []
