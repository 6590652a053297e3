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
    # ---- lifecycle: retention
    # ---- console and admin
}

__all__ = ["RULES", "Anybody", "Holds", "P", "SignedInOnly", "Superuser"]
