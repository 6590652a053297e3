"""What holds of the artifact store whatever happened to it: nothing lost, nothing doubled, nothing dangling."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import timedelta
from unittest import mock

from django.conf import settings

from registry.artifacts import download, reap, storage
from registry.models import Artifact, Blob, Event, ModelVersion, Namespace

ONCE = ("version.ready", "version.failed", "version.deleted")


def downloaded(version: ModelVersion, path: str) -> bytes:
    """A file as the web process streams it. Raises what the product raises."""
    blob = download.artifact_of(version, path).blob
    return b"".join(download.opened(blob, download.slice_of(blob, "")))


def wrong_with(version: ModelVersion) -> list[str]:
    """What is wrong with one version, in words; `version` as the database has it now."""
    artifacts = list(Artifact.objects.filter(manifest=version.manifest_id).select_related("blob"))
    found = [f"{name} was told {n} times" for name, n in _told(version).items() if n > 1]
    if version.status not in (ModelVersion.Status.READY, ModelVersion.Status.DELETED):
        return found + [f"{a.path} is in a manifest that is not sealed" for a in artifacts]
    if version.manifest.state != "sealed" or len(artifacts) != version.manifest.files:
        found.append("its manifest is half made")
    if not _told(version)["version.ready"]:
        found.append("version.ready was not told")
    if version.status == ModelVersion.Status.DELETED:
        return found
    quarantined = any(a.blob.quarantined_at for a in artifacts)
    for artifact in artifacts:
        try:
            content = downloaded(version, artifact.path)
        except download.VersionQuarantined as refusal:
            if not quarantined:
                found.append(f"{artifact.path}: {refusal.sentence}")
        except (storage.StoreRefused, storage.ObjectMissing) as error:
            found.append(f"{artifact.path} cannot be downloaded: {error}")
        else:
            if quarantined:
                found.append(f"{artifact.path} is handed out in quarantine")
            elif hashlib.sha256(content).hexdigest() != artifact.blob_id:
                found.append(f"{artifact.path} is served with other bytes")
    return found


def wrong_in(namespace: Namespace) -> list[str]:
    """What is wrong with any version of a namespace."""
    versions = ModelVersion.objects.filter(model__namespace=namespace).select_related(
        "model__namespace", "manifest"
    )
    return [f"{version.reference}: {said}" for version in versions for said in wrong_with(version)]


def reap_now() -> None:
    """Remove what nobody owns, as though it had lain about for days."""
    with mock.patch.object(reap, "STRAY_AFTER", timedelta(days=-1)):
        reap.reap_strays()


def dangling() -> list[str]:
    """Content objects that no row knows, and parts that nobody will complete, in this corner of the buckets.

    What reaping removes is removed first, as though its time had come.
    """
    reap_now()
    bucket, prefix = storage.hot(), f"{settings.S3_KEY_PREFIX}cas/"
    keys = {key for key, _ in bucket.keys(prefix)}
    rows = Blob.objects.exclude(state=Blob.State.GONE).filter(pk__in=[key.rpartition("/")[2] for key in keys])
    known = {storage.content_key(sha256) for sha256 in rows.values_list("pk", flat=True)}
    parts = [pending.key for pending in bucket.pending(settings.S3_KEY_PREFIX)]
    return [f"{key} has no row" for key in sorted(keys - known)] + [
        f"{key}: parts lie about" for key in parts
    ]


def _told(version: ModelVersion) -> Counter[str]:
    rows = Event.objects.filter(namespace=version.model.namespace, subject_id=str(version.pk), type__in=ONCE)
    return Counter(rows.values_list("type", flat=True))
