"""The OpenAPI description: bodies by their serializers, answers as objects, tokens as the way in."""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """`Authorization: Bearer assay_...`."""

    target_class = "registry.http.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "assay_<prefix>_<secret>"}


class Schema(AutoSchema):
    """What an endpoint does not say is an object: answers are built by functions, not by serializers."""

    def get_request_serializer(self) -> Any:
        return OpenApiTypes.OBJECT if self.method in {"POST", "PUT", "PATCH"} else None

    def get_response_serializers(self) -> Any:
        return OpenApiTypes.OBJECT

    def get_operation_id(self) -> str:
        """Method and path: unique, as routes are."""
        stem = re.sub(r"[^a-z0-9]+", "_", self.path.removeprefix("/api/v1/").lower()).strip("_")
        return f"{self.method.lower()}_{stem}"
