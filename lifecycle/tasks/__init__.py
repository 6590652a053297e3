"""The lifecycle's Celery tasks."""

from lifecycle.tasks.promotions import evaluate_gates, sweep_promotions

__all__ = ["evaluate_gates", "sweep_promotions"]
