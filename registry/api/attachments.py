"""Documents kept with a version: listed, added, and handed out."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.attachments import add_attachment
from registry.api.shows import ATTACHMENT_ROWS, attachment_json
from registry.artifacts import attachments, download, storage
from registry.artifacts.streaming import Readable
from registry.http.endpoint import Endpoint
from registry.http.paging import page
from registry.models import OF_ITS_MAKERS, Attachment


def plain_body(request: Request) -> tuple[Readable, int | None]:
    """The HTTP request itself, which nothing here parses or buffers, and the length that it says."""
    plain = request._request  # noqa: SLF001
    length = plain.META.get("CONTENT_LENGTH") or ""
    return plain, int(length) if length.isascii() and length.isdigit() else None


class VersionAttachments(Endpoint):
    """The documents of a version. Sent twice, a document is there once: that needs no Idempotency-Key."""

    repeatable = True

    @extend_schema(operation_id="list_attachments", responses=dict)
    def get(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Each with its digest; signatures with what came of verifying them."""
        rows = ATTACHMENT_ROWS.visible_to(self.principal).filter(version=self.version(name, number))
        return page(request, rows, attachment_json, order=("at", "pk"))

    @extend_schema(
        operation_id="add_attachment",
        parameters=[
            OpenApiParameter("kind", str, required=True, enum=OF_ITS_MAKERS),
            OpenApiParameter("name", str, required=True),
        ],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={201: dict},
    )
    def post(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Take the body as the document: at most 16 MiB, a signature 4 MiB."""
        body, length = plain_body(request)
        row = add_attachment(
            version=self.version(name, number),
            kind=request.query_params.get("kind", ""),
            name=request.query_params.get("name", ""),
            body=body,
            length=length,
            by=self.principal,
        )
        return Response(attachment_json(ATTACHMENT_ROWS.get(pk=row.pk)), status=201)


class AttachmentContent(Endpoint):
    """The bytes of an attachment."""

    noun = (Attachment.objects.select_related("version__model__namespace"), "attachment")

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, id: Any) -> HttpResponse:
        """The document, as a download; its bytes were compared with its digest."""
        row: Attachment = self.row
        response = HttpResponse(attachments.content_of(row), content_type="application/octet-stream")
        response["ETag"] = f'"sha256:{row.sha256}"'
        response["Repr-Digest"] = download.digest_header(row.sha256)
        response["Content-Disposition"] = storage.attachment(row.name)
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        response["Cache-Control"] = "no-store"
        return response
