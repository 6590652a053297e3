"""A data scientist's training script, as they would write it: the one line of Assay is the decorator."""

from __future__ import annotations

import argparse
from typing import Any

import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import assay


@assay.track(model="demo/digits", experiment="digits")
def train(data: str, kind: str, seed: int) -> tuple[Any, dict[str, float]]:
    """Recognise handwritten digits (8 x 8 pixels) from `data`, a CSV with a `label` column."""
    rows = pd.read_csv(data)
    images, labels = rows.drop(columns="label"), rows["label"]
    if kind == "tree":
        model = DecisionTreeClassifier(max_depth=10, random_state=seed)
    else:
        model = make_pipeline(StandardScaler(), SVC(random_state=seed))
    model.fit(images, labels)
    return model, {"train_accuracy": float(model.score(images, labels))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="data/train.csv")
    parser.add_argument("--kind", choices=["tree", "svm"], required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train(data=options.data, kind=options.kind, seed=options.seed)
