"""The lifecycle's pages in the admin, the approvals desk among them."""

from lifecycle.admin import (
    catalog,
    desk,
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
    "desk",
    "incidents",
    "policies",
    "promotions",
    "quarantine",
    "retention",
    "versions",
    "waivers",
]
