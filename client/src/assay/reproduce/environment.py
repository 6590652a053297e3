"""The environment of a run: the packages as requirements, and how those of this machine differ from them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any

from assay.reproduce.pieces import CHANGED, MISSING, PRESENT, UNKNOWN, Piece

_PYTHON = re.compile(r"(?:python|pypy)[\d.]*t?")
_ASK = """
import importlib.metadata, json, platform, re
found = {}
for each in importlib.metadata.distributions():
    described = each.metadata
    if described["Name"]:
        found.setdefault(re.sub(r"[-_.]+", "-", described["Name"]).lower(), described["Version"] or "")
print(json.dumps([f"{platform.python_implementation()} {platform.python_version()}", found]))
"""
_SHOWN = 5
# Variables that say how something is computed. Which devices there are is this machine's own matter.
_EXPORTED = (
    "CUBLAS_WORKSPACE_CONFIG", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED",
    "TF_DETERMINISTIC_OPS",
)  # fmt: skip


def requirements(environment: Mapping[str, Any]) -> str:
    """The recorded packages, one a line, as `pip install --requirement` takes them."""
    packages: Mapping[str, str] = environment.get("packages") or {}
    lines = [f"{name}=={version}" for name, version in sorted(packages.items()) if version]
    return "".join(f"{line}\n" for line in lines)


def variables(environment: Mapping[str, Any]) -> dict[str, str]:
    """Those that were set and say how something is computed."""
    recorded = (environment.get("hardware") or {}).get("variables") or {}
    return {name: str(recorded[name]) for name in _EXPORTED if name in recorded}


def check(environment: Mapping[str, Any], program: str) -> Piece:
    """Whether the interpreter that `program` is here has the packages that were recorded."""
    recorded: Mapping[str, str] = environment.get("packages") or {}
    if not recorded:
        return Piece("environment", MISSING, "no packages were recorded")
    image = f"; it ran in the image {environment['image_digest']}" if environment.get("image_digest") else ""
    if not _PYTHON.fullmatch(program):
        return Piece("environment", UNKNOWN, f"{program} is no Python: its packages are not compared{image}")
    try:
        answer = subprocess.run([program, "-c", _ASK], capture_output=True, text=True, timeout=60, check=True)
        python, here = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return Piece("environment", MISSING, f"`{program}` cannot be run here{image}")
    differ = [
        f"{name} {here.get(name) or 'not installed'}, was {version}"
        for name, version in sorted(recorded.items())
        if here.get(name) != version
    ]
    if python != environment.get("python"):
        differ.insert(0, f"{python}, was {environment.get('python')}")
    if not differ:
        return Piece("environment", PRESENT, f"{python} and {len(recorded)} packages, as they were{image}")
    shown = "; ".join(differ[:_SHOWN])
    more = f"; and {len(differ) - _SHOWN} more" if len(differ) > _SHOWN else ""
    return Piece("environment", CHANGED, f"{len(differ)} differences: {shown}{more}{image}")
