"""The lifecycle's pages in the admin, the approvals desk among them."""

from lifecycle.admin import (
    catalog,
    deployments,
    desk,
    freezes,
    glass,
    holds,
    incidents,
    policies,
    promotions,
    quarantine,
    retention,
    versions,
    waivers,
)

__all__ = [
    "catalog",
    "deployments",
    "desk",
    "freezes",
    "glass",
    "holds",
    "incidents",
    "policies",
    "promotions",
    "quarantine",
    "retention",
    "versions",
    "waivers",
]
