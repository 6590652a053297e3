"""The registry's tables."""

from registry.models.blobs import HASHED_FIRST, Artifact, Blob, Manifest, Tier, Upload, UploadFile
from registry.models.catalog import (
    Alias,
    AliasMove,
    ModelVersion,
    RegisteredModel,
    RegisteredModelGroupPermission,
    RegisteredModelUserPermission,
    StageChange,
)
from registry.models.checkpoints import Checkpoint, JournalEntry, JournalNode, Unnumbered
from registry.models.contents import OF_ITS_MAKERS, Attachment, Safety, ScanReport, SignatureCheck, SigningKey
from registry.models.evaluations import Evaluation, EvaluationMetric, ExampleResults
from registry.models.events import Delivery, DeliveryAttempt, Event, OutboxItem, Webhook
from registry.models.grants import Membership, RoleGrant
from registry.models.mails import Mail
from registry.models.people import (
    SYSTEM,
    IdempotencyKey,
    Namespace,
    NamespaceGroupPermission,
    NamespaceUserPermission,
    Principal,
    RoleGroup,
    ServiceToken,
    User,
)
from registry.models.redactions import Redaction, RedactionPlace
from registry.models.stages import EDGES, Stage

__all__ = [
    "EDGES",
    "HASHED_FIRST",
    "OF_ITS_MAKERS",
    "SYSTEM",
    "Alias",
    "AliasMove",
    "Artifact",
    "Attachment",
    "Blob",
    "Checkpoint",
    "Delivery",
    "DeliveryAttempt",
    "Evaluation",
    "EvaluationMetric",
    "Event",
    "ExampleResults",
    "IdempotencyKey",
    "JournalEntry",
    "JournalNode",
    "Mail",
    "Manifest",
    "Membership",
    "ModelVersion",
    "Namespace",
    "NamespaceGroupPermission",
    "NamespaceUserPermission",
    "OutboxItem",
    "Principal",
    "Redaction",
    "RedactionPlace",
    "RegisteredModel",
    "RegisteredModelGroupPermission",
    "RegisteredModelUserPermission",
    "RoleGrant",
    "RoleGroup",
    "Safety",
    "ScanReport",
    "ServiceToken",
    "SignatureCheck",
    "SigningKey",
    "Stage",
    "StageChange",
    "Tier",
    "Unnumbered",
    "Upload",
    "UploadFile",
    "User",
    "Webhook",
]
