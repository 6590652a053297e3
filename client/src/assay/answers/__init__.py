"""The shapes of the server's answers: plain dictionaries at run time, typed for editors and mypy.

An answer may hold more keys than are listed here: a newer server adds some.
"""

from assay.answers.journal import Event, Identity
from assay.answers.lineage import Difference, Edge, Graph, MetricDifference, Node, Run, Why
from assay.answers.promotions import Approval, GateResult, Promotion
from assay.answers.versions import (
    Attachment,
    ComparedMetric,
    ComparedParameter,
    Comparison,
    Completeness,
    Deletion,
    Evaluation,
    Freed,
    Manifest,
    Metric,
    Scan,
    ScanFinding,
    ScannedFile,
    Signature,
    SigningKey,
    Supply,
    Verification,
    Version,
)

__all__ = [
    "Approval",
    "Attachment",
    "ComparedMetric",
    "ComparedParameter",
    "Comparison",
    "Completeness",
    "Deletion",
    "Difference",
    "Edge",
    "Evaluation",
    "Event",
    "Freed",
    "GateResult",
    "Graph",
    "Identity",
    "Manifest",
    "Metric",
    "MetricDifference",
    "Node",
    "Promotion",
    "Run",
    "Scan",
    "ScanFinding",
    "ScannedFile",
    "Signature",
    "SigningKey",
    "Supply",
    "Verification",
    "Version",
    "Why",
]
