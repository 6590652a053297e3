"""The three buckets, made and proven writable, on any S3."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROBE = ".assay-probe"


def client_for(endpoint: str, key: str, secret: str, region: str) -> S3Client:
    """A client that speaks plain S3: path addresses, and no checksum trailers, which other stores refuse."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name=region,
        config=Config(
            # No proxy stands between us and this machine.
            proxies={} if urlsplit(endpoint).hostname in {"127.0.0.1", "localhost"} else None,
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"max_attempts": 0},
            connect_timeout=2,
            read_timeout=30,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def make_buckets(client: S3Client, names: Iterable[str], patience: float = 60.0) -> list[str]:
    """Create the missing buckets, write to each, and say which were created. Waits `patience` s at most.

    A store that was just started, or killed, answers before its first write can succeed.
    """
    deadline = time.monotonic() + patience
    created = []
    for name in names:
        if _until(deadline, lambda name=name: _make(client, name)):  # type: ignore[misc]  # bound now, called now
            created.append(name)
        _until(deadline, lambda name=name: _write(client, name))  # type: ignore[misc]
    return created


def _make(client: S3Client, name: str) -> bool:
    if name in {bucket.get("Name") for bucket in client.list_buckets()["Buckets"]}:
        return False
    try:
        client.create_bucket(Bucket=name)
    except client.exceptions.BucketAlreadyOwnedByYou:
        return False
    return True


def _write(client: S3Client, name: str) -> bool:
    client.put_object(Bucket=name, Key=PROBE, Body=b"")
    client.delete_object(Bucket=name, Key=PROBE)
    return True


def _until(deadline: float, attempt: Callable[[], bool]) -> bool:
    while True:
        try:
            return attempt()
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
