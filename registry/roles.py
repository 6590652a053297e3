"""Permissions and roles: one table, read by the permission checks, the docs and the tests."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """What somebody may do in a namespace. Grammar: `noun.verb`, the codename of the guardian permission."""

    NAMESPACE_READ = "namespace.read"
    MODEL_CREATE = "model.create"
    MODEL_EDIT = "model.edit"
    VERSION_CREATE = "version.create"
    VERSION_TAG = "version.tag"
    VERSION_VERIFY = "version.verify"
    RUN_WRITE = "run.write"
    EVALUATION_CREATE = "evaluation.create"
    CHECK_REPORT = "check.report"
    DEPLOYMENT_REPORT = "deployment.report"
    ALIAS_MOVE = "alias.move"
    PROMOTION_REQUEST = "promotion.request"
    PROMOTION_DECIDE = "promotion.decide"
    VERSION_ROLL_BACK = "version.roll_back"
    VERSION_SUSPEND = "version.suspend"
    VERSION_QUARANTINE = "version.quarantine"
    INCIDENT_OPEN = "incident.open"
    INCIDENT_CLOSE = "incident.close"
    VERSION_DEPRECATE = "version.deprecate"
    VERSION_RESTORE = "version.restore"
    VERSION_DELETE = "version.delete"
    POLICY_EDIT = "policy.edit"
    POLICY_PUBLISH = "policy.publish"
    ROLE_GRANT = "role.grant"
    ROLE_CONFIRM = "role.confirm"
    KEY_EDIT = "key.edit"
    NAMESPACE_EDIT = "namespace.edit"
    WEBHOOK_EDIT = "webhook.edit"
    RETENTION_EDIT = "retention.edit"
    HOLD_PLACE = "hold.place"
    HOLD_DECIDE = "hold.decide"
    REDACTION_ASK = "redaction.ask"
    REDACTION_DECIDE = "redaction.decide"
    JOURNAL_READ = "journal.read"
    JOURNAL_VERIFY = "journal.verify"


class Role(StrEnum):
    """A named set of permissions, granted to a person in one namespace."""

    VIEWER = "viewer"
    DATA_SCIENTIST = "data_scientist"
    ML_ENGINEER = "ml_engineer"
    PRODUCTION_OPERATOR = "production_operator"
    NAMESPACE_ADMIN = "namespace_admin"
    AUDITOR = "auditor"


P = Permission
_READ = frozenset({P.NAMESPACE_READ, P.JOURNAL_READ})
_MAKE = _READ | {
    P.MODEL_CREATE,
    P.MODEL_EDIT,
    P.VERSION_CREATE,
    P.VERSION_TAG,
    P.VERSION_VERIFY,
    P.RUN_WRITE,
    P.EVALUATION_CREATE,
    P.CHECK_REPORT,
    P.INCIDENT_OPEN,
}
_ENGINEER = _MAKE | {
    P.ALIAS_MOVE,
    P.DEPLOYMENT_REPORT,
    P.PROMOTION_REQUEST,
    P.VERSION_DEPRECATE,
    P.VERSION_RESTORE,
    P.VERSION_DELETE,
}
# One asks and another decides: both roles hold both, so that an admin and an operator, or two of either, are two.
_REDACT = {P.REDACTION_ASK, P.REDACTION_DECIDE}
_AUDIT = _READ | {P.JOURNAL_VERIFY}

ROLES: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _READ,
    Role.DATA_SCIENTIST: _MAKE,
    Role.ML_ENGINEER: _ENGINEER,
    Role.PRODUCTION_OPERATOR: _READ
    | _REDACT
    | {
        P.DEPLOYMENT_REPORT,
        P.PROMOTION_DECIDE,
        P.POLICY_PUBLISH,
        P.VERSION_ROLL_BACK,
        P.VERSION_SUSPEND,
        P.VERSION_QUARANTINE,
        P.INCIDENT_OPEN,
        P.INCIDENT_CLOSE,
        P.VERSION_VERIFY,
        P.VERSION_RESTORE,
        P.HOLD_DECIDE,
        P.ROLE_CONFIRM,
    },
    Role.NAMESPACE_ADMIN: _ENGINEER
    | _AUDIT
    | _REDACT
    | {
        P.POLICY_EDIT,
        P.POLICY_PUBLISH,
        P.ROLE_GRANT,
        P.ROLE_CONFIRM,
        P.KEY_EDIT,
        P.NAMESPACE_EDIT,
        P.WEBHOOK_EDIT,
        P.RETENTION_EDIT,
        # Placing a legal hold and asking for its end; whoever asks does not decide.
        P.HOLD_PLACE,
        P.HOLD_DECIDE,
    },
    Role.AUDITOR: _AUDIT,
}

# Given by two: an admin asks, and somebody else confirms.
BY_TWO = frozenset({Role.PRODUCTION_OPERATOR})

# Whoever is designated reviewer of a model, where a policy names groups: no group is called so.
DESIGNATED = "designated_reviewers"


def held_by(name: str) -> frozenset[Permission]:
    """What a role holds in its namespace; a group that a namespace keeps beside the roles reads, and no more. What its
    people may decide, a policy says that names it."""
    return ROLES[Role(name)] if name in set(Role) else _READ
