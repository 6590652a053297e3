"""What differs in what made two versions, and in what was measured of them."""

from lineage.differences.compare import causes, differences_between
from lineage.differences.kinds import KINDS, Difference
from lineage.differences.metrics import compare_metrics

__all__ = ["KINDS", "Difference", "causes", "compare_metrics", "differences_between"]
