"""The gates: one module a family, one table of all, with those of installed packages. CONTRIBUTING.md tells how to
add one, here or in a package."""

from __future__ import annotations

from lifecycle.gates.cards import CardComplete
from lifecycle.gates.contents import ScanClean
from lifecycle.gates.incidents import NoOpenIncident
from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict, Wanted
from lifecycle.gates.metrics import EvaluatedOn, MetricAtLeast, MetricAtMost
from lifecycle.gates.plugins import plugged_in
from lifecycle.gates.proofs import ExternalCheck, IntegrityVerified, LineageComplete
from lifecycle.gates.regression import NoRegression
from lifecycle.gates.reviews import ReviewNotOverdue
from lifecycle.gates.signatures import SignatureValid
from lifecycle.gates.slices import SlicesNotWorse
from lifecycle.gates.soaking import Soaked
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
        NoOpenIncident(),
        ReviewNotOverdue(),
        ExternalCheck(),
        Soaked(),
        LineageComplete(),
        IntegrityVerified(),
        SignatureValid(),
        ScanClean(),
    )
}

# Last, since their modules import the names above from here.
_found = plugged_in(frozenset(GATES))
GATES |= _found.gates
# Gates of packages that cannot be used, and why: a policy that asks for one is refused by it.
BROKEN: dict[str, str] = _found.broken

__all__ = ["BROKEN", "GATES", "Context", "Finding", "Gate", "Parameter", "Verdict", "Wanted"]
