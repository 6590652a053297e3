"""The environment that a run ran in: interpreter, system, packages, hardware, container image."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.tracking import pod

# What of a process's variables says how it computes. No other variable is sent.
ALLOWED_VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", "MKL_NUM_THREADS", "NVIDIA_VISIBLE_DEVICES", "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED", "RANK", "TF_DETERMINISTIC_OPS", "WORLD_SIZE",
)  # fmt: skip


# What tools write down of the packages that are to be installed, the more exact first.
LOCK_FILES = (
    "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "conda-lock.yml", "pixi.lock",
    "requirements.lock", "requirements.txt.lock",
)  # fmt: skip


def facts(python: str = "", path: Sequence[str] | None = None) -> dict[str, Any]:
    """The `environment` of a run, as it is sent: of this interpreter, or of that with this name and search path."""
    return {
        "image_digest": os.environ.get("ASSAY_IMAGE_DIGEST") or pod.image_digest(),
        "python": python or f"{platform.python_implementation()} {platform.python_version()}",
        "os": operating_system(),
        "packages": packages(path),
        "hardware": hardware(),
    }


def lock_file(folder: Path, top: Path | None = None) -> dict[str, str] | None:
    """`{path, digest}` of the first lock file beside the entry point, or in a folder above it up to `top`, as it is
    now; the path from there. None where there is none. Raises OSError."""
    folder, top = folder.resolve(), (top or folder).resolve()
    inside = folder.is_relative_to(top)
    for place in [folder, *folder.parents]:
        for name in LOCK_FILES:
            file = place / name
            if file.is_file():
                with file.open("rb") as content:
                    digest = hashlib.file_digest(content, "sha256").hexdigest()
                shown = file.relative_to(top).as_posix() if inside else name
                return {"path": shown, "digest": f"sha256:{digest}"}
        if not inside or place == top:
            break
    return None


def packages(path: Sequence[str] | None = None) -> dict[str, str]:
    """Installed distributions by their normalised name. The first on the path is the one that is imported."""
    found: dict[str, str] = {}
    searched = (
        importlib.metadata.distributions()
        if path is None
        else importlib.metadata.distributions(path=list(path))
    )
    for distribution in searched:
        described = distribution.metadata  # parsed anew each time that it is asked for
        name = described["Name"]
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), described["Version"] or "")
    return dict(sorted(found.items()))


def operating_system() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"{name} ({system})" if name else system


def hardware() -> dict[str, Any]:
    """Processor, memory in bytes, GPUs; the variables that say how they are used."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0
    answer: dict[str, Any] = {"cpu": _cpu_model(), "cpus": cpus, "memory": _memory(), "gpus": _gpus()}
    variables = {name: os.environ[name] for name in ALLOWED_VARIABLES if name in os.environ}
    if variables:
        answer["variables"] = variables
    return answer


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _memory() -> int:
    """What the machine has, or what the container may use."""
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no cgroup, or "max"
        return installed
    return min(installed, limit)


def _gpus() -> list[dict[str, str]]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            query, capture_output=True, text=True, timeout=5, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[part.strip() for part in line.split(",")] for line in answer.stdout.splitlines() if line.strip()]
    return [dict(zip(("name", "memory", "driver"), row, strict=False)) for row in rows]
