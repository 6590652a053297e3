"""Who may call what: every route and method, the admin's pages included.

A route that is missing here is refused at run time, and a walk of the URLconf fails in the tests. Keys are
(route name, HTTP method); HEAD follows GET.
"""

from __future__ import annotations

from registry.http.access import AdminRule, Anybody, Holds, Rule, SignedInOnly, Staff, Superuser
from registry.roles import Permission as P

RULES: dict[tuple[str, str], Rule] = {
    # ---- registry: people, namespaces, models
    ("healthz", "GET"): Anybody("says only that the process answers"),
    ("readyz", "GET"): Anybody("says only which service is missing"),
    ("schema", "GET"): SignedInOnly("the shape of the interface, the same for all"),
    ("docs", "GET"): SignedInOnly("the shape of the interface, the same for all"),
    ("whoami", "GET"): SignedInOnly("tells callers of themselves"),
    ("whoami", "PATCH"): SignedInOnly("one's own address for mail"),
    ("tokens", "GET"): SignedInOnly("one's own tokens"),
    ("tokens", "POST"): SignedInOnly("a token for oneself, with no more rights"),
    ("token", "DELETE"): SignedInOnly("one's own token"),
    ("namespaces", "GET"): SignedInOnly("lists only what the caller may see"),
    ("namespaces", "POST"): Superuser("teams are set up by the platform's administrators"),
    ("namespace", "GET"): Holds(P.NAMESPACE_READ),
    ("namespace", "PATCH"): Holds(P.NAMESPACE_EDIT),
    ("members", "GET"): Holds(P.NAMESPACE_READ),
    ("members", "POST"): Holds(P.ROLE_GRANT),
    ("member", "DELETE"): Holds(P.ROLE_GRANT),
    ("groups", "GET"): Holds(P.NAMESPACE_READ),
    ("groups", "POST"): Holds(P.ROLE_GRANT),
    ("models", "GET"): Holds(P.NAMESPACE_READ),
    ("models", "POST"): Holds(P.MODEL_CREATE),
    ("model", "GET"): Holds(P.NAMESPACE_READ),
    ("model", "PUT"): Holds(P.MODEL_CREATE),
    ("model", "PATCH"): Holds(P.MODEL_EDIT),
    ("version", "GET"): Holds(P.NAMESPACE_READ),
    ("version", "PATCH"): Holds(P.VERSION_TAG),
    ("version", "DELETE"): Holds(P.VERSION_DELETE),
    ("version-deletion", "GET"): Holds(P.NAMESPACE_READ),
    ("resolve", "GET"): SignedInOnly("finds only what the caller may see"),
    ("evaluations", "GET"): Holds(P.NAMESPACE_READ),
    ("evaluations", "POST"): Holds(P.EVALUATION_CREATE),
    ("aliases", "GET"): Holds(P.NAMESPACE_READ),
    ("alias", "GET"): Holds(P.NAMESPACE_READ),
    ("alias", "PUT"): Holds(P.ALIAS_MOVE),
    ("alias", "DELETE"): Holds(P.ALIAS_MOVE),
    # ---- registry: uploads and artifacts
    ("uploads", "POST"): Holds(P.VERSION_CREATE),
    ("upload", "GET"): Holds(P.VERSION_CREATE),
    ("upload-parts", "POST"): Holds(P.VERSION_CREATE),
    ("upload-complete", "POST"): Holds(P.VERSION_CREATE),
    ("upload-content", "PUT"): Holds(P.VERSION_CREATE),
    ("upload-abort", "POST"): Holds(P.VERSION_CREATE),
    ("version-manifest", "GET"): Holds(P.NAMESPACE_READ),
    ("version-artifacts", "GET"): Holds(P.NAMESPACE_READ),
    ("version-artifact", "GET"): Holds(P.NAMESPACE_READ),
    ("version-attachments", "GET"): Holds(P.NAMESPACE_READ),
    ("version-attachments", "POST"): Holds(P.VERSION_CREATE),
    ("attachment-content", "GET"): Holds(P.NAMESPACE_READ),
    ("version-verify", "POST"): Holds(P.VERSION_VERIFY),
    ("version-scan", "GET"): Holds(P.NAMESPACE_READ),
    ("garbage", "GET"): Superuser("tells of every namespace's bytes"),
    ("garbage-run", "POST"): Superuser("removes of every namespace's bytes"),
    # ---- registry: keys, webhooks, search, compare, journal
    ("keys", "GET"): Holds(P.NAMESPACE_READ),
    ("keys", "POST"): Holds(P.KEY_EDIT),
    ("key", "DELETE"): Holds(P.KEY_EDIT),
    ("search", "GET"): SignedInOnly("finds only what the caller may see"),
    ("compare", "GET"): SignedInOnly("compares only what the caller may see"),
    ("events", "GET"): Holds(P.JOURNAL_READ),
    ("redactions", "GET"): Holds(P.NAMESPACE_READ),
    ("redactions", "POST"): Holds(P.REDACTION_ASK),
    ("redactions-find", "POST"): Holds(P.REDACTION_ASK),
    ("redaction", "GET"): Holds(P.NAMESPACE_READ),
    ("redaction-decide", "POST"): Holds(P.REDACTION_DECIDE),
    ("webhooks", "GET"): Holds(P.WEBHOOK_EDIT),
    ("webhooks", "POST"): Holds(P.WEBHOOK_EDIT),
    ("webhook", "GET"): Holds(P.WEBHOOK_EDIT),
    ("webhook", "PATCH"): Holds(P.WEBHOOK_EDIT),
    ("webhook", "DELETE"): Holds(P.WEBHOOK_EDIT),
    ("webhook-deliveries", "GET"): Holds(P.WEBHOOK_EDIT),
    ("webhook-rotate", "POST"): Holds(P.WEBHOOK_EDIT),
    ("webhook-test", "POST"): Holds(P.WEBHOOK_EDIT),
    ("webhook-replay", "POST"): Holds(P.WEBHOOK_EDIT),
    ("delivery", "GET"): Holds(P.WEBHOOK_EDIT),
    ("delivery-redeliver", "POST"): Holds(P.WEBHOOK_EDIT),
    # ---- lineage: versions, runs, graph
    ("versions", "GET"): Holds(P.NAMESPACE_READ),
    ("versions", "POST"): Holds(P.VERSION_CREATE),
    ("version-lineage", "GET"): Holds(P.NAMESPACE_READ),
    ("lineage-graph", "GET"): SignedInOnly("starts only from what the caller may see; the rest is stubs"),
    ("lineage-path", "GET"): SignedInOnly("leads only between what the caller may see; the rest is stubs"),
    ("impact", "GET"): SignedInOnly("starts only from what the caller may see, names only that"),
    ("impact", "POST"): SignedInOnly(
        "a question in a body: starts only from what the caller may see, names only that"
    ),
    ("why", "GET"): SignedInOnly("each version is resolved among what the caller may see"),
    ("runs", "GET"): Holds(P.NAMESPACE_READ),
    ("runs", "POST"): Holds(P.RUN_WRITE),
    ("steps", "POST"): Holds(P.RUN_WRITE),
    ("run", "GET"): Holds(P.NAMESPACE_READ),
    ("run", "PATCH"): Holds(P.RUN_WRITE),
    ("run-log", "POST"): Holds(P.RUN_WRITE),
    ("run-datasets", "POST"): Holds(P.RUN_WRITE),
    ("lineage-events", "POST"): SignedInOnly(
        "the right is asked in the namespace that the token is bound to"
    ),
    ("openlineage-facet", "GET"): Anybody("the shape of a facet, the same for all"),
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
    ("version-evidence", "GET"): Holds(P.JOURNAL_VERIFY),
    ("period-evidence", "GET"): Holds(P.JOURNAL_VERIFY),
    ("model-production", "GET"): Holds(P.NAMESPACE_READ),
    ("deployments", "GET"): Holds(P.NAMESPACE_READ),
    ("deployment", "GET"): Holds(P.NAMESPACE_READ),
    ("deployment", "PUT"): Holds(P.DEPLOYMENT_REPORT),
    ("deployment", "DELETE"): Holds(P.DEPLOYMENT_REPORT),
    ("model-rollback", "POST"): Holds(P.VERSION_ROLL_BACK),
    ("model-incidents", "GET"): Holds(P.NAMESPACE_READ),
    ("model-incidents", "POST"): Holds(P.INCIDENT_OPEN),
    ("incidents", "GET"): SignedInOnly("lists only what the caller may see"),
    ("incident-close", "POST"): Holds(P.INCIDENT_CLOSE),
    ("quarantines", "GET"): SignedInOnly("lists only what the caller may see"),
    ("quarantines", "POST"): SignedInOnly("the right is asked in the namespace of every version"),
    ("quarantine-lift", "POST"): SignedInOnly("the right is asked in the namespace of every version"),
    ("promotions", "GET"): SignedInOnly("lists only what the caller may see"),
    ("promotion", "GET"): Holds(P.NAMESPACE_READ),
    ("promotion-approve", "POST"): Holds(P.PROMOTION_DECIDE, or_designated=True),
    ("promotion-reject", "POST"): Holds(P.PROMOTION_DECIDE, or_designated=True),
    ("promotion-withdraw", "POST"): SignedInOnly(
        "the right is the one to ask for the same, of a rollback another"
    ),
    ("promotion-break-glass", "POST"): Holds(P.PROMOTION_DECIDE),
    # Operators, auditors and namespace admins review; the action asks.
    ("promotion-review", "POST"): Holds(P.NAMESPACE_READ),
    ("broken-glass", "GET"): SignedInOnly("lists only what the caller may see"),
    ("promotion-waivers", "GET"): Holds(P.NAMESPACE_READ),
    ("promotion-waivers", "POST"): Holds(P.PROMOTION_REQUEST),
    ("waivers", "GET"): SignedInOnly("lists only what the caller may see"),
    ("waiver-grant", "POST"): Holds(P.PROMOTION_DECIDE),
    ("waiver-refuse", "POST"): Holds(P.PROMOTION_DECIDE),
    ("freezes", "GET"): SignedInOnly("lists only what the caller may see, and what stops everybody"),
    ("freezes", "POST"): Superuser("stops the promotions of every namespace"),
    ("namespace-freezes", "GET"): Holds(P.NAMESPACE_READ),
    ("namespace-freezes", "POST"): Holds(P.POLICY_EDIT),
    ("freeze-end", "POST"): SignedInOnly("the right is asked of what the window covers"),
    ("policies", "GET"): Holds(P.NAMESPACE_READ),
    ("policies", "POST"): Holds(P.POLICY_EDIT),
    ("policies-check", "POST"): Holds(P.NAMESPACE_READ),
    ("model-policies", "GET"): Holds(P.NAMESPACE_READ),
    ("policy", "GET"): Holds(P.NAMESPACE_READ),
    ("policy-publish", "POST"): Holds(P.POLICY_PUBLISH),
    ("policy-withdraw", "POST"): Holds(P.POLICY_PUBLISH),
    # ---- lifecycle: retention
    ("retention", "GET"): Holds(P.NAMESPACE_READ),
    ("retention", "PUT"): Holds(P.RETENTION_EDIT),
    ("retention-plan", "GET"): Holds(P.NAMESPACE_READ),
    ("retention-run", "POST"): Holds(P.RETENTION_EDIT),
    ("version-restore", "POST"): Holds(P.VERSION_RESTORE),
    # ---- console and admin
    ("home", "GET"): SignedInOnly("shows only what the person may see"),
    ("model-page", "GET"): Holds(P.NAMESPACE_READ),
    ("version-page", "GET"): Holds(P.NAMESPACE_READ),
    ("promotion-page", "GET"): Holds(P.NAMESPACE_READ),
    ("compare-page", "GET"): SignedInOnly("finds only what the person may see"),
    ("account-tokens", "GET"): SignedInOnly("one's own tokens"),
    ("account-tokens", "POST"): SignedInOnly("a token for oneself: its rights are one's own"),
    ("account-token-revoke", "POST"): SignedInOnly("one's own tokens"),
    ("account-sign-out", "POST"): SignedInOnly("one's own session"),
    ("admin:login", "GET"): Anybody("the log-in form"),
    ("admin:login", "POST"): Anybody("the log-in form"),
    ("admin:logout", "POST"): SignedInOnly("one's own session"),
    ("admin:password_change", "GET"): Staff("one's own password"),
    ("admin:password_change", "POST"): Staff("one's own password"),
    ("admin:password_change_done", "GET"): Staff("one's own password"),
    ("admin:index", "GET"): Staff("what there is to open"),
    ("admin:app_list", "GET"): Staff("what there is to open"),
    ("admin:search", "GET"): Staff("names of pages, no rows"),
    ("admin:jsi18n", "GET"): Anybody("the texts of the admin's scripts"),
    ("admin:autocomplete", "GET"): Staff("asks the ModelAdmin, which shows only what the person may see"),
    ("admin:view_on_site", "GET"): Staff("no model has such a page"),
    ("admin:desk", "GET"): Staff("lists only promotions the person may see"),
    ("admin:desk-promotion", "GET"): Holds(P.NAMESPACE_READ),
    ("admin:desk-promotion", "POST"): Holds(P.PROMOTION_DECIDE, or_designated=True),
}

# The admin's pages of models: looking at the rows of one's own namespaces, and what is listed here, no more.
_IN_PERSON = Superuser("accounts are kept by the platform's administrators")
ADMIN_RULES: dict[str, AdminRule] = {
    "registry.Namespace": AdminRule(
        "a namespace is made once and never renamed or deleted; roles and groups are given and taken by its admins",
        {
            "new_namespace": Superuser("namespaces are the platform's"),
            "new_group": Holds(P.ROLE_GRANT),
            "grant": Holds(P.ROLE_GRANT),
            "revoke": Holds(P.ROLE_GRANT),
            "edit": Holds(P.NAMESPACE_EDIT),
        },
    ),
    "registry.User": AdminRule(
        "members see each other's names; accounts are the platform's, and none is deleted: what it did stays its own",
        {
            "new_person": _IN_PERSON,
            "new_password": _IN_PERSON,
            "activate": _IN_PERSON,
            "deactivate": _IN_PERSON,
        },
    ),
    "registry.ServiceToken": AdminRule(
        "one's own tokens and those of one's service accounts; the secret is nowhere, only revoking is left",
        {"revoke": SignedInOnly("the pages list no others'")},
    ),
    "registry.Event": AdminRule("the journal is history"),
    "registry.Evaluation": AdminRule("evidence is history"),
    "registry.Webhook": AdminRule(
        "its secret is shown once, when it is made; its log outlives it",
        {
            "new_webhook": Holds(P.WEBHOOK_EDIT),
            "edit": Holds(P.WEBHOOK_EDIT),
            "rotate": Holds(P.WEBHOOK_EDIT),
            "send_test": Holds(P.WEBHOOK_EDIT),
            "replay": Holds(P.WEBHOOK_EDIT),
            "switch_off": Holds(P.WEBHOOK_EDIT),
            "switch_on": Holds(P.WEBHOOK_EDIT),
            "take_away": Holds(P.WEBHOOK_EDIT),
        },
    ),
    "registry.SigningKey": AdminRule(
        "whose signatures a namespace believes; a key is revoked for good and stays on record",
        {"new_key": Holds(P.KEY_EDIT), "revoke": Holds(P.KEY_EDIT)},
    ),
    "registry.Redaction": AdminRule(
        "asked for over REST or the command line, where the text is not kept; decided by somebody else, for good",
        {"approve": Holds(P.REDACTION_DECIDE), "reject": Holds(P.REDACTION_DECIDE)},
    ),
    "registry.Delivery": AdminRule(
        "what was told to whom is history; it can be told again", {"redeliver": Holds(P.WEBHOOK_EDIT)}
    ),
    "registry.RegisteredModel": AdminRule(
        "edited over REST and by the client; operators go back, or take out in an incident, from here",
        {
            "open_page": Holds(P.NAMESPACE_READ),
            "roll_back": Holds(P.VERSION_ROLL_BACK),
            "suspend": Holds(P.VERSION_SUSPEND),
        },
    ),
    "registry.ModelVersion": AdminRule(
        "what a version is does not change; its stage is moved by promotions, its bytes are brought back here",
        {
            "open_page": Holds(P.NAMESPACE_READ),
            "evidence": Holds(P.JOURNAL_VERIFY),
            "restore": Holds(P.VERSION_RESTORE),
            "delete_for_good": Holds(P.VERSION_DELETE),
        },
    ),
    "lineage.Run": AdminRule("what was executed is history"),
    "lineage.Dataset": AdminRule("what was read is history"),
    "lifecycle.Promotion": AdminRule(
        "decided on the desk; an open one can be taken back, or put into effect by breaking the glass",
        {
            "open_on_desk": Holds(P.NAMESPACE_READ),
            "withdraw": Holds(P.NAMESPACE_READ),
            "break_glass": Holds(P.PROMOTION_DECIDE),
        },
    ),
    "lifecycle.Quarantine": AdminRule(
        "placed and lifted over REST and in the shell; what was doubted is history"
    ),
    "lifecycle.Incident": AdminRule(
        "opened over REST and in the shell; what was wrong is history, and closed once",
        {"close": Holds(P.INCIDENT_CLOSE)},
    ),
    "lifecycle.BreakGlass": AdminRule(
        "broken on the promotion's page, over REST and in the shell; reviewed once, by a second person",
        {
            "open_on_desk": Holds(P.NAMESPACE_READ),
            "review": SignedInOnly("operators, auditors and admins who did not break it: the action asks"),
        },
    ),
    "lifecycle.FreezeWindow": AdminRule(
        "set once and ended once; what is frozen everywhere is the platform's administrators' matter",
        {"freeze": Holds(P.POLICY_EDIT), "end": Holds(P.POLICY_EDIT)},
    ),
    "lifecycle.Waiver": AdminRule(
        "asked over REST and in the shell; what was let stand is history, and somebody else decides",
        {"grant": Holds(P.PROMOTION_DECIDE), "refuse": Holds(P.PROMOTION_DECIDE)},
    ),
    "lifecycle.Deployment": AdminRule(
        "reported over REST and in the shell by what runs it; what ran where is history"
    ),
    "lifecycle.Policy": AdminRule(
        "a revision never changes; another one can be drafted, and somebody publishes it",
        {
            "draft": Holds(P.POLICY_EDIT),
            "publish": Holds(P.POLICY_PUBLISH),
            "withdraw": Holds(P.POLICY_PUBLISH),
        },
    ),
    "lifecycle.RetentionPolicy": AdminRule(
        "one a namespace, set by an action; a run does what the page listed",
        {
            "set_policy": Holds(P.RETENTION_EDIT),
            "edit": Holds(P.RETENTION_EDIT),
            "run_now": Holds(P.RETENTION_EDIT),
        },
    ),
    "lifecycle.TierMove": AdminRule("what was moved is history"),
    "lifecycle.LegalHold": AdminRule("holds are history"),
}

__all__ = ["ADMIN_RULES", "RULES", "Anybody", "Holds", "P", "SignedInOnly", "Superuser"]
