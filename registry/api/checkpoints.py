"""The newest checkpoint of the journal, and that it goes on from an older one."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.shows import time_json
from registry.errors import InvalidInput, NotVisible
from registry.http.endpoint import Endpoint
from registry.journal.checkpoints import fetch, head, trusted_keys
from registry.journal.tree import Tree
from registry.models import Checkpoint


def checkpoint_json(row: Checkpoint) -> dict[str, Any]:
    """What was signed, and what it says."""
    return {
        "number": row.pk,
        "first": row.first,
        "size": row.size,
        "root": row.root,
        "previous": row.previous,
        "at": time_json(row.at),
        "note": row.note,
        "keys": [str(key) for key in trusted_keys()],
    }


class NewestCheckpoint(Endpoint):
    """What the server signed last over all that ever happened."""

    @extend_schema(
        operation_id="newest_checkpoint",
        parameters=[OpenApiParameter("since", int, description="the size of an older one that you kept")],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Keep `note` where the server's administrators cannot change it. With `since`, `consistency` are the hashes
        (hex, RFC 6962 section 2.1.2) that show that the journal begins with what the older one was signed over."""
        newest = head()
        if newest is None:
            raise NotVisible(
                "The journal has no checkpoint yet: one is signed every minute in which something happens."
            )
        since = request.query_params.get("since")
        if since is None:
            return Response(checkpoint_json(newest))
        if not (since.isascii() and since.isdigit() and len(since) < 19 and 0 < int(since) <= newest.size):
            raise InvalidInput(
                f"since is the size of an older checkpoint: from 1 to {newest.size}.", field="since"
            )
        hashes = Tree(newest.size, fetch).consistency(int(since))
        return Response({**checkpoint_json(newest), "consistency": [each.hex() for each in hashes]})
