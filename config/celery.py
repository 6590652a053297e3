"""The Celery app: queues and beat."""

from __future__ import annotations

import os
import signal
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init, worker_process_init
from django.conf import settings

from config.embedded.process import die_with_parent
from config.startup import refuse_powerful_role

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


# After commit and past a dead broker: registry.journal.enqueue.
app = Celery("assay")
app.conf.update(
    broker_url=settings.REDIS_URL,
    # Status lives in Postgres; live AsyncResults hang at exit when Redis is gone.
    task_ignore_result=True,
    result_backend=None,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_time_limit=1800,
    task_soft_time_limit=1700,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # An enqueue meets a dead broker at once instead of waiting for it.
    task_publish_retry=False,
    broker_transport_options={
        "visibility_timeout": 3600,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.05,
        "interval_max": 0.1,
        "socket_connect_timeout": 2,
        "socket_timeout": 30,
    },
    task_default_queue="default",
    task_routes={
        "registry.publish_version": {"queue": "artifacts"},
        "registry.verify_version": {"queue": "artifacts"},
        "registry.scan_version": {"queue": "artifacts"},
        "lifecycle.move_tier": {"queue": "artifacts"},
        # What takes an hour and can wait for another must not stand in front of what somebody waits for.
        "registry.rescan_versions": {"queue": "upkeep"},
        "registry.scrub_blobs": {"queue": "upkeep"},
        "registry.collect_garbage": {"queue": "upkeep"},
        "registry.reap_uploads": {"queue": "upkeep"},
        "registry.verify_journal": {"queue": "upkeep"},
        "lifecycle.evaluate_gates": {"queue": "gates"},
    },
    beat_schedule={
        "drain the outbox": {"task": "registry.drain_outbox", "schedule": settings.SWEEP_SECONDS},
        "send due deliveries": {"task": "registry.sweep_deliveries", "schedule": settings.SWEEP_SECONDS},
        "sign the journal": {"task": "registry.checkpoint_journal", "schedule": 60.0},
        "verify the journal": {"task": "registry.verify_journal", "schedule": 86_400.0},
        "send due mail": {"task": "registry.sweep_mail", "schedule": settings.SWEEP_SECONDS},
        "send due lineage events": {"task": "protocols.sweep_lineage", "schedule": settings.SWEEP_SECONDS},
        "resume publishing": {"task": "registry.sweep_versions", "schedule": settings.SWEEP_SECONDS},
        "resume verifying signatures": {
            "task": "registry.sweep_signatures",
            "schedule": settings.SWEEP_SECONDS,
        },
        "resume promotions": {"task": "lifecycle.sweep_promotions", "schedule": settings.SWEEP_SECONDS},
        "watch deployments": {"task": "lifecycle.sweep_deployments", "schedule": settings.SWEEP_SECONDS},
        "resume tier moves": {"task": "lifecycle.sweep_tier_moves", "schedule": settings.SWEEP_SECONDS},
        "tell overdue reviews": {"task": "lifecycle.sweep_revalidations", "schedule": 3600.0},
        "retention": {"task": "lifecycle.run_retention", "schedule": 3600.0},
        "resume scans": {"task": "registry.sweep_scans", "schedule": 60.0},
        "scan again": {"task": "registry.rescan_versions", "schedule": 3600.0},
        "scrub": {"task": "registry.scrub_blobs", "schedule": 3600.0},
        "collect garbage": {"task": "registry.collect_garbage", "schedule": 3600.0},
        "remove redacted documents": {"task": "registry.remove_redacted_files", "schedule": 3600.0},
        "reap abandoned uploads": {"task": "registry.reap_uploads", "schedule": 3600.0},
    },
    beat_schedule_filename=os.environ.get("ASSAY_BEAT_FILE", "/tmp/assay-beat"),  # noqa: S108 - up sets it
    timezone="UTC",
)
app.autodiscover_tasks(["registry", "lineage", "lifecycle", "protocols.openlineage"])


@worker_init.connect
@beat_init.connect
def check_role(**_: Any) -> None:
    """A worker or beat does not start as the owner of the database."""
    refuse_powerful_role()


@worker_process_init.connect
def end_with_the_worker(**_: Any) -> None:
    """A pool child whose worker was killed would go on with work that somebody else takes over."""
    die_with_parent(signal.SIGKILL)
