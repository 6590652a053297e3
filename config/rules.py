"""Who may call what: every route and method, the admin's pages included.

A route that is missing here is refused at run time, and a walk of the URLconf fails in the tests. Keys are
(route name, HTTP method); HEAD follows GET.
"""

from __future__ import annotations

from registry.http.access import Anybody, Holds, Rule, SignedInOnly, Superuser
from registry.roles import Permission as P

RULES: dict[tuple[str, str], Rule] = {
    # ---- registry: people, namespaces, models
    # ---- registry: uploads and artifacts
    # ---- registry: webhooks, search, compare, journal
    # ---- lineage: versions, runs, graph
    # ---- lifecycle: promotions, policies, checks
    ("version-promotions", "GET"): Holds(P.NAMESPACE_READ),
    ("version-promotions", "POST"): Holds(P.PROMOTION_REQUEST),
    ("version-checks", "GET"): Holds(P.NAMESPACE_READ),
    ("version-checks", "POST"): Holds(P.CHECK_REPORT),
    ("version-demote", "POST"): Holds(P.PROMOTION_REQUEST),
    ("version-suspend", "POST"): Holds(P.VERSION_SUSPEND),
    ("version-deprecate", "POST"): Holds(P.VERSION_DEPRECATE),
    ("version-reinstate", "POST"): Holds(P.VERSION_DEPRECATE),
    ("version-archive", "POST"): Holds(P.VERSION_DEPRECATE),
    ("model-production", "GET"): Holds(P.NAMESPACE_READ),
    ("model-rollback", "POST"): Holds(P.VERSION_ROLL_BACK),
    ("promotions", "GET"): SignedInOnly("lists only what the caller may see"),
    ("promotion", "GET"): Holds(P.NAMESPACE_READ),
    ("promotion-approve", "POST"): Holds(P.PROMOTION_DECIDE, or_designated=True),
    ("promotion-reject", "POST"): Holds(P.PROMOTION_DECIDE, or_designated=True),
    ("promotion-withdraw", "POST"): Holds(P.PROMOTION_REQUEST),
    ("policies", "GET"): Holds(P.NAMESPACE_READ),
    ("policies", "POST"): Holds(P.POLICY_EDIT),
    # ---- lifecycle: retention
    # ---- console and admin
}

__all__ = ["RULES", "Anybody", "Holds", "P", "SignedInOnly", "Superuser"]
