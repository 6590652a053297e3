"""The processes of Assay as commands: web, workers, beat."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from config.embedded.process import Child

CHECKOUT = Path(__file__).resolve().parent.parent.parent
QUEUES = "default,gates,artifacts"
UPKEEP = "upkeep"  # a worker of its own: what runs there takes long and is never waited for
CELERY = ("-m", "celery", "-A", "config.celery:app")


def python_environment(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with what every Python process of ours needs. No proxy stands between us and this machine."""
    direct = {
        name: ",".join(filter(None, [env.get(name), "127.0.0.1", "localhost"]))
        for name in ("no_proxy", "NO_PROXY")
    }
    return {**env, **direct, "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "config.settings"}


def web(env: Mapping[str, str], log: Path, port: int, *, workers: int = 2) -> Child:
    """gunicorn with threads, and a pool of database connections in each of its processes."""
    argv = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}"]
    argv += ["--workers", str(workers), "--worker-class", "gthread", "--threads", "4", "--keep-alive", "75"]
    argv += ["--timeout", "120", "--graceful-timeout", "5", "--no-control-socket", "--log-level", "warning"]
    argv += ["--config", "python:config.embedded.gunicorn_hooks"]
    return Child(
        "web",
        argv,
        log=log,
        env={"ASSAY_DB_POOL": "8", **env},
        cwd=CHECKOUT,
        death_signal=signal.SIGKILL,  # its workers ask for the same (gunicorn_hooks)
    )


def worker(
    env: Mapping[str, str], log: Path, *, queues: str = QUEUES, concurrency: int = 2, name: str = "worker"
) -> Child:
    """A Celery worker. When it is killed its pool children end too (config.celery)."""
    argv = [
        sys.executable,
        *CELERY,
        "worker",
        "-Q",
        queues,
        "-c",
        str(concurrency),
        "-n",
        f"{name}@%h",
        "-l",
        "info",
    ]
    argv += ["--without-gossip", "--without-mingle"]
    return Child(name, argv, log=log, env=env, cwd=CHECKOUT, death_signal=signal.SIGKILL, grace=20)


def beat(env: Mapping[str, str], log: Path, folder: Path) -> Child:
    """The clock, with its state in `folder`."""
    argv = [sys.executable, *CELERY, "beat", "-l", "info", "--pidfile", ""]
    beat_file = {"ASSAY_BEAT_FILE": str(folder / "schedule")}
    return Child("beat", argv, log=log, env={**env, **beat_file}, cwd=CHECKOUT, death_signal=signal.SIGKILL)
