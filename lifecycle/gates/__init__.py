"""The gates: one module a family, one table of all. See CONTRIBUTING.md for adding one."""

from __future__ import annotations

from lifecycle.gates.cards import CardComplete
from lifecycle.gates.contents import ScanClean
from lifecycle.gates.kinds import Context, Finding, Gate, Verdict
from lifecycle.gates.metrics import EvaluatedOn, MetricAtLeast, MetricAtMost, NoRegression
from lifecycle.gates.proofs import ExternalCheck, IntegrityVerified, LineageComplete
from lifecycle.gates.signatures import SignatureValid
from lifecycle.gates.slices import SlicesNotWorse
from lifecycle.gates.tags import MetadataValid

GATES: dict[str, Gate] = {
    gate.name: gate
    for gate in (
        MetricAtLeast(),
        MetricAtMost(),
        EvaluatedOn(),
        NoRegression(),
        SlicesNotWorse(),
        CardComplete(),
        MetadataValid(),
        ExternalCheck(),
        LineageComplete(),
        IntegrityVerified(),
        SignatureValid(),
        ScanClean(),
    )
}

__all__ = ["GATES", "Context", "Finding", "Gate", "Verdict"]
