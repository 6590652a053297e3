"""A graph as JSON. What the caller may not see keeps its place, under a name of no meaning."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.utils.crypto import salted_hmac

from lineage.graph import Arrow
from lineage.labels import RESTRICTED, Label, labels_of
from registry.models import Principal


class Drawing:
    """The names of nodes, for one reader: a label where they may look, else `restricted-<16 hex digits>`.

    The stub of a node is always the same for one reader, so that the pages of a graph, and paths, fit together; it
    is made with a secret, and with another one for every reader.
    """

    def __init__(
        self, nodes: Collection[UUID], principal: Principal, *, known: Mapping[UUID, Label] | None = None
    ) -> None:
        self._salt = f"lineage.stub:{principal.user.pk if principal.user else ''}"
        self._labels = {**labels_of(nodes, principal), **(known or {})}

    def name(self, node: UUID) -> str:
        """The node's id, or its stub."""
        if node in self._labels:
            return str(node)
        digest = salted_hmac(self._salt, str(node), algorithm="sha256").hexdigest()
        return f"{RESTRICTED}-{digest[:16]}"

    def node(self, node: UUID, **more: Any) -> dict[str, Any]:
        """`{"id", "kind", "label", "detail"}`, and what else is said of it."""
        label = self._labels.get(node) or Label(RESTRICTED, RESTRICTED)
        return {
            "id": self.name(node),
            "kind": label.kind,
            "label": label.label,
            "detail": label.detail,
            **more,
        }

    def edge(self, arrow: Arrow) -> dict[str, str]:
        """`{"from", "to", "role", "context"}`."""
        both = arrow.source in self._labels and arrow.target in self._labels
        return {
            "from": self.name(arrow.source),
            "to": self.name(arrow.target),
            "role": arrow.role,
            # A free text, of whoever wrote the edge: for those who see both of its ends.
            "context": arrow.context if both else "",
        }
