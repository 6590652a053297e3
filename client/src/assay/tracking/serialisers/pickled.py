"""Joblib, only when it is asked for: a pickle runs code in whoever loads it, and is shown as one."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

NOTE = "The model is a pickle: loading it runs code. Load it only where you trust who trained it."


class Joblib:
    name = "joblib"
    format = "pickle"

    def accepts(self, model: object) -> bool:
        return False

    def write(self, model: Any, folder: Path) -> None:
        importlib.import_module("joblib").dump(model, folder / "model.joblib")
