"""How the admin looks and is laid out; its colours are in console/static/console/admin.css."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": False, "collapsible": False, "items": list(items)}


def _item(title: str, icon: str, name: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}"), **more}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Assay",
    "SITE_HEADER": "Assay",
    "SITE_SUBHEADER": "Model registry",
    "SITE_SYMBOL": "verified",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("console/mark.svg")}
    ],
    "THEME": "light",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda _request: static("console/admin.css"), lambda _request: static("console/facts.css")],
    "SCRIPTS": [lambda _request: static("console/admin.js")],
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            _group(
                "Desk",
                _item("Approvals", "inbox", "desk", badge="lifecycle.admin.desk.waiting_badge"),
                _item("Promotions", "moving", "lifecycle_promotion_changelist"),
                _item("Broken glass", "emergency_heat", "lifecycle_breakglass_changelist"),
            ),
            _group(
                "Catalog",
                _item("Models", "deployed_code", "registry_registeredmodel_changelist"),
                _item("Versions", "layers", "registry_modelversion_changelist"),
                _item("Evaluations", "monitoring", "registry_evaluation_changelist"),
            ),
            _group(
                "Lineage",
                _item("Runs", "play_circle", "lineage_run_changelist"),
                _item("Datasets", "database", "lineage_dataset_changelist"),
            ),
            _group(
                "Governance",
                _item("Journal", "history_edu", "registry_event_changelist"),
                _item("Checkpoints", "flag", "registry_checkpoint_changelist"),
                _item("Incidents", "emergency_home", "lifecycle_incident_changelist"),
                _item("Quarantine", "coronavirus", "lifecycle_quarantine_changelist"),
                _item("Waivers", "rule", "lifecycle_waiver_changelist"),
                _item("Deployments", "lan", "lifecycle_deployment_changelist"),
                _item("Freezes", "severe_cold", "lifecycle_freezewindow_changelist"),
                _item("Policies", "gavel", "lifecycle_policy_changelist"),
                _item("Redactions", "ink_eraser", "registry_redaction_changelist"),
                _item("Signing keys", "signature", "registry_signingkey_changelist"),
                _item("Webhooks", "webhook", "registry_webhook_changelist"),
                _item("Deliveries", "outgoing_mail", "registry_delivery_changelist"),
                _item("Retention", "ac_unit", "lifecycle_retentionpolicy_changelist"),
                _item("Tier moves", "swap_vert", "lifecycle_tiermove_changelist"),
                _item("Legal holds", "lock", "lifecycle_legalhold_changelist"),
            ),
            _group(
                "People",
                _item("Namespaces", "workspaces", "registry_namespace_changelist"),
                _item("Grants by two", "how_to_reg", "registry_rolegrant_changelist"),
                _item("Users", "group", "registry_user_changelist"),
                _item("Tokens", "key", "registry_servicetoken_changelist"),
            ),
        ],
    },
}
