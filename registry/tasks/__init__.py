"""The registry's Celery tasks."""

from registry.tasks.artifacts import (
    collect_garbage,
    publish_version,
    reap_upload,
    reap_uploads,
    rescan_versions,
    scan_version,
    scrub_blobs,
    sweep_scans,
    sweep_versions,
    verify_version,
)
from registry.tasks.journal import checkpoint_journal, verify_journal
from registry.tasks.mail import send_mail, sweep_mail
from registry.tasks.outbox import drain_outbox, sweep_deliveries, tell_webhook
from registry.tasks.redactions import remove_redacted_files
from registry.tasks.signatures import sweep_signatures, verify_signatures

__all__ = [
    "checkpoint_journal",
    "collect_garbage",
    "drain_outbox",
    "publish_version",
    "reap_upload",
    "reap_uploads",
    "remove_redacted_files",
    "rescan_versions",
    "scan_version",
    "scrub_blobs",
    "send_mail",
    "sweep_deliveries",
    "sweep_mail",
    "sweep_scans",
    "sweep_signatures",
    "sweep_versions",
    "tell_webhook",
    "verify_journal",
    "verify_signatures",
    "verify_version",
]
