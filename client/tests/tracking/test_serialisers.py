"""Models as files: equal models as equal bytes, and nothing pickled unless it is asked for."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import safetensors.numpy
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from assay.tracking.serialisers import NotSerialisable, serialise
from assay.tracking.serialisers.canonical_skops import canonical

# Trained in a process of its own, in which addresses, hashes and unwritten memory are different each time.
TRAINING = """
import hashlib, sys
ballast = [object() for _ in range(int(sys.argv[1]) * 1000)]
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from assay.tracking.serialisers.canonical_skops import canonical
X, y = load_breast_cancer(return_X_y=True)
texts = [" ".join(f"w{int(v)}" for v in row[:8]) for row in X]
def tell(model):
    print(hashlib.sha256(canonical(skops.io.dumps(model))).hexdigest())
for model in [
    RandomForestClassifier(7, random_state=0), GradientBoostingClassifier(n_estimators=3, random_state=0),
    HistGradientBoostingClassifier(max_iter=5, random_state=0), SVC(), KNeighborsClassifier(),
    MLPClassifier(max_iter=2, random_state=0), make_pipeline(StandardScaler(), LogisticRegression()),
]:
    tell(model.fit(X, y))
tell(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, y))
tell(FunctionTransformer(kw_args={"words": {"alpha", "beta", "gamma", "delta"}}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


def trained(ballast: int) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": str(ballast), "MALLOC_PERTURB_": str(37 * ballast)}
    command = [sys.executable, "-W", "ignore", "-c", TRAINING, str(ballast)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.split()


def test_equal_trainings_in_two_processes_give_equal_bytes() -> None:
    one, two = trained(1), trained(2)
    assert len(one) == 9
    assert len(set(one)) == 9
    assert one == two


def test_the_order_of_arguments_in_memory_does_not_count() -> None:
    """Equal values that are one object in one process may be two in another."""
    shared, apart = [1000.5], [1000.5, float("1000.5")]
    one = LogisticRegression(C=shared[0], tol=shared[0])
    two = LogisticRegression(C=apart[0], tol=apart[1])
    assert canonical(skops.io.dumps(one)) == canonical(skops.io.dumps(two))


def test_another_model_is_other_bytes() -> None:
    features, classes = load_iris(return_X_y=True)
    made = [RandomForestClassifier(5, random_state=seed).fit(features, classes) for seed in (0, 1)]
    assert canonical(skops.io.dumps(made[0])) != canonical(skops.io.dumps(made[1]))


def test_a_canonical_file_is_read_by_skops_and_predicts_the_same(folder: Path) -> None:
    features, classes = load_iris(return_X_y=True)
    shared = StandardScaler()
    model = make_pipeline(
        make_column_transformer((shared, [0, 1]), (FunctionTransformer(np.log1p), [2])),
        RandomForestClassifier(5, random_state=np.random.RandomState(0)),
    ).fit(features, classes)
    written = serialise(model, folder)
    content = (folder / "model.skops").read_bytes()
    loaded = skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))
    assert written.format == "skops"
    assert (loaded.predict_proba(features) == model.predict_proba(features)).all()
    assert canonical(skops.io.dumps(loaded)) == content


def test_no_time_and_no_address_is_in_the_file(folder: Path) -> None:
    serialise(RandomForestClassifier(2).fit(*load_iris(return_X_y=True)), folder)
    with zipfile.ZipFile(io.BytesIO((folder / "model.skops").read_bytes())) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        names = archive.namelist()
        schema = json.loads(archive.read("schema.json"))
    assert names == [*(f"{number}.npy" for number in range(len(names) - 1)), "schema.json"]
    assert schema["__id__"] == 1


def test_arrays_and_state_dicts_are_safetensors(folder: Path) -> None:
    state = {"w": np.arange(6.0).reshape(2, 3).T, "b": np.array([1, 2], dtype=">i4")}
    assert serialise(state, folder).format == "safetensors"
    loaded = safetensors.numpy.load_file(folder / "model.safetensors")
    assert (loaded["w"] == state["w"]).all()
    assert (loaded["b"] == [1, 2]).all()
    once = (folder / "model.safetensors").read_bytes()
    serialise(dict(reversed(state.items())), folder)
    assert (folder / "model.safetensors").read_bytes() == once


def test_a_path_is_taken_as_it_is(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "my.onnx"
    path.write_bytes(b"\x08\x07")
    assert serialise(str(path), folder).path == path
    assert serialise(path, folder).format == "onnx"
    assert serialise(tmp_path, folder).format == "onnx"
    (tmp_path / "x.pkl").write_bytes(b"")
    written = serialise(tmp_path, folder)
    assert written.format == "pickle"
    assert "runs code" in written.note


def test_onnx_bytes(folder: Path) -> None:
    assert serialise(b"\x08\x07" + b"x" * 20, folder).format == "onnx"
    assert (folder / "model.onnx").read_bytes() == b"\x08\x07" + b"x" * 20


@pytest.mark.parametrize("model", [object(), {"a": object()}, b"pickle", "no/such/file", lambda: None])
def test_anything_else_is_refused(model: object, folder: Path) -> None:
    with pytest.raises(NotSerialisable) as refused:
        serialise(model, folder)
    assert list(folder.iterdir()) == []
    if not isinstance(model, str):
        assert 'serializer="joblib"' in str(refused.value)


def test_a_model_that_skops_cannot_write_is_refused(folder: Path) -> None:
    with pytest.raises(NotSerialisable, match="joblib"):
        serialise(LogisticRegression(C=(value for value in [1])), folder)


def test_joblib_when_asked_for_is_shown_as_a_pickle(folder: Path) -> None:
    written = serialise({"any": "thing"}, folder, "joblib")
    assert written.format == "pickle"
    assert written.note
    assert joblib.load(folder / "model.joblib") == {"any": "thing"}


def test_an_unknown_name_is_refused_with_the_names(folder: Path) -> None:
    with pytest.raises(NotSerialisable, match="safetensors"):
        serialise(1, folder, "yaml")


class Text:
    """What another package may offer."""

    name = "text"
    format = "text"

    def accepts(self, model: object) -> bool:
        return isinstance(model, Text)

    def write(self, model: Any, folder: Path) -> None:
        (folder / "model.txt").write_text("text")


def test_an_adapter_of_another_package(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that is really on the path, with an entry point."""
    (tmp_path / "site" / "other-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "other_adapter.py").write_text(
        f"import sys\nText = next(m.Text for n, m in list(sys.modules.items()) if n == {__name__!r})\n"
    )
    information = tmp_path / "site" / "other-1.0.dist-info"
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[assay.serialisers]\ntext = other_adapter:Text\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    assert serialise(Text(), folder).format == "text"
    assert (folder / "model.txt").read_text() == "text"
