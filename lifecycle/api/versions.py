"""One version, which can be deleted: whether it may be is the lifecycle's to say."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle import deletion
from lifecycle.actions.deletion import delete_version
from lifecycle.api import holds
from lifecycle.api.deployments import running_of
from lifecycle.api.quarantine import standing_json
from lifecycle.api.revalidations import review_of_version
from registry.api import versions
from registry.api.shows import VERSION_ROWS, version_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.models import ModelVersion


class DeletionBody(Body):
    reason = serializers.CharField(max_length=4000)


def version_told(version: ModelVersion) -> dict[str, Any]:
    """The version as JSON, with the quarantine and the holds that it stands under, where it is said to run, and,
    of what is in production, when it has to be validated again."""
    return {
        **version_json(version),
        "quarantine": standing_json(version),
        "holds": holds.standing_json(version),
        "running": running_of(version),
        "review": review_of_version(version),
    }


class Resolve(versions.Resolve):
    """The version that a reference names, and whether it is doubted."""

    def told(self, version: ModelVersion) -> dict[str, Any]:
        return version_told(version)


class OneVersion(versions.OneVersion):
    """One version of a model."""

    def told(self, version: ModelVersion) -> dict[str, Any]:
        return version_told(version)

    @extend_schema(operation_id="delete_version", request=DeletionBody, responses=dict)
    def delete(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Delete it: `{"reason": "..."}`. What it was stays to be read; its bytes go after a grace, where nothing
        else needs them. Deleting it again changes nothing."""
        reason = self.read(DeletionBody, request)["reason"]
        version = delete_version(version=self.version(name, number), reason=reason, by=self.principal)
        return Response(self.told(VERSION_ROWS.get(pk=version.pk)))


class VersionDeletion(Endpoint):
    """What deleting the version would do."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """What stands against it, and the stored bytes that nobody would need any more."""
        version = self.version(name, number)
        freed = deletion.freed_by(version)
        return Response(
            {
                "reference": version.reference,
                "deleted": version.deleted_at is not None,
                "reasons": deletion.referrers(version, self.principal),
                "frees": {"blobs": freed.blobs, "bytes": freed.bytes},
                "grace_seconds": settings.GARBAGE_GRACE_SECONDS,
            }
        )
