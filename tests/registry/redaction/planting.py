"""A secret in every place that a namespace's members can put text, by the real actions; and a look for it in every
column of every table."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone

from lifecycle.actions.holds import ask_lift, decide_lift, place_hold
from lifecycle.actions.policies import report_check
from lifecycle.actions.promotions import decide_promotion, request_promotion
from lifecycle.actions.quarantine import lift_quarantine, quarantine_versions
from lifecycle.models import Promotion
from lifecycle.promotions import settle
from lineage.actions.datasets import Use
from lineage.actions.runs import log_to_run
from lineage.models import Edge, LineageEvent, Run
from registry.actions.attachments import add_attachment
from registry.actions.evaluations import Measured, MeasuredOn, record_evaluation
from registry.actions.models import edit_model
from registry.actions.redactions import ask_redaction, decide_redaction
from registry.artifacts.publish import publish
from registry.models import (
    Attachment,
    Delivery,
    DeliveryAttempt,
    Event,
    ModelVersion,
    Redaction,
    RegisteredModel,
    Webhook,
)
from tests.cast import Cast, hold_role
from tests.factories import HELD_OUT
from tests.lineage.scenes import CODE, ENVIRONMENT, a_run, a_version, digest_of

CANARY = 'hunter2-"Grünkohl"-7f3a'
DIFF = f"+TOKEN = {CANARY}\n".encode()

REASON = "A password is in the command line."


@dataclass
class Planted:
    """A version in production, the run that made it, and the canary in everything that is told of them."""

    version: ModelVersion
    run: Run
    promotion: Promotion
    attachment: Attachment


def planted(cast: Cast) -> Planted:
    """The canary wherever text is taken."""
    use = Use(
        f"{CANARY}.csv",
        digest_of("x"),
        Edge.Role.INPUT.value,
        "training",
        schema={CANARY: "int"},
        source=f"s3://{CANARY}/",
    )
    run = a_run(
        cast,
        uses=[use],
        parameters={"token": CANARY, "lr": "0.1", CANARY: "as a key"},
        entry_point=f"{CANARY}.py",
        command=["python", "train.py", f"--token={CANARY}", "--lr=0.1"],
        code={**CODE, "remote": f"https://u:{CANARY}@git.example/x", "untracked": [CANARY, "b.py"]},
        environment={
            **ENVIRONMENT,
            "packages": {"numpy": "2.2.0", CANARY: "1.0"},
            "notes": [{"deep": CANARY}],
        },
        config={"path": "conf.yaml", "digest": digest_of("c"), "values": {"password": CANARY, "depth": "3"}},
        capture={"state": "complete", "notes": [f"read {CANARY}"]},
    )
    log_to_run(run=run, by=cast.principal("ben"), parameters={}, tags={CANARY: "a", "note": CANARY})
    Run.objects.filter(pk=run.pk).update(failure=f"Traceback: {CANARY}")
    version = a_version(cast, run)
    publish(version.pk)
    version.refresh_from_db()
    ada = cast.principal("ada")
    edit_model(model=version.model, by=ada, description=f"Login is {CANARY}.")
    record_evaluation(
        version=version,
        on=MeasuredOn(dataset=f"{CANARY}.held", digest=HELD_OUT, split="test"),
        metrics=[Measured(name="accuracy", value=0.95)],
        evaluator=CANARY,
        by=cast.principal("ci"),
    )
    attachment = add_attachment(
        version=version,
        kind="code_diff",
        name="changes.diff",
        body=io.BytesIO(DIFF),
        length=len(DIFF),
        by=cast.principal("ben"),
    )
    eve = cast.principal("eve")
    settle(promotion_id=request_promotion(version=version, target="staging", reason=CANARY, by=eve).pk)
    report_check(version=version, name="integration", passed=True, sentence=CANARY, by=cast.principal("ci"))
    promotion = request_promotion(version=version, target="production", reason=CANARY, by=eve)
    promotion = settle(promotion_id=promotion.pk)
    promotion = decide_promotion(
        promotion=promotion, verdict="approve", reason=CANARY, by=cast.principal("cora")
    )
    cora = cast.principal("cora")
    quarantine_versions(versions=[version], reason=CANARY, by=cora, found_by={"dataset": [CANARY]})
    hold_role(cast.namespace, cast.user("ada"), "production_operator")
    lift_quarantine(versions=[version], reason=CANARY, by=ada)
    hold = place_hold(version=version, reason=CANARY, by=ada)
    ask_lift(hold=hold, reason=CANARY, by=ada)
    decide_lift(hold=hold, verdict="refuse", reason=CANARY, by=cora)
    LineageEvent.objects.create(
        namespace=cast.namespace,
        digest="e" * 64,
        body={"run": {"facets": {"env": [CANARY, 1]}}, CANARY: 4711},
    )
    _told_outside(cast)
    answer = cast.client("ben").post(
        f"/api/v1/namespaces/{cast.namespace.name}/runs",
        {"experiment": CANARY, "command": [CANARY], "started_at": timezone.now().isoformat()},
        headers={"Idempotency-Key": "once"},
    )
    assert answer.status_code == 201, answer.content
    version.refresh_from_db()
    return Planted(version, run, promotion, attachment)


def _told_outside(cast: Cast) -> None:
    """A receiver that answered with what it was told."""
    hook = Webhook.objects.create(
        namespace=cast.namespace,
        name="ci",
        url="http://127.0.0.1:9/",
        events=["*"],
        secret="x",
        created_by=cast.user("ada"),
    )
    event = Event.objects.filter(namespace=cast.namespace).latest("pk")
    delivery = Delivery.objects.create(webhook=hook, event=event, due_at=timezone.now())
    DeliveryAttempt.objects.create(delivery=delivery, at=timezone.now(), status=500, answer=f"no: {CANARY}")


def another_model(cast: Cast, description: str) -> RegisteredModel:
    """A model elsewhere, whose description is not this namespace's to change."""
    return RegisteredModel.objects.create(
        namespace=cast.elsewhere, name="other", description=description, created_by=cast.user("mallory")
    )


def columns_that_hold(text: str) -> dict[str, int]:
    """`table.column` of every text, array and JSON column of the database that holds the text: how many rows."""
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'jsonb', 'json', 'ARRAY')"
        )
        for table, column, kind in cursor.fetchall():
            # As it is written in JSON, where it is.
            spelt = text if kind in {"text", "character varying"} else text.replace('"', '\\"')
            cursor.execute(
                f'SELECT count(*) FROM "{table}" WHERE position(%s in "{column}"::text) > 0', [spelt]
            )
            if count := cursor.fetchone()[0]:
                found[f"{table}.{column}"] = count
    return found


def asked(cast: Cast, who: str = "ada", text: str | None = CANARY, **more: Any) -> Redaction:
    """A redaction of the canary, or of what is named, that waits for somebody else."""
    return ask_redaction(namespace=cast.namespace, reason=REASON, text=text, by=cast.principal(who), **more)


def approved(cast: Cast, row: Redaction, who: str = "cora") -> Redaction:
    """Taken out, if that person may."""
    return decide_redaction(redaction=row, verdict="approve", reason="indeed", by=cast.principal(who))
