"""The files of a version: what they are, the bytes, and having them read again."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions import versions as actions
from registry.api.shows import scan_json, time_json
from registry.artifacts import download, scan, storage
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.models import Artifact, ModelVersion

MOST_ADDRESSES = 500


class VersionArtifacts(Endpoint):
    """The manifest of a version."""

    @extend_schema(
        parameters=[
            OpenApiParameter("with", str, enum=["url"]),
            OpenApiParameter("from", str, description="with=url: the path to begin at"),
            OpenApiParameter("limit", int, description=f"with=url: 1 to {MOST_ADDRESSES} files"),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Every file with its size and digest, and the two digests over all of them.

        With `with=url` some of them, in the order of the bytes of their paths, each with an address that is
        good for a minute.
        """
        version = self.version(name, number)
        way = request.query_params.get("with")
        if way == "url":
            return Response({"files": _addresses(version, request)}, headers={"Cache-Control": "no-store"})
        if way is not None:
            raise InvalidInput("with is url.", field="with")
        manifest = download.check_published(version)
        files = Artifact.objects.filter(manifest=manifest).values_list("path", "blob__size", "blob_id")
        ordered = sorted(files, key=lambda file: file[0].encode())
        return Response(
            {
                "digest": f"sha256:{manifest.digest}",
                "oms_digest": f"sha256:{manifest.oms_digest}",
                "files": [{"path": path, "size": size, "sha256": sha256} for path, size, sha256 in ordered],
                "size": manifest.size,
            }
        )


def _addresses(version: ModelVersion, request: Request) -> list[dict[str, Any]]:
    """Raises InvalidInput, and what `download.artifacts_from` raises."""
    limit = request.query_params.get("limit", str(MOST_ADDRESSES))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST_ADDRESSES):
        raise InvalidInput(f"limit is 1 to {MOST_ADDRESSES}.", field="limit")
    found = download.artifacts_from(version, request.query_params.get("from", ""), int(limit))
    return [
        {
            "path": artifact.path,
            "url": download.signed_url(artifact),
            "size": artifact.blob.size,
            "sha256": artifact.blob_id,
        }
        for artifact in found
    ]


class VersionManifest(Endpoint):
    """The manifest of a version, as it was hashed."""

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.BINARY})
    def get(self, request: Request, namespace: str, name: str, number: int) -> HttpResponse:
        """A file whose sha256 is the version's digest. `OMS-Digest` is the digest for OpenSSF's tools."""
        version = self.version(name, number)
        response = HttpResponse(download.manifest_text(version), content_type="application/json")
        manifest = version.manifest
        response["ETag"] = f'"sha256:{manifest.digest}"'
        response["Repr-Digest"] = download.digest_header(manifest.digest or "")
        response["OMS-Digest"] = f"sha256:{manifest.oms_digest}"
        response["Content-Disposition"] = storage.attachment(f"{name}-{number}.manifest.json")
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return response


class VersionArtifact(Endpoint):
    """One file of a version."""

    @extend_schema(
        parameters=[OpenApiParameter("as", str, enum=["redirect", "url", "stream"])],
        responses={302: None, 200: OpenApiTypes.BINARY},
    )
    def get(self, request: Request, namespace: str, name: str, number: int, path: str) -> Any:
        """A redirect to the store, good for a minute; `as=url` gives the address, `as=stream` the bytes."""
        way = request.query_params.get("as", "redirect")
        if way not in ("redirect", "url", "stream"):
            raise InvalidInput("as is redirect, url or stream.", field="as")
        artifact = download.artifact_of(self.version(name, number), path)
        response: HttpResponseBase
        if way == "url":
            response = Response(
                {
                    "url": download.signed_url(artifact),
                    "size": artifact.blob.size,
                    "sha256": artifact.blob_id,
                }
            )
        elif way == "redirect":
            response = HttpResponseRedirect(download.signed_url(artifact))
        else:
            response = _stream(artifact, request.headers.get("Range", ""))
        response["Cache-Control"] = "no-store"
        return response


def _stream(artifact: Artifact, asked: str) -> StreamingHttpResponse:
    blob = artifact.blob
    part = download.slice_of(blob, asked)
    response = StreamingHttpResponse(
        download.opened(blob, part),
        status=206 if part.partial else 200,
        content_type="application/octet-stream",
    )
    response["Content-Length"] = str(part.length)
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = f'"sha256:{blob.sha256}"'
    response["Repr-Digest"] = download.digest_header(blob.sha256)
    response["Content-Disposition"] = download.disposition(artifact)
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    if part.partial:
        response["Content-Range"] = f"bytes {part.first}-{part.last}/{part.size}"
    return response


class VersionVerify(Endpoint):
    """Having the bytes of a version read again."""

    @extend_schema(request=None, responses={202: OpenApiTypes.OBJECT})
    def post(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Ask for it; `verified_at` and `quarantined` of the version tell what was found."""
        version = actions.request_verification(version=self.version(name, number), by=self.principal)
        asked = time_json(version.verify_requested_at)
        return Response({"reference": version.reference, "verify_requested_at": asked}, status=202)


class VersionScan(Endpoint):
    """What is inside the files of a version."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Each file's format, told from its bytes, the verdict on it, and every finding with its place."""
        version = self.version(name, number)
        download.check_published(version)
        return Response(scan_json(version, scan.reports_of(version)))
