"""Uploads: announce files, get addresses for their parts, say what was sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions import uploads as actions
from registry.api.shows import time_json
from registry.artifacts.manifests import Entry
from registry.artifacts.packs import is_pack
from registry.artifacts.storage import Part
from registry.artifacts.uploads import WantedPart, held_sizes, received_parts
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.models import Upload, UploadFile

MOST_PARTS = 500
SHA256 = r"^[0-9a-f]{64}$"


class FileBody(serializers.Serializer[Any]):
    # Untrimmed and unchecked here: the rules for paths are in one place, which also words the refusal.
    path = serializers.CharField(max_length=4096, trim_whitespace=False)
    size = serializers.IntegerField(min_value=0)
    sha256 = serializers.RegexField(
        SHA256,
        default="",
        help_text="a file of more than 64 MiB may be announced without; say it when it is complete",
    )


class UploadBody(serializers.Serializer[Any]):
    files = serializers.ListField(child=FileBody(), min_length=1, max_length=actions.MOST_FILES)
    packed = serializers.BooleanField(default=False, help_text="small files are sent in packs")
    resume = serializers.BooleanField(
        default=False, help_text="go on with the upload in which you announced the same before"
    )


class PartBody(serializers.Serializer[Any]):
    number = serializers.IntegerField(min_value=1, max_value=10_000)
    size = serializers.IntegerField(min_value=1)
    sha256 = serializers.RegexField(SHA256)


class FilePartsBody(serializers.Serializer[Any]):
    index = serializers.IntegerField(min_value=0)
    parts = PartBody(many=True, allow_empty=False)


class PartsBody(serializers.Serializer[Any]):
    files = FilePartsBody(many=True, allow_empty=False)


class SentPartBody(serializers.Serializer[Any]):
    number = serializers.IntegerField(min_value=1, max_value=10_000)
    etag = serializers.CharField(max_length=200)
    sha256 = serializers.RegexField(SHA256, required=False)


class CompleteFileBody(serializers.Serializer[Any]):
    index = serializers.IntegerField(min_value=0)
    parts = SentPartBody(many=True, allow_empty=True)
    sha256 = serializers.RegexField(SHA256, default="", help_text="of a file announced without")


class CompleteBody(serializers.Serializer[Any]):
    files = serializers.ListField(child=CompleteFileBody(), min_length=1, max_length=1000)


def upload_json(
    upload: Upload, files: Iterable[UploadFile], arrived: dict[int, list[int]] | None = None
) -> dict[str, Any]:
    """An upload with these of its files; `arrived` are the numbers of received parts by index.

    A file that travels in a pack says in which, by its index, and where in it.
    """
    arrived = arrived or {}
    rows = list(files)
    packs = {file.pk: file for file in rows if is_pack(file)}
    return {
        "id": str(upload.pk),
        "state": upload.state,
        "part_size": upload.part_size,
        "expires_at": time_json(upload.expires_at),
        "files": [
            {
                "index": file.index,
                "path": file.path,
                "size": file.size,
                "sha256": file.sha256,
                "status": file.status,
                "parts": arrived.get(file.index, []),
                **({"digests": file.part_digests} if not file.sha256 and file.index in arrived else {}),
                **(
                    {"pack": packs[file.pack_id].index, "offset": file.offset}
                    if file.pack_id in packs
                    else {}
                ),
            }
            for file in rows
            if file.pk not in packs
        ],
        "packs": [
            {
                "index": file.index,
                "size": file.size,
                "status": file.status,
                "parts": arrived.get(file.index, []),
            }
            for file in packs.values()
        ],
    }


class NamespaceUploads(Endpoint):
    """Begin an upload."""

    @extend_schema(request=UploadBody, responses={200: OpenApiTypes.OBJECT, 201: OpenApiTypes.OBJECT})
    def post(self, request: Request, namespace: str) -> Response:
        """Announce files; those that need not be sent are `present`. 200: an upload begun before goes on.

        `same_size` are the indexes of files announced without a digest that may be here already: announce them
        again with it, before they are sent for nothing.
        """
        body = self.read(UploadBody, request)
        begun = actions.begin_upload(
            namespace=self.namespace,
            files=[Entry(**entry) for entry in body["files"]],
            packed=body["packed"],
            resume=body["resume"],
            by=self.principal,
        )
        upload = begun.upload
        arrived = received_parts(upload) if begun.resumed else {}
        shown = {**upload_json(upload, upload.files.all(), arrived), "same_size": held_sizes(upload)}
        return Response(shown, status=200 if begun.resumed else 201)


class UploadEndpoint(Endpoint):
    """One upload. Calls that move bytes may be repeated as they are, without an Idempotency-Key."""

    noun = (Upload.objects.select_related("namespace"), "upload")
    repeatable = True
    row: Upload


class OneUpload(UploadEndpoint):
    """An upload."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: str) -> Response:
        """What has arrived and what is still wanted."""
        return Response(upload_json(self.row, self.row.files.all(), received_parts(self.row)))


class UploadParts(UploadEndpoint):
    """Addresses for parts."""

    @extend_schema(request=PartsBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, id: str) -> Response:
        """Addresses to PUT parts to, good for 15 minutes; send exactly the headers given."""
        body = self.read(PartsBody, request)["files"]
        wishes = _by_index(body, lambda part: WantedPart(**part))
        if sum(len(parts) for parts in wishes.values()) > MOST_PARTS:
            raise InvalidInput(f"Ask for at most {MOST_PARTS} parts a call.", field="files")
        signed = actions.sign_parts(upload=self.row, wishes=wishes, by=self.principal)
        return Response(
            {
                "urls": [
                    {"index": s.index, "number": s.number, "url": s.url, "headers": s.headers} for s in signed
                ]
            }
        )


class UploadComplete(UploadEndpoint):
    """Files whose parts were all sent."""

    @extend_schema(request=CompleteBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, id: str) -> Response:
        """Join the parts of files. The answer shows the files of this call only."""
        body = self.read(CompleteBody, request)["files"]
        given = _by_index(body, lambda part: Part(part["number"], part["etag"], part.get("sha256", "")))
        digests = {file["index"]: file["sha256"] for file in body}
        files = actions.complete_files(upload=self.row, given=given, digests=digests, by=self.principal)
        return Response(upload_json(self.row, files))


class UploadContent(UploadEndpoint):
    """The bytes of one file, for clients that cannot reach the store."""

    @extend_schema(request={"application/octet-stream": OpenApiTypes.BINARY}, responses=OpenApiTypes.OBJECT)
    def put(self, request: Request, id: str, index: int) -> Response:
        """Take the body as the file's content."""
        # The HTTP request itself: nothing here parses or buffers the body.
        plain = request._request  # noqa: SLF001
        length = plain.META.get("CONTENT_LENGTH") or ""
        file = actions.receive_content(
            upload=self.row,
            index=index,
            body=plain,
            length=int(length) if length.isascii() and length.isdigit() else None,
            by=self.principal,
        )
        return Response(upload_json(self.row, [file]))


class UploadAbort(UploadEndpoint):
    """Giving an upload up."""

    repeatable = False

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, id: str) -> Response:
        """Remove what was sent."""
        upload = actions.abort_upload(upload=self.row, by=self.principal)
        return Response(upload_json(upload, upload.files.all()))


def _by_index(files: list[dict[str, Any]], make: Any) -> dict[int, list[Any]]:
    """index -> parts. Raises InvalidInput when a file or a part of it is named twice."""
    found: dict[int, list[Any]] = {}
    for file in files:
        if file["index"] in found:
            raise InvalidInput(f"File {file['index']} is named twice.", field="files")
        parts = [make(part) for part in file["parts"]]
        if len({part.number for part in parts}) != len(parts):
            raise InvalidInput(f"A part of file {file['index']} is named twice.", field="files")
        found[file["index"]] = parts
    return found
