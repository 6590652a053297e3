"""The registry's pages in the admin. Those that show what the lifecycle knows (models, versions) are there."""

from registry.admin import (
    checkpoints,
    deliveries,
    grants,
    journal,
    keys,
    namespaces,
    people,
    redactions,
    webhooks,
)

__all__ = [
    "checkpoints",
    "deliveries",
    "grants",
    "journal",
    "keys",
    "namespaces",
    "people",
    "redactions",
    "webhooks",
]
