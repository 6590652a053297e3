"""What a tracked function returned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from assay.tracking.outcome import interpret

MODEL = object()


@pytest.mark.parametrize(
    ("result", "model", "metrics"),
    [
        (MODEL, MODEL, {}),
        ((MODEL, {"auc": 0.9}), MODEL, {"auc": 0.9}),
        (({"auc": np.float32(0.5)}, MODEL), MODEL, {"auc": 0.5}),
        ((MODEL, {"auc": 0.9}, {"val": {"loss": 1}}), MODEL, {"auc": 0.9, "val.loss": 1.0}),
        ({"auc": 0.9}, None, {"auc": 0.9}),
        (("model.onnx", {"n": np.array([3])}), "model.onnx", {"n": 3.0}),
    ],
)
def test_models_and_metrics(result: Any, model: object, metrics: dict[str, float]) -> None:
    outcome = interpret(result)
    assert outcome.model is model or outcome.model == model
    assert outcome.metrics == metrics


def test_a_state_dict_is_a_model_and_no_metrics() -> None:
    state = {"w": np.zeros((2, 2)), "b": np.zeros(2)}
    assert interpret(state).model is state


@pytest.mark.parametrize("result", [None, 0.5, {"auc": 1.0}, (MODEL, object())])
def test_no_model_says_why(result: object) -> None:
    outcome = interpret(result)
    assert outcome.model is None
    assert outcome.problem
