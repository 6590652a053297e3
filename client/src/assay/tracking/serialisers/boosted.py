"""LightGBM and XGBoost models in their own text formats, which hold no code.

An estimator of their scikit-learn interface is written as its booster: what wraps it, the names of classes among it, is
not in the format.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


class LightGBM:
    name = "lightgbm"
    format = "lightgbm"

    def accepts(self, model: object) -> bool:
        library: Any = sys.modules.get("lightgbm")
        return library is not None and isinstance(model, library.Booster | library.LGBMModel)

    def write(self, model: Any, folder: Path) -> None:
        booster = getattr(model, "booster_", model)
        (folder / "model.txt").write_text(booster.model_to_string(), encoding="utf-8")


class XGBoost:
    name = "xgboost"
    format = "xgboost"

    def accepts(self, model: object) -> bool:
        library: Any = sys.modules.get("xgboost")
        return library is not None and isinstance(model, library.Booster | library.XGBModel)

    def write(self, model: Any, folder: Path) -> None:
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        (folder / "model.json").write_bytes(bytes(booster.save_raw(raw_format="json")))
