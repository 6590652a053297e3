"""The lifecycle's Celery tasks."""

from lifecycle.tasks.deployments import sweep_deployments
from lifecycle.tasks.promotions import evaluate_gates, sweep_promotions
from lifecycle.tasks.retention import move_tier, run_retention, sweep_tier_moves
from lifecycle.tasks.revalidations import sweep_revalidations

__all__ = [
    "evaluate_gates",
    "move_tier",
    "run_retention",
    "sweep_deployments",
    "sweep_promotions",
    "sweep_revalidations",
    "sweep_tier_moves",
]
