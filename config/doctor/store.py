"""Checks of the object store, by the calls Assay makes: nothing here is more than plain S3."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from config.buckets import client_for
from config.doctor.findings import Check, Wrong, clock_skew
from config.embedded.home import Home
from config.environment import home

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BODY = b"assay doctor\n" * 100
PART = 5 * 1024 * 1024  # the smallest part that is not the last
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_PROXY = "Put a proxy in front of it that refuses such requests, or use another store."


def sha256(body: bytes) -> str:
    """As S3 writes it: base64."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


@dataclass
class Probe:
    """One object of our own in the hot bucket, and the ways to it."""

    client: S3Client
    public: S3Client
    bucket: str
    key: str = field(default_factory=lambda: f"{settings.S3_KEY_PREFIX}.assay-doctor/{uuid.uuid4().hex}")

    @classmethod
    def from_settings(cls) -> Probe:
        login = (settings.S3_ACCESS_KEY_ID, settings.S3_SECRET_ACCESS_KEY, settings.S3_REGION)
        return cls(
            client_for(settings.S3_ENDPOINT_URL, *login),
            client_for(settings.S3_PUBLIC_ENDPOINT_URL, *login),
            settings.S3_BUCKETS["hot"],
        )

    def checks(self) -> Iterator[Check]:
        steps: list[tuple[str, Callable[[], str], bool]] = [
            ("buckets", self.buckets, True),
            ("put", self.put, True),
            ("head", self.head, False),
            ("get", self.get, False),
            ("list", self.list, False),
            ("copy", self.copy, False),
            ("multipart", self.multipart, False),
            ("wrong checksum refused", self.wrong_checksum, False),
            ("presigned put", self.presigned_put, False),
            ("presigned get", self.presigned_get, False),
            ("unauthenticated write refused", self.unauthenticated, False),
            ("forged unsigned trailer refused", self.forged_trailer, False),
            ("side ports refuse writes", self.side_ports, False),
            ("clock", self.clock, False),
        ]
        return (Check("store", name, run, vital) for name, run, vital in steps)

    def clean_up(self) -> None:
        """Delete what the checks wrote; a store that failed them may refuse that too."""
        try:
            found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.key).get("Contents", [])
            for item in found:
                self.client.delete_object(Bucket=self.bucket, Key=item["Key"])
        except (BotoCoreError, ClientError):
            pass
        finally:
            self.client.close()
            self.public.close()

    # ---- plain calls

    def buckets(self) -> str:
        for name in settings.S3_BUCKETS.values():
            try:
                self.client.head_bucket(Bucket=name)
            except ClientError as error:
                raise _refused(f"bucket {name}", error) from error
            except BotoCoreError as error:
                raise Wrong(
                    f"no answer at {settings.S3_ENDPOINT_URL}", "Is it running? Check S3_ENDPOINT_URL."
                ) from error
        return ", ".join(settings.S3_BUCKETS.values())

    def put(self) -> str:
        try:
            self.client.put_object(Bucket=self.bucket, Key=self.key, Body=BODY, ChecksumSHA256=sha256(BODY))
        except ClientError as error:
            raise _refused("a write", error) from error
        return f"{len(BODY)} bytes with their SHA-256"

    def head(self) -> str:
        size = self.client.head_object(Bucket=self.bucket, Key=self.key)["ContentLength"]
        if size != len(BODY):
            raise Wrong(f"{len(BODY)} bytes were written, {size} are said to be there")
        return f"{size} bytes"

    def get(self) -> str:
        self._expect(self.key, BODY)
        part = self.client.get_object(Bucket=self.bucket, Key=self.key, Range="bytes=6-11")["Body"].read()
        if part != BODY[6:12]:
            raise Wrong("a range of bytes came back wrong", "Assay hashes and resumes by ranges.")
        return "whole and by range"

    def list(self) -> str:
        page = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.key)
        if [item["Key"] for item in page.get("Contents", [])] != [self.key]:
            raise Wrong("the object just written is not listed")
        return "finds the object"

    def copy(self) -> str:
        target = f"{self.key}-copy"
        self.client.copy_object(
            Bucket=self.bucket, Key=target, CopySource={"Bucket": self.bucket, "Key": self.key}
        )
        self._expect(target, BODY)
        return "inside the store"

    def multipart(self) -> str:
        key, bodies = f"{self.key}-parts", [b"a" * PART, b"b"]
        upload = self.client.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]
        done = [
            self.client.upload_part(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=body,
                ChecksumSHA256=sha256(body),
            )["ETag"]
            for number, body in enumerate(bodies, 1)
        ]
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(done, 1)]
        self.client.complete_multipart_upload(
            Bucket=self.bucket,
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]  # the shape is right
        )
        self._expect(key, b"".join(bodies))
        return f"{len(parts)} parts"

    # ---- what must be refused

    def wrong_checksum(self) -> str:
        try:
            self.client.put_object(
                Bucket=self.bucket,
                Key=f"{self.key}-wrong",
                Body=BODY,
                ChecksumSHA256=sha256(b"something else"),
            )
        except ClientError as error:
            return f"{_status(error)} {error.response.get('Error', {}).get('Code', '')}"
        raise Wrong(
            "the store took bytes that do not match their SHA-256",
            "Assay still hashes before it publishes, but transfers are not checked: use another store.",
        )

    def unauthenticated(self) -> str:
        for endpoint in dict.fromkeys((settings.S3_ENDPOINT_URL, settings.S3_PUBLIC_ENDPOINT_URL)):
            for method in ("PUT", "DELETE"):
                status = _send(
                    method, f"{endpoint}/{self.bucket}/{self.key}", BODY if method == "PUT" else None
                )
                if status < 400:
                    raise Wrong(
                        f"{endpoint} allowed an unauthenticated {method} ({status})",
                        "Everybody can overwrite models: remove the anonymous rights of the bucket.",
                    )
        self._expect(self.key, BODY)
        return f"{status}"

    def forged_trailer(self) -> str:
        """CVE-2026-40344: some stores do not check the signature of this kind of upload."""
        now = time.gmtime()
        scope = f"{time.strftime('%Y%m%d', now)}/{settings.S3_REGION}/s3/aws4_request"
        credential = f"{settings.S3_ACCESS_KEY_ID}/{scope}"
        headers = {
            "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", now),
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32",
            "x-amz-decoded-content-length": "5",
            "content-encoding": "aws-chunked",
            "authorization": f"AWS4-HMAC-SHA256 Credential={credential}, "
            f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={'0' * 64}",
        }
        body = b"5\r\nwrong\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
        status = _send("PUT", f"{settings.S3_PUBLIC_ENDPOINT_URL}/{self.bucket}/{self.key}", body, headers)
        if status < 400:
            raise Wrong(f"an upload with a forged signature was accepted ({status})", _PROXY)
        self._expect(self.key, BODY)
        return f"{status}"

    def side_ports(self) -> str:
        """The embedded store's own filer, volume and master ports, which by default take anything."""
        ports = Home(home()).known_ports()
        if f"http://127.0.0.1:{ports.get('store:s3')}" != settings.S3_ENDPOINT_URL:
            return "not an embedded store"
        attempts = [
            ("filer", "POST", f"/buckets/{self.bucket}/{self.key}"),
            ("filer", "DELETE", f"/buckets/{self.bucket}/{self.key}"),
            ("volume", "POST", "/1,0123456789"),
            ("master", "POST", "/submit"),
            ("master", "GET", "/col/delete?collection=assay-doctor-none"),
        ]
        for part, method, path in attempts:
            status = _send(
                method, f"http://127.0.0.1:{ports[f'store:{part}']}{path}", b"x" if method == "POST" else None
            )
            # 400 from the master would mean it looked for the collection: only 401, 403 and 404 are refusals.
            if status not in {401, 403, 404}:
                raise Wrong(f"its {part} port answered an unauthenticated {method} with {status}")
        self._expect(self.key, BODY)
        return f"{len(attempts)} attempts refused"

    # ---- through the address that clients use

    def presigned_put(self) -> str:
        where = {"Bucket": self.bucket, "Key": f"{self.key}-presigned", "ChecksumSHA256": sha256(BODY)}
        url = self.public.generate_presigned_url("put_object", Params=where, ExpiresIn=60)
        status = _send("PUT", url, BODY, {"x-amz-checksum-sha256": sha256(BODY)})
        if status != 200:
            raise Wrong(f"answered {status}", _public_hint())
        self._expect(f"{self.key}-presigned", BODY)
        return settings.S3_PUBLIC_ENDPOINT_URL

    def presigned_get(self) -> str:
        where = {"Bucket": self.bucket, "Key": self.key}
        url = self.public.generate_presigned_url("get_object", Params=where, ExpiresIn=60)
        try:
            with _DIRECT.open(url, timeout=10) as answer:
                same = answer.read() == BODY
        except (urllib.error.URLError, OSError) as error:
            raise Wrong(f"failed: {error}", _public_hint()) from error
        if not same:
            raise Wrong("other bytes came back", "Does a proxy rewrite answers?")
        return settings.S3_PUBLIC_ENDPOINT_URL

    def clock(self) -> str:
        before = time.time()
        answer = self.client.head_bucket(Bucket=self.bucket)["ResponseMetadata"]["HTTPHeaders"]
        theirs = email.utils.parsedate_to_datetime(answer["date"]).timestamp() + 0.5  # it is cut to seconds
        return clock_skew((before + time.time()) / 2, theirs)

    def _expect(self, key: str, body: bytes) -> None:
        if self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read() != body:
            raise Wrong("other bytes came back than were written", "Do not use this store.")


def _send(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> int:
    """The status of a plain HTTP request. Raises Wrong when there is no answer."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})  # noqa: S310 - our settings
    try:
        with _DIRECT.open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (urllib.error.URLError, OSError) as error:
        raise Wrong(f"no answer at {url.partition('?')[0]}: {error}", _public_hint()) from error


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _refused(what: str, error: ClientError) -> Wrong:
    if _status(error) == 404:
        return Wrong(f"{what} does not exist", "Run manage.py make_buckets.")
    if _status(error) in {401, 403}:
        return Wrong(
            f"{what}: the store refuses our key ({_status(error)})",
            "Check S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and the clock.",
        )
    return Wrong(f"{what}: {error}")


def _public_hint() -> str:
    return "Check S3_PUBLIC_ENDPOINT_URL: clients transfer through it, and its host is part of the signature."
