"""What gunicorn calls when it runs under our supervisor."""

from __future__ import annotations

import signal

from config.embedded.process import die_with_parent


def post_fork(server: object, worker: object) -> None:
    """A web worker ends with gunicorn, however gunicorn ended."""
    die_with_parent(signal.SIGKILL)
