"""References to models and versions, and the addresses they have on the server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from assay.errors import ReferenceInvalid

API = "/api/v1"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FORMS = "namespace/model, namespace/model:3, namespace/model@alias or namespace/model@sha256:<digest>"


@dataclass(frozen=True)
class Reference:
    """`namespace/model` with at most one of a number, an alias or a digest."""

    namespace: str
    model: str
    number: int | None = None
    alias: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises ReferenceInvalid. The namespace ends at the first `/`."""
        namespace, slash, rest = text.partition("/")
        model, at, name = rest.partition("@")
        digits = ""
        if not at:
            model, colon, digits = rest.partition(":")
            if colon and not (digits.isascii() and digits.isdigit() and int(digits) > 0):
                raise ReferenceInvalid(
                    f"{text!r}: a version number is a positive whole number, as in {_FORMS}."
                )
        if (
            not slash
            or not namespace
            or not model
            or "/" in rest
            or ":" in namespace + model
            or "@" in namespace
        ):
            raise ReferenceInvalid(f"{text!r} is not a reference: write {_FORMS}.")
        if at and name.startswith("sha256:"):
            if not _DIGEST.fullmatch(name):
                raise ReferenceInvalid(f"{text!r}: a digest is sha256: and 64 lower-case hexadecimal digits.")
            return cls(namespace, model, digest=name)
        if at and (not name or ":" in name or "@" in name):
            raise ReferenceInvalid(f"{text!r} is not a reference: write {_FORMS}.")
        return cls(namespace, model, number=int(digits) if digits else None, alias=name or None)


def namespace_path(namespace: str) -> str:
    return f"{API}/namespaces/{quote(namespace, safe='')}"


def model_path(text: str) -> str:
    """The address of the model of any reference. Raises ReferenceInvalid."""
    reference = Reference.parse(text)
    return f"{namespace_path(reference.namespace)}/models/{quote(reference.model, safe='')}"


def version_path(namespace: str, model: str, number: int) -> str:
    return f"{namespace_path(namespace)}/models/{quote(model, safe='')}/versions/{number}"
