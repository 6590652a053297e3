"""The registry's Celery tasks."""

from registry.tasks.outbox import deliver, drain_outbox, sweep_deliveries

__all__ = ["deliver", "drain_outbox", "sweep_deliveries"]
