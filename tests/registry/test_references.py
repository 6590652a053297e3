"""Every form of a reference, and what is refused."""

from __future__ import annotations

import pytest

from registry.actions.aliases import move_alias
from registry.errors import DomainError, InvalidInput, NotVisible
from registry.models import ModelVersion
from registry.references import NoProductionVersion, Reference, parse, resolve
from tests.cast import Cast
from tests.factories import promotion_at, ready_version

DIGEST = "a" * 64


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("fraud/scorer", Reference("fraud", "scorer")),
        ("fraud/scorer:12", Reference("fraud", "scorer", number=12)),
        ("fraud/scorer@champion", Reference("fraud", "scorer", alias="champion")),
        ("fraud/scorer@v3.1", Reference("fraud", "scorer", alias="v3.1")),
        (f"fraud/scorer@sha256:{DIGEST}", Reference("fraud", "scorer", digest=DIGEST)),
    ],
)
def test_it_works(text: str, meant: Reference) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "fraud", "fraud/", "/scorer", "fraud/scorer/3", "Fraud/scorer", "fraud/scorer:", "fraud/scorer:0",
        "fraud/scorer:-1", "fraud/scorer:03", "fraud/scorer:latest", "fraud/scorer:1:2", "fraud/scorer@",
        "fraud/scorer@latest", "fraud/scorer@Latest", "fraud/scorer@v3", "fraud/scorer@V3", "fraud/scorer@a@b",
        "fraud/scorer@sha256:abc", f"fraud/scorer@sha256:{DIGEST.upper()}", "fraud/scorer:99999999999", "fraud/../x",
        "fraud/scorer\n", "fraud/scorer:1\n", "fraud/scorer@x\n", "fraud/scorer:1\u0661", " fraud/scorer", "fraud/s%00",
    ],
)  # fmt: skip
def test_refused_with_the_field(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text)
    assert refused.value.field == "ref"
    assert refused.value.status == 422


def test_latest_is_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match="production version is meant"):
        parse("fraud/scorer:latest")


def test_resolve_by_every_form(cast: Cast) -> None:
    version = ready_version(cast)
    move_alias(model=version.model, name="champion", version=version, by=cast.principal("eve"))
    stem, ben = f"{cast.namespace.name}/scorer", cast.principal("ben")
    for ref in (f"{stem}:1", f"{stem}@champion", f"{stem}@sha256:{version.manifest.digest}"):
        assert resolve(ref, ben) == version


def test_the_bare_name_is_the_production_version(cast: Cast) -> None:
    version = promotion_at(cast, "applied").version
    ready_version(cast)
    assert resolve(f"{cast.namespace.name}/scorer", cast.principal("vera")) == version


def test_without_production_it_explains(cast: Cast) -> None:
    ready_version(cast)
    with pytest.raises(NoProductionVersion, match="has no version in production") as refused:
        resolve(f"{cast.namespace.name}/scorer", cast.principal("ben"))
    assert refused.value.status == 404


def test_of_equal_bytes_the_newest_ready_one(cast: Cast) -> None:
    first = ready_version(cast)
    second = ready_version(cast)
    twin = ModelVersion.objects.create(
        model=first.model, number=9, manifest=first.manifest, created_by=first.created_by, status="verifying"
    )
    ref = f"{cast.namespace.name}/scorer@sha256:{first.manifest.digest}"
    assert resolve(ref, cast.principal("ben")) == first
    ModelVersion.objects.filter(pk=twin.pk).update(status="ready")
    assert resolve(ref, cast.principal("ben")) == twin
    assert second.manifest.digest != first.manifest.digest


@pytest.mark.parametrize("form", ["", ":1", "@champion", "@sha256:" + DIGEST])
def test_the_stranger_learns_nothing(cast: Cast, form: str) -> None:
    promotion_at(cast, "applied")
    real = _refusal(f"{cast.namespace.name}/scorer{form}", cast)
    made_up = _refusal(f"{cast.namespace.name}/nothing{form}", cast)
    assert real.code == made_up.code == "not-found"
    assert real.sentence.replace("scorer", "nothing") == made_up.sentence


def _refusal(ref: str, cast: Cast) -> DomainError:
    with pytest.raises(NotVisible) as refused:
        resolve(ref, cast.principal("mallory"))
    return refused.value
