"""Runs and versions made by the real actions, each fact to be varied by name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from lineage.actions.datasets import Use, log_datasets
from lineage.actions.runs import Making, Measurement, log_to_run, start_run, update_run
from lineage.actions.versions import About, register_version
from lineage.models import Edge, Run
from registry.actions.uploads import create_upload
from registry.artifacts.manifests import Entry
from registry.models import ModelVersion
from tests.cast import Cast

CODE = {
    "commit": "1" * 40,
    "remote": "",
    "branch": "main",
    "dirty": False,
    "diff_digest": "",
    "untracked": [],
}
ENVIRONMENT = {
    "image_digest": "sha256:" + "f" * 64,
    "python": "CPython 3.11.7",
    "os": "Linux",
    "packages": {"numpy": "2.2.0", "scikit-learn": "1.7.1"},
    "hardware": {"cpu": "x", "cpus": 2, "gpus": []},
    "lock_file": {"path": "uv.lock", "digest": "sha256:" + "b" * 64},
    "seeds": {"numpy.random.seed": "1"},
}
CONFIG = {"path": "conf.yaml", "digest": "sha256:" + "c" * 64, "values": {"depth": "3"}}
COMPLETE = {"state": "complete", "notes": []}
EMPTY_FILE = hashlib.sha256(b"").hexdigest()


def digest_of(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def read(name: str, content: str | None = None, context: str = "training", rows: int | None = 1437) -> Use:
    """A dataset that was read; its content is its name unless given."""
    return Use(name, digest_of(content or name), Edge.Role.INPUT.value, context=context, rows=rows)


def wrote(name: str, content: str | None = None) -> Use:
    return Use(name, digest_of(content or name), Edge.Role.OUTPUT.value)


def a_run(
    cast: Cast,
    *,
    by: str = "ben",
    uses: Sequence[Use] | None = None,
    parameters: dict[str, str] | None = None,
    metrics: dict[str, float] | None = None,
    capture: dict[str, Any] | None = None,
    elsewhere: bool = False,
    status: str = "finished",
    **making: Any,
) -> Run:
    """A finished run, complete unless told otherwise; `running`, and silent of its capture, if that is its status."""
    principal = cast.principal(by)
    facts: dict[str, Any] = {
        "entry_point": "train.py",
        "command": ["python", "train.py"],
        "code": CODE,
        "environment": ENVIRONMENT,
        "config": CONFIG,
        **making,
    }
    namespace = cast.elsewhere if elsewhere else cast.namespace
    run = start_run(namespace=namespace, by=principal, experiment="scoring", making=Making(**facts))
    log_to_run(
        run=run,
        by=principal,
        parameters={"lr": "0.1", "seed": "1"} if parameters is None else parameters,
        metrics=[Measurement(key, value, 0, 1) for key, value in (metrics or {}).items()],
    )
    log_datasets(run=run, by=principal, uses=[read("train.csv")] if uses is None else uses)
    if status == Run.Status.RUNNING:
        return run
    return update_run(run=run, by=principal, status=status, capture=capture or COMPLETE)


def a_version(
    cast: Cast,
    run: Run | None = None,
    *,
    by: str = "ben",
    base: Sequence[str] = (),
    name: str = "scorer",
    elsewhere: bool = False,
) -> ModelVersion:
    """A version of `scorer`, registered from an upload of one empty file."""
    principal = cast.principal(by)
    namespace = cast.elsewhere if elsewhere else cast.namespace
    upload = create_upload(namespace=namespace, files=[Entry("model.txt", 0, EMPTY_FILE)], by=principal)
    made = register_version(
        namespace=namespace,
        name=name,
        upload=upload.pk,
        by=principal,
        run=run.pk if run else None,
        base=base,
        about=About(description="made by a test"),
    )
    return ModelVersion.objects.select_related("model__namespace", "manifest", "created_by").get(pk=made.pk)
