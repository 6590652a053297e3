"""References: how people and programs name a version in one string."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db.models import QuerySet

from registry.errors import DomainError, InvalidInput, NotVisible
from registry.models import ModelVersion, Principal, RegisteredModel, Stage
from registry.models.people import NAME

FORMS = "namespace/model, namespace/model:3, namespace/model@alias or namespace/model@sha256:<64 hex digits>"
_NAME = re.compile(NAME)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
RESERVED_ALIAS = re.compile(r"latest|v[0-9]+", re.IGNORECASE)
VERSIONS = ModelVersion.objects.select_related("model__namespace", "manifest", "created_by")


class NoProductionVersion(DomainError):
    """The model is there, but none of its versions is in production."""

    code = "no-production-version"
    status = 404


class VersionDeleted(DomainError):
    """What the version was can be read; it cannot be fetched or used any more."""

    code = "version-deleted"
    status = 410


@dataclass(frozen=True)
class Reference:
    """A reference taken apart; at most one of number, alias and digest (64 hex digits) is set."""

    namespace: str
    model: str
    number: int | None = None
    alias: str | None = None
    digest: str | None = None


def parse(text: str) -> Reference:
    """Take a reference apart. Raises InvalidInput, saying which forms there are."""
    namespace, slash, rest = text.partition("/")
    if "@" in rest:
        name, _, pointer = rest.partition("@")
        separator = "@"
    else:
        name, separator, pointer = rest.partition(":")
    if not slash or not _NAME.fullmatch(namespace) or not _NAME.fullmatch(name):
        raise InvalidInput(f"{text[:300]!r} is not a reference. Write {FORMS}.", field="ref")
    match separator:
        case ":":
            return Reference(namespace, name, number=_number(pointer))
        case "@" if pointer.startswith("sha256:"):
            if not _DIGEST.fullmatch(pointer):
                raise InvalidInput("A digest is `sha256:` and 64 lower-case hex digits.", field="ref")
            return Reference(namespace, name, digest=pointer.removeprefix("sha256:"))
        case "@":
            return Reference(namespace, name, alias=check_alias(pointer, field="ref"))
        case _:
            return Reference(namespace, name)


def _number(text: str) -> int:
    if text == "latest":
        raise InvalidInput(
            "`:latest` is refused: what it means changes under the one who uses it. "
            "Name a number, an alias or a digest; without any, the production version is meant.",
            field="ref",
        )
    if not _NUMBER.fullmatch(text):
        raise InvalidInput(f"{text[:40]!r} is not a version number: numbers begin at 1.", field="ref")
    return int(text)


def check_alias(name: str, *, field: str = "alias") -> str:
    """The name, when it can be an alias. Raises InvalidInput."""
    if RESERVED_ALIAS.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot be an alias: it would read as a version number or as the newest version.",
            field=field,
        )
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "An alias is 1 to 100 lower-case letters, digits, `.`, `_` or `-`, "
            "beginning and ending with a letter or digit.",
            field=field,
        )
    return name


def resolve(ref: str, principal: Principal) -> ModelVersion:
    """The version that a reference names, among what the principal may see.

    `namespace/model` is its production version. Raises InvalidInput, NotVisible, NoProductionVersion.
    """
    wanted = parse(ref)
    label = f"{wanted.namespace}/{wanted.model}"
    model = (
        RegisteredModel.objects.visible_to(principal)
        .filter(namespace__name=wanted.namespace, name=wanted.model, deleted_at=None)
        .first()
    )
    if model is None:
        raise NotVisible(f"There is no model {label} that you can see.")
    rows = VERSIONS.filter(model=model)
    if wanted.number is not None:
        found, missing = rows.filter(number=wanted.number).first(), f"version {label}:{wanted.number}"
    elif wanted.alias is not None:
        found, missing = rows.filter(aliases__name=wanted.alias).first(), f"alias {label}@{wanted.alias}"
    elif wanted.digest is not None:
        found, missing = _by_digest(rows, wanted.digest), f"version of {label} with digest {wanted.digest}"
    else:
        found, missing = rows.filter(stage=Stage.PRODUCTION).first(), ""
    if found is not None:
        return found
    if missing:
        raise NotVisible(f"There is no {missing}.")
    raise NoProductionVersion(
        f"{label} has no version in production. Name one by number, alias or digest: {FORMS}."
    )


def check_not_deleted(version: ModelVersion) -> None:
    """Raises VersionDeleted, with when and why it was."""
    if version.deleted_at is not None:
        raise VersionDeleted(
            f"{version.reference} was deleted on {version.deleted_at:%Y-%m-%d}: "
            f"{version.status_message.rstrip('.')}."
        )


def _by_digest(rows: QuerySet[ModelVersion], digest: str) -> ModelVersion | None:
    """The newest version of those bytes that is ready, else the newest at all."""
    found = list(rows.filter(manifest__digest=digest).order_by("-number"))
    ready = [version for version in found if version.status == ModelVersion.Status.READY]
    return next(iter(ready or found), None)
