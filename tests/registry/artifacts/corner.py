"""A corner of the store for one test or campaign, so that all its keys are known, and garbage without a grace."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from lifecycle.actions.deletion import delete_version
from registry.actions.uploads import create_upload
from registry.artifacts import garbage, storage
from registry.artifacts.garbage import Plan
from registry.artifacts.manifests import Entry
from registry.models import Blob, ModelVersion, Upload
from tests.cast import Cast
from tests.registry.artifacts.sending import blob, sha256, stored


@contextmanager
def own_corner(grace: int = 0) -> Iterator[None]:
    """Every key is below a prefix of its own while the block runs."""
    prefix = f"{settings.S3_KEY_PREFIX}{secrets.token_hex(4)}/"
    with override_settings(S3_KEY_PREFIX=prefix, GARBAGE_GRACE_SECONDS=grace):
        yield


@pytest.fixture
def corner() -> Iterator[None]:
    with own_corner():
        yield


def keys(tier: str = "hot") -> set[str]:
    """The digests of the content objects in the corner."""
    found = storage.bucket(tier).keys(storage.content_prefix())
    return {key.rpartition("/")[2] for key, _ in found}


def live(*casts: Cast) -> set[str]:
    """The digests of the live blobs that their namespaces ever held."""
    namespaces = [cast.namespace for cast in casts]
    rows = Blob.objects.filter(state=Blob.State.LIVE, artifacts__manifest__namespace__in=namespaces)
    return set(rows.values_list("pk", flat=True))


def collect() -> Plan:
    """One run, which nobody else is at."""
    done = garbage.collect_garbage()
    assert done is not None
    return done


def packed(cast: Cast, files: dict[str, bytes], by: str = "ben") -> Upload:
    """An upload whose small files lie in the staging area in packs, without the way there."""
    entries = [Entry(path, len(content), sha256(content)) for path, content in files.items()]
    upload = create_upload(namespace=cast.namespace, files=entries, by=cast.principal(by), packed=True)
    for pack in upload.files.filter(path__startswith="/pack/"):
        inside = pack.packed.order_by("offset").values_list("path", flat=True)
        content = b"".join(files[path] for path in inside)
        storage.hot().put(pack.staging_key, content, sha256(content))
    upload.files.filter(status="wanted").update(status="received")
    return upload


def delete(cast: Cast, version: ModelVersion, by: str = "eve") -> None:
    """Delete a version that came by an upload, which claims its bytes no more."""
    delete_version(version=version, reason="not needed", by=cast.principal(by))
    Upload.objects.filter(manifest__versions=version).update(expires_at=timezone.now())


def kinds(content: bytes) -> tuple[str, bool, bool]:
    """The blob's state, and whether there is a hot and a cold object."""
    return blob(content).state, stored(content) is not None, stored(content, "cold") is not None
