"""Files as the libraries write them, of models somebody would really train: none of them may be flagged."""

from __future__ import annotations

import functools
import io
import json
import pickle
from collections.abc import Callable
from typing import Any

import joblib
import lightgbm
import numpy as np
import onnx
import onnx.helper
import pandas as pd
import safetensors.numpy
import skops.io
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from tests.registry.artifacts.scanning.building import (
    dense,
    gguf,
    keras_zip,
    saved_model,
    tensor_pickle,
    torch_legacy,
    torch_zip,
)

ROWS = np.random.default_rng(7).random((60, 4)) + 0.1
NAMES = np.array(["ham", "spam", "eggs"] * 20, dtype=object)
TEXTS = ["cheap pills", "lunch at noon", "eggs and ham"] * 20


def joblib_bytes(value: Any, **how: Any) -> bytes:
    held = io.BytesIO()
    joblib.dump(value, held, **how)
    return held.getvalue()


def saved(save: Callable[..., Any], *arguments: Any, **more: Any) -> bytes:
    held = io.BytesIO()
    save(held, *arguments, **more)
    return held.getvalue()


def estimators() -> dict[str, Any]:
    """Fitted ones of many kinds."""
    frame = pd.DataFrame(ROWS, columns=list("abcd")).assign(kind=NAMES)
    columns = ColumnTransformer([("n", StandardScaler(), list("abcd")), ("k", OneHotEncoder(), ["kind"])])
    return {
        "logistic": LogisticRegression().fit(ROWS, NAMES),
        "ridge": Ridge().fit(ROWS, ROWS[:, 0]),
        "pipeline": make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), SVC()).fit(ROWS, NAMES),
        "forest": RandomForestClassifier(n_estimators=5).fit(ROWS, NAMES),
        "boosting": GradientBoostingClassifier(n_estimators=3).fit(ROWS, NAMES),
        "histogram boosting": HistGradientBoostingClassifier(max_iter=3).fit(ROWS, NAMES),
        "isolation": IsolationForest(n_estimators=5).fit(ROWS),
        "neighbours": KNeighborsClassifier(algorithm="kd_tree").fit(ROWS, NAMES),
        "text": make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(TEXTS, NAMES),
        "columns": Pipeline([("c", columns), ("m", LogisticRegression())]).fit(frame, NAMES),
        "bins": make_pipeline(
            SimpleImputer(), KBinsDiscretizer(n_bins=3, quantile_method="averaged_inverted_cdf")
        ).fit(ROWS),
        "search": GridSearchCV(SVC(), {"C": [0.1, 1.0]}, cv=2).fit(ROWS, NAMES),
        "stacking": StackingClassifier([("a", LogisticRegression()), ("b", SVC())], cv=2).fit(ROWS, NAMES),
    }


@functools.cache
def corpus() -> dict[str, tuple[bytes, str]]:
    """name -> (bytes, the format they are of)."""
    made: dict[str, tuple[bytes, str]] = {}
    for name, model in estimators().items():
        made[f"{name}, pickle"] = (pickle.dumps(model), "pickle")
        made[f"{name}, joblib"] = (joblib_bytes(model), "joblib")
    forest = RandomForestClassifier(n_estimators=2).fit(ROWS, NAMES)
    made |= {f"forest, protocol {n}": (pickle.dumps(forest, protocol=n), "pickle") for n in range(5)}
    made |= {
        f"forest, joblib {kind}": (joblib_bytes(forest, compress=(kind, 3)), kind)
        for kind in ("zlib", "gzip", "bz2", "xz", "lzma")
    }
    for name in ("logistic", "pipeline", "boosting", "histogram boosting", "forest"):
        made[f"{name}, skops"] = (skops.io.dumps(estimators()[name]), "skops")
    return made | _arrays() | _boosted() | _graphs() | _torch() | _plain()


def _arrays() -> dict[str, tuple[bytes, str]]:
    mixed = np.array([(1, "a"), (2, "b")], dtype=[("n", "<i4"), ("s", "<U3")])
    generator = np.random.default_rng(1)
    table = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    return {
        "array": (saved(np.save, ROWS), "npy"),
        "array of text": (saved(np.save, np.array(["a", "bc"])), "npy"),
        "array of fields": (saved(np.save, mixed), "npy"),
        "array of objects": (saved(np.save, NAMES, allow_pickle=True), "npy"),
        "arrays": (saved(np.savez, a=ROWS, b=mixed), "npz"),
        "arrays, compressed": (saved(np.savez_compressed, a=ROWS, names=NAMES), "npz"),
        "arrays, joblib": (
            joblib_bytes({"a": ROWS, "b": NAMES, "c": np.asfortranarray(ROWS), "d": mixed}),
            "joblib",
        ),
        "sparse": (pickle.dumps(sparse.random(20, 20, 0.2, format="csr")), "pickle"),
        "generator": (pickle.dumps([generator, np.random.RandomState(1), np.float64(1)]), "pickle"),
        "dates": (pickle.dumps(np.array(["2026-01-01"], dtype="datetime64[D]")), "pickle"),
        "table": (pickle.dumps(table), "pickle"),
        "tensors": (
            safetensors.numpy.save({"w": ROWS.astype("f4"), "b": np.zeros(3)}, {"format": "np"}),
            "safetensors",
        ),
    }


def _boosted() -> dict[str, tuple[bytes, str]]:
    model = lightgbm.LGBMClassifier(n_estimators=2, min_child_samples=2, verbose=-1).fit(ROWS, NAMES)
    told = {"learner": {"learner_model_param": {}}, "version": [2, 1, 0]}
    return {
        "lightgbm": (model.booster_.model_to_string().encode(), "lightgbm"),
        "lightgbm, joblib": (joblib_bytes(model), "joblib"),
        "lightgbm, pickle": (pickle.dumps(model), "pickle"),
        "xgboost": (json.dumps(told).encode(), "xgboost"),
    }


def _graphs() -> dict[str, tuple[bytes, str]]:
    helper, float_ = onnx.helper, onnx.TensorProto.FLOAT
    weight = helper.make_tensor("w", float_, [4, 2], ROWS[:2].astype("f4").tobytes(), raw=True)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            helper.make_node("Scaler", ["y"], ["z"], domain="ai.onnx.ml"),
        ],
        "scorer",
        [helper.make_tensor_value_info("x", float_, [None, 4])],
        [helper.make_tensor_value_info("z", float_, [None, 2])],
        [weight],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, producer_name="us", opset_imports=opsets)
    outside = onnx.ModelProto()
    outside.CopyFrom(model)
    tensor = outside.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return {
        "onnx": (model.SerializeToString(), "onnx"),
        "onnx with a file beside it": (outside.SerializeToString(), "onnx"),
        "saved model": (
            saved_model("Placeholder", "VarHandleOp", "RestoreV2", "SaveV2", "StatefulPartitionedCall"),
            "savedmodel",
        ),
    }


def _torch() -> dict[str, tuple[bytes, str]]:
    return {
        "torch": (torch_zip(tensor_pickle()), "torch"),
        "torch, numbers that begin as a pickle": (
            torch_zip(tensor_pickle(), **{"data/1": b"\x80\x02K\x01\xff" + bytes(100)}), "torch",
        ),
        "torch, old": (torch_legacy(tensor_pickle(), b"\x04" + bytes(7) + ROWS[0].tobytes()), "torch"),
    }  # fmt: skip


def _plain() -> dict[str, tuple[bytes, str]]:
    layers = [dense(), {**dense(), "class_name": "Dropout"}]
    return {
        "keras": (keras_zip(layers), "keras"),
        "gguf": (gguf("{% for m in messages %}{{ m['role'] }}: {{ m.content | trim }}{% endfor %}"), "gguf"),
        "card": ("# Scorer\n\nnüchtern, clean.\ncat\nhello\n".encode(), "text"),
        "settings": (b'{"threshold": 0.5}', "json"),
        "nothing": (b"", "empty"),
        "rows": (b"id,label\n1,ham\n2,spam\n" * 1000, "text"),
        "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "image"),
    }
