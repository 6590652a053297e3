"""References and the addresses made from them."""

from __future__ import annotations

import pytest

from assay.errors import ReferenceInvalid
from assay.references import Reference, model_path

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ns/m", Reference("ns", "m")),
        ("ns/m:12", Reference("ns", "m", number=12)),
        ("ns/m@champion", Reference("ns", "m", alias="champion")),
        (f"ns/m@{DIGEST}", Reference("ns", "m", digest=DIGEST)),
    ],
)
def test_it_works(text: str, wanted: Reference) -> None:
    assert Reference.parse(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "m", "/m", "ns/", "ns/m:", "ns/m:0", "ns/m:latest", "ns/m:-1", "ns/m:²", "ns/m@", "ns/m@sha256:12",
     "ns/m@a:3", "ns/m:3@a", "ns/a/b", "n:s/m", "n@s/m"],
)  # fmt: skip
def test_others_are_refused(text: str) -> None:
    with pytest.raises(ReferenceInvalid):
        Reference.parse(text)


def test_names_are_quoted_in_addresses() -> None:
    assert model_path("a b/c?d") == "/api/v1/namespaces/a%20b/models/c%3Fd"
