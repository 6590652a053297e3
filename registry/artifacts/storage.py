"""The object store: the only code that knows S3. Plain S3 only, so that any store serves."""

from __future__ import annotations

import base64
import functools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from django.conf import settings

from registry.errors import DomainError
from registry.models import Tier

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

MIB = 1024 * 1024
UPLOAD_URL_SECONDS = 15 * 60
DOWNLOAD_URL_SECONDS = 60
MISSING = {"404", "NotFound", "NoSuchKey"}
CHANGED = {"412", "PreconditionFailed"}
REFUSED = {
    "BadDigest", "EntityTooLarge", "EntityTooSmall", "IncompleteBody", "InvalidArgument",
    "InvalidDigest", "InvalidPart", "InvalidPartOrder", "InvalidRange", "InvalidRequest",
    "XAmzContentChecksumMismatch",
}  # fmt: skip


class StoreUnavailable(DomainError):
    """The store does not answer, or not as one that works: says nothing about any object. Try again later."""

    code = "store-unavailable"
    status = 503
    retry_after = 5

    def __init__(self, details: str) -> None:
        super().__init__("The object store does not answer as it should; try again in a while.")
        self.details = details


class ObjectMissing(Exception):
    """The store answers, and has no object under this key."""


class ObjectChanged(Exception):
    """A condition on an object did not hold: it is another one than was read, or exists already."""


class UploadMissing(Exception):
    """There is no such multipart upload: it was completed, aborted, or never was."""


class StoreRefused(Exception):
    """The store will not take this request, however often it is repeated."""


MEANS: dict[type[Exception], set[str]] = {
    ObjectMissing: MISSING, ObjectChanged: CHANGED, UploadMissing: {"NoSuchUpload"}, StoreRefused: REFUSED
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What the store says of an object: its size in bytes and its ETag."""

    size: int
    etag: str


@dataclass(frozen=True)
class Part:
    """One received part of a multipart upload."""

    number: int
    etag: str
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True)
class Pending:
    """A multipart upload that nobody has completed."""

    key: str
    upload_id: str
    initiated: datetime


def staging_key(upload_id: object, index: int) -> str:
    """Where file `index` of an upload is put: chosen by us, never from a client's text."""
    return f"{settings.S3_KEY_PREFIX}staging/{upload_id}/{index}"


def staging_prefix(upload_id: object = None) -> str:
    """The prefix of all staging keys, or of one upload's."""
    return f"{settings.S3_KEY_PREFIX}staging/" + (f"{upload_id}/" if upload_id else "")


def content_key(sha256: str) -> str:
    """Where bytes of this digest lie. Never signed for writing."""
    return f"{settings.S3_KEY_PREFIX}cas/sha256/{sha256[:2]}/{sha256}"


def attachment_key(sha256: str) -> str:
    """Where an attachment of this digest lies, in a bucket of its own. Never signed for anything."""
    return f"{settings.S3_KEY_PREFIX}attachments/sha256/{sha256[:2]}/{sha256}"


def content_prefix() -> str:
    """The prefix of all content keys."""
    return f"{settings.S3_KEY_PREFIX}cas/sha256/"


@functools.lru_cache(maxsize=8)
def _client(endpoint: str, read_timeout: int, attempts: int, process: int) -> S3Client:
    """A client for one process: a fork must not share its parent's connections."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=settings.S3_ACCESS_KEY_ID,
        aws_secret_access_key=settings.S3_SECRET_ACCESS_KEY,
        region_name=settings.S3_REGION,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            # boto3's own checksum trailers are refused by many stores: ask for SHA-256 where it is wanted.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=2,
            read_timeout=read_timeout,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            max_pool_connections=32,
        ),
    )


def parts_are_checked() -> bool:
    """Whether parts are sent with their SHA-256, for the store to check."""
    return bool(settings.S3_PART_CHECKSUMS)


def _quick() -> S3Client:
    return _client(settings.S3_ENDPOINT_URL, settings.S3_READ_TIMEOUT_SECONDS, 3, os.getpid())


def _patient() -> S3Client:
    """For what the store works on before it answers: copies and joins."""
    return _client(settings.S3_ENDPOINT_URL, settings.S3_COPY_TIMEOUT_SECONDS, 3, os.getpid())


def _public() -> S3Client:
    """Signs addresses for clients; never sends anything itself."""
    return _client(settings.S3_PUBLIC_ENDPOINT_URL, settings.S3_READ_TIMEOUT_SECONDS, 1, os.getpid())


@contextmanager
def told(*known: type[Exception]) -> Iterator[None]:
    """Turn the store's errors into those of `MEANS` that the caller is ready for; all else is StoreUnavailable."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = f"{code}: {error.response.get('Error', {}).get('Message', '')}"
        for kind in known:
            if code in MEANS[kind]:
                raise kind(message) from error
        raise StoreUnavailable(f"the object store answered {message}") from error
    except (BotoCoreError, ResponseParserError, ValueError) as error:
        raise StoreUnavailable(f"the object store does not answer as it should: {error}") from error


def base64_of(sha256: str) -> str:
    """A hexadecimal digest as S3 headers carry it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


@dataclass(frozen=True)
class Bucket:
    """One bucket. Raises StoreUnavailable from every method, and what else each names."""

    name: str

    def head(self, key: str) -> Found | None:
        """What lies under the key; None for nothing."""
        try:
            with told(ObjectMissing):
                answer = _quick().head_object(Bucket=self.name, Key=key)
        except ObjectMissing:
            return None
        return Found(answer["ContentLength"], answer["ETag"])

    def found(self, key: str) -> Found:
        """What lies under the key. Raises ObjectMissing."""
        found = self.head(key)
        if found is None:
            # A HEAD cannot tell a missing object from a missing bucket; a GET can, and raises what it is.
            self.get(key, start=0, end=0)[0].close()
            raise ObjectMissing(key)
        return found

    def get(
        self, key: str, *, start: int | None = None, end: int | None = None, if_match: str = ""
    ) -> tuple[StreamingBody, Found]:
        """The body, or the bytes from `start` to `end`, inclusive. Raises ObjectMissing, ObjectChanged."""
        more: dict[str, Any] = {}
        if start is not None:
            more["Range"] = f"bytes={start}-{'' if end is None else end}"
        if if_match:
            more["IfMatch"] = if_match
        with told(ObjectMissing, ObjectChanged):
            answer = _quick().get_object(Bucket=self.name, Key=key, **more)
        return answer["Body"], Found(answer["ContentLength"], answer["ETag"])

    def put(self, key: str, body: bytes, sha256: str, *, only_new: bool = False) -> None:
        """Write a small object, whose digest the store checks. Raises ObjectChanged when `only_new` and there."""
        more: dict[str, Any] = {"IfNoneMatch": "*"} if only_new else {}
        with told(ObjectChanged):
            _quick().put_object(
                Bucket=self.name, Key=key, Body=body, ChecksumSHA256=base64_of(sha256), **more
            )

    def delete(self, key: str) -> None:
        """Remove an object; nothing there is fine."""
        with told():
            _quick().delete_object(Bucket=self.name, Key=key)

    def keys(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Every key below the prefix, and when it was written."""
        for page in self.pages(prefix):
            yield from ((key, written) for key, _, written in page)

    def pages(self, prefix: str) -> Iterator[list[tuple[str, int, datetime]]]:
        """Key, size in bytes and time of writing of every object below the prefix, as many as the store lists."""
        with told():
            pages = _quick().get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                found = page.get("Contents", [])
                yield [(item["Key"], item["Size"], item["LastModified"]) for item in found]

    # ---- multipart uploads

    def begin(self, key: str, *, checked: bool) -> str:
        """Begin a multipart upload; its id. `checked`: each part comes with its SHA-256."""
        more: dict[str, Any] = {"ChecksumAlgorithm": "SHA256"} if checked else {}
        with told():
            return _quick().create_multipart_upload(Bucket=self.name, Key=key, **more)["UploadId"]

    def sign_part(
        self, key: str, upload_id: str, number: int, size: int, sha256: str
    ) -> tuple[str, dict[str, str]]:
        """An address to PUT one part to, and the headers that must be sent. Length and digest are signed."""
        params: dict[str, Any] = {
            "Bucket": self.name,
            "Key": key,
            "UploadId": upload_id,
            "PartNumber": number,
            "ContentLength": size,
        }
        headers: dict[str, str] = {}
        if settings.S3_PART_CHECKSUMS:
            headers["x-amz-checksum-sha256"] = params["ChecksumSHA256"] = base64_of(sha256)
        url = _public().generate_presigned_url(
            "upload_part", Params=params, ExpiresIn=UPLOAD_URL_SECONDS, HttpMethod="PUT"
        )
        return url, headers

    def put_part(self, key: str, upload_id: str, number: int, body: bytes, sha256: str) -> Part:
        """Send one part ourselves."""
        more: dict[str, Any] = {"ChecksumSHA256": base64_of(sha256)} if settings.S3_PART_CHECKSUMS else {}
        with told():
            answer = _quick().upload_part(
                Bucket=self.name, Key=key, UploadId=upload_id, PartNumber=number, Body=body, **more
            )
        return Part(number, answer["ETag"], sha256, len(body))

    def parts(self, key: str, upload_id: str) -> list[Part]:
        """What has arrived. Raises UploadMissing."""
        with told(UploadMissing, ObjectMissing):
            listing = _quick().get_paginator("list_parts")
            pages = listing.paginate(Bucket=self.name, Key=key, UploadId=upload_id)
            return [
                Part(item["PartNumber"], item["ETag"], "", item["Size"])
                for page in pages
                for item in page.get("Parts", [])
            ]

    def join(self, key: str, upload_id: str, parts: Iterable[Part], *, only_new: bool = False) -> None:
        """Complete a multipart upload. Raises ObjectMissing, ObjectChanged, UploadMissing, StoreRefused."""
        listed: list[Any] = [
            {
                "PartNumber": part.number,
                "ETag": part.etag,
                **({"ChecksumSHA256": base64_of(part.sha256)} if part.sha256 else {}),
            }
            for part in parts
        ]
        more: dict[str, Any] = {"IfNoneMatch": "*"} if only_new else {}
        with told(ObjectMissing, ObjectChanged, UploadMissing, StoreRefused):
            _patient().complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}, **more
            )

    def abort(self, key: str, upload_id: str) -> None:
        """Give a multipart upload up; one that is gone is fine."""
        gone = (UploadMissing, ObjectMissing)
        with suppress(*gone), told(*gone):
            _quick().abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)

    def pending(self, prefix: str) -> Iterator[Pending]:
        """The multipart uploads below a prefix that nobody has completed."""
        with told():
            pages = _quick().get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                for item in page.get("Uploads", []):
                    yield Pending(item["Key"], item["UploadId"], item["Initiated"])

    # ---- copies inside the store

    def copy_whole(self, key: str, source: tuple[Bucket, str], *, if_match: str, overwrite: bool) -> None:
        """Copy an object of at most 5 GiB. Raises ObjectMissing, ObjectChanged (source, or there already)."""
        more: dict[str, Any] = {} if overwrite else {"IfNoneMatch": "*"}
        with told(ObjectMissing, ObjectChanged):
            _patient().copy_object(
                Bucket=self.name,
                Key=key,
                CopySource={"Bucket": source[0].name, "Key": source[1]},
                CopySourceIfMatch=if_match,
                **more,
            )

    def copy_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        source: tuple[Bucket, str],
        *,
        window: tuple[int, int],
        if_match: str,
    ) -> Part:
        """Copy the bytes of `window` (first, last) as one part. Raises ObjectMissing, ObjectChanged."""
        with told(ObjectMissing, ObjectChanged):
            answer = _patient().upload_part_copy(
                Bucket=self.name,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                CopySource={"Bucket": source[0].name, "Key": source[1]},
                CopySourceRange=f"bytes={window[0]}-{window[1]}",
                CopySourceIfMatch=if_match,
            )
        return Part(number, answer["CopyPartResult"].get("ETag", ""), "", window[1] - window[0] + 1)

    # ---- the way out

    def sign_get(self, key: str, filename: str) -> str:
        """An address to GET an object from, as an attachment of no particular type."""
        return _public().generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.name,
                "Key": key,
                "ResponseContentDisposition": attachment(filename),
                "ResponseContentType": "application/octet-stream",
            },
            ExpiresIn=DOWNLOAD_URL_SECONDS,
        )


def attachment(filename: str) -> str:
    """A Content-Disposition that makes browsers save, never show."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def bucket(tier: str) -> Bucket:
    """The bucket of a tier."""
    return Bucket(settings.S3_BUCKETS[Tier(tier).value])


def hot() -> Bucket:
    """Where uploads arrive and published bytes are served from."""
    return bucket(Tier.HOT)


def attachments() -> Bucket:
    """Where the documents kept with versions lie."""
    return Bucket(settings.S3_BUCKETS["attachments"])
