"""The example pipeline as its users run it: registered, heard, measured, staged, checked, asked; and no person until
the approval."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import skops.io
from pytest_django import Settings
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import assay
from config.celery import app as celery_app
from config.embedded import programs
from config.embedded.home import free_port
from config.embedded.process import Child
from config.embedded.supervisor import serves
from config.environment import CHECKOUT
from lifecycle.models import CheckReport, Promotion
from registry.actions.people import create_user, issue_token
from registry.actions.roles import grant_role
from registry.actions.webhooks import create_webhook
from registry.models import SYSTEM, Delivery, Evaluation, Event, ModelVersion, OutboxItem, User
from registry.roles import Permission, Role
from tests.cast import Cast
from tests.conftest import Live, Process
from tests.journeys.test_command_line import trained

EXAMPLE = CHECKOUT / "examples" / "pipeline"
P = Permission
# What each of the two tokens is for, and no more.
MEASURES = [P.NAMESPACE_READ, P.EVALUATION_CREATE, P.CHECK_REPORT]
ASKS = [P.NAMESPACE_READ, P.PROMOTION_REQUEST]


@dataclass
class Desk:
    """The pipeline at work: its receiver, its environment, and the accounts it speaks as."""

    cast: Cast
    live: Live
    receiver: Child
    environment: dict[str, str]
    asking: User

    def names(self) -> set[str]:
        return {self.cast.user("ci").username, self.asking.username}

    def push(self, folder: Path, model: object, commit: str) -> str:
        """ben trains and registers; that is the last that a person does."""
        run = trained(self.cast, self.live, folder, commit, 3)
        (folder / "model.skops").write_bytes(skops.io.dumps(model))
        with assay.Client(self.live.url, self.cast.token("ben")) as ben:
            reference = f"{self.cast.namespace.name}/digits"
            return str(ben.push(folder, reference, run=run, format="skops", wait=False)["reference"])

    def wrote(self) -> tuple[int, int, int]:
        """How many evaluations, checks and promotions there are."""
        where = {"version__model__namespace": self.cast.namespace}
        rows = (Evaluation.objects, CheckReport.objects, Promotion.objects)
        return tuple(each.filter(**where).count() for each in rows)  # type: ignore[return-value]


def eventually(look: Callable[[], object], what: str, tell: Callable[[], str]) -> None:
    end = time.monotonic() + 90
    while not look():
        assert time.monotonic() < end, f"{what} did not happen:\n{tell()}"
        time.sleep(0.2)


@pytest.fixture
def desk(cast: Cast, live: Live, broker: Process, settings: Settings, tmp_path: Path) -> Iterator[Desk]:
    port = free_port()
    settings.WEBHOOK_HOSTS = [f"127.0.0.1:{port}"]
    asking = create_user(
        username=cast.user("eve").username.replace("eve", "release"), owner=cast.user("eve"), by=SYSTEM
    )
    grant_role(namespace=cast.namespace, user=asking, role=Role.ML_ENGINEER, by=SYSTEM)
    tokens = [
        issue_token(user=user, name="pipeline", namespace=cast.namespace, scopes=[*scopes], by=SYSTEM)[1]
        for user, scopes in ((cast.user("ci"), MEASURES), (asking, ASKS))
    ]
    _, secret = create_webhook(
        namespace=cast.namespace,
        name="pipeline",
        url=f"http://127.0.0.1:{port}/assay",
        events=["version.ready"],
        by=cast.principal("ada"),
    )
    (tmp_path / "secret").write_text(secret)
    given = {name: value for name, value in os.environ.items() if name != "DATABASE_OWNER_URL"}
    given = programs.python_environment({**given, "ASSAY_WEBHOOK_HOSTS": f"127.0.0.1:{port}"})
    worker = programs.worker(given, tmp_path / "worker.log")
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "no_proxy")},
        "ASSAY_URL": live.url,
        "ASSAY_TOKEN": tokens[0],
        "ASSAY_REQUEST_TOKEN": tokens[1],
        "ASSAY_CACHE": "off",
        "PIPELINE_HELD_OUT": str(tmp_path / "held_out.csv"),
        "PIPELINE_SECRET_FILE": str(tmp_path / "secret"),
        "PIPELINE_SPOOL": str(tmp_path / "spool"),
        "PIPELINE_LISTEN": f"127.0.0.1:{port}",
        "PIPELINE_RETRY_SECONDS": "2",
    }
    command = [sys.executable, "receiver.py", sys.executable, "pipeline.py"]
    receiver = Child("receiver", command, log=tmp_path / "receiver.log", env=environment, cwd=EXAMPLE)
    with celery_app.connection_for_write() as link:
        celery_app.control.purge(connection=link)
    OutboxItem.objects.all().delete()
    try:
        worker.start()
        receiver.start()
        receiver.wait_until(lambda: serves(f"http://127.0.0.1:{port}/"), timeout=30, every=0.1)
        yield Desk(cast, live, receiver, environment, asking)
    finally:
        receiver.kill()
        worker.kill()


@pytest.mark.django_db(transaction=True)
def test_no_person_until_the_approval(desk: Desk, tmp_path: Path) -> None:
    images, labels = load_digits(return_X_y=True, as_frame=True)
    x, held_out, y, truth = train_test_split(images, labels, test_size=0.3, random_state=7, stratify=labels)
    held_out.assign(label=truth).to_csv(tmp_path / "held_out.csv", index=False)
    cast, said = desk.cast, desk.receiver.output

    good = desk.push(tmp_path / "good", SVC().fit(x, y), "a")
    eventually(lambda: "ended with 0" in said(), f"{good} coming to the desk", said)
    version = ModelVersion.objects.get(model__namespace=cast.namespace, number=1)
    assert version.stage == "staging"
    waiting = Promotion.objects.get(version=version, target="production")
    assert waiting.state == "awaiting_approval"
    assert f"{good}: every gate of production passed; a person decides now" in said()
    ready = Event.objects.get(namespace=cast.namespace, type="version.ready")
    after = Event.objects.filter(namespace=cast.namespace, pk__gt=ready.pk)
    assert set(after.values_list("actor__username", flat=True)) - {None} == desk.names()
    measured = Evaluation.objects.get(version=version)
    assert (measured.by, measured.evaluator) == (cast.user("ci"), "pipeline.py")
    assert desk.wrote() == (1, 1, 2)

    # The same webhook again, and the work again by hand for the same event: nothing is written twice.
    with assay.Client(desk.live.url, cast.token("ada")) as ada:
        ada.post(f"/api/v1/deliveries/{Delivery.objects.get(event=ready).pk}/redeliver")
    eventually(lambda: "heard before, nothing to do" in said(), "the second call", said)
    events = Event.objects.filter(namespace=cast.namespace).count()
    event = {"ASSAY_EVENT": f"evt_{ready.pk}", "ASSAY_VERSION": good}
    again = subprocess.run(
        [sys.executable, "pipeline.py"],
        cwd=EXAMPLE, env={**desk.environment, **event}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (again.returncode, again.stderr) == (0, ""), again.stdout
    assert "reported by an earlier run" in again.stdout
    assert desk.wrote() == (1, 1, 2)
    assert Event.objects.filter(namespace=cast.namespace).count() == events

    with assay.Client(desk.live.url, cast.token("cora")) as cora:
        assert cora.approve(str(waiting.pk), "Read.")["state"] == "applied"

    worse = desk.push(tmp_path / "worse", DecisionTreeClassifier(max_depth=10, random_state=1).fit(x, y), "b")
    eventually(lambda: "ended with 1" in said(), f"{worse} being refused", said)
    assert f"{worse}: entered staging" in said()
    assert f"{worse}: production refused" in said()
    why = said().partition("fail  no_regression: accuracy is 0.8")[2]
    assert f"of {good} in production" in why
    assert "but must not be worse" in why
    assert ModelVersion.objects.get(model__namespace=cast.namespace, number=2).stage == "staging"
