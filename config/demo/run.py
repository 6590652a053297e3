"""Putting the demonstration on: the stack, the people, the acts, the summary."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import assay
from config.buckets import client_for
from config.demo.cast import Cast, PipelineProcess
from config.demo.project import Project
from config.demo.story import Story, short
from config.demo.telling import DoesNotHold, Teller
from config.embedded.home import HomeIsBusy, free_port, write_private
from config.embedded.supervisor import CannotStart, Stack

PIPELINE_EVENTS = ["version.ready"]


def run(home: Path, port: int | None) -> int:
    """0 when everything that was claimed held, else 1."""
    tell = Teller()
    tell.title(
        "[bold]Assay[/]: from training to production and back, on this machine",
        "[dim]Postgres, Valkey and an S3 store start from their wheels; nothing leaves 127.0.0.1.[/]",
    )
    pipeline_port = free_port()
    os.environ["ASSAY_CACHE"] = (
        "off"  # it leaves nothing in anybody's home, and fetches what it says it fetches
    )
    given = {
        **os.environ,
        "ASSAY_WEBHOOK_HOSTS": f"127.0.0.1:{pipeline_port}",
        # Cold copies are verified before the hot ones go; the day of grace between is skipped here.
        "ASSAY_TIER_GRACE_SECONDS": "0",
    }
    try:
        with Stack(home, given=given, port=port) as stack, tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            return _play(tell, stack, Path(folder), pipeline_port)
    except (CannotStart, HomeIsBusy) as problem:
        tell.console.print(f"[red]{problem}[/]")
        return 1


def _play(tell: Teller, stack: Stack, folder: Path, pipeline_port: int) -> int:
    stack.start_services()
    password = stack.prepare()
    stack.start_processes()
    tell.console.print(f"[dim]Everything runs after {tell.elapsed():.1f} s at {stack.url}.[/]")
    cast = Cast(stack, f"demo-{secrets.token_hex(3)}")
    project = Project(folder / "digits", seed=secrets.randbelow(1_000_000))
    secret_file = folder / "webhook.secret"
    pipeline = PipelineProcess(cast, pipeline_port, project.held_out, secret_file)
    try:
        story = _rehearse(tell, cast, project, pipeline, secret_file)
        _acts(story, stack)
    except (DoesNotHold, assay.AssayError, subprocess.CalledProcessError) as broken:
        tell.console.print(f"\n[red bold]The demonstration does not hold:[/] {broken}")
        tell.console.print(f"[dim]Logs are in {stack.home.path / 'logs'}.[/]")
        for line in pipeline.lines[-10:]:
            tell.console.print(f"[dim]ci │ {line}[/]")
        return 1
    finally:
        pipeline.stop()
    _summary(tell, story, stack, password)
    return 0


def _rehearse(
    tell: Teller, cast: Cast, project: Project, pipeline: PipelineProcess, secret_file: Path
) -> Story:
    tell.act("People, a project, and a pipeline that listens")
    cast.enter()
    commit = project.create(f"{cast.namespace}/digits")
    tell.shows(
        f"namespace {cast.namespace}: ada (admin), ben (data scientist), eve (ML engineer and operator),",
        "cora (operator), otto (auditor), ci (a service account that ada answers for)",
        f"a Git repository at {commit[:10]} and scikit-learn's handwritten digits as two CSV files",
    )
    hook = cast["ada"].post(
        f"/api/v1/namespaces/{cast.namespace}/webhooks",
        {"name": "ci", "url": pipeline.url, "events": PIPELINE_EVENTS},
    )
    write_private(secret_file, hook["secret"])
    pipeline.start()
    tell.person("ada", "points a signed webhook at the pipeline")
    story = Story(tell, cast, project, pipeline)
    story.made |= {"commit": commit, "webhook": hook["id"]}
    return story


def _acts(story: Story, stack: Stack) -> None:
    tell = story.tell
    tell.act("Train: what made the model is captured by itself")
    story.train("tree", 1, "a baseline: a decision tree")
    story.capture()
    tell.act("Publish: bytes that prove themselves")
    story.publish()
    tell.act("The baseline goes to production, through gates and an approval")
    story.to_production(1, "the first model for the mail sorter")
    story.approve(1, "good enough to begin with")
    tell.act("A better one replaces it, and nobody approves their own request")
    story.train("svm", 2, "a support vector machine")
    story.to_production(2, "reads one digit in seven better")
    story.own_request(2)
    story.approve(2, "better on the same held-out data")
    tell.act("Is the record enough to make it again?")
    story.reproduce()
    tell.act("A model trained on silently damaged data is refused, with reasons")
    story.damaged()
    tell.act("Why is it worse?")
    story.why()
    tell.act("Roll back at night, and forward again")
    story.roll_back()
    tell.act("An object is overwritten in the store")
    story.tamper(overwriter(stack))
    tell.act("Archive the old version, and bring it back")
    story.archive()
    tell.act("And who did all this?")
    story.journal()


def overwriter(stack: Stack) -> Any:
    """Somebody with the keys of the store: writes other bytes of the same length over an object."""
    environment = stack.environ()
    client = client_for(
        stack.setting("S3_ENDPOINT_URL"),
        stack.setting("S3_ACCESS_KEY_ID"),
        stack.setting("S3_SECRET_ACCESS_KEY"),
        environment.get("S3_REGION", "us-east-1"),
    )
    bucket, prefix = environment.get("S3_BUCKET_HOT", "assay-hot"), environment.get("S3_KEY_PREFIX", "")

    def overwrite(sha256: str, size: int) -> None:
        key = f"{prefix}cas/sha256/{sha256[:2]}/{sha256}"
        client.head_object(Bucket=bucket, Key=key)
        client.put_object(Bucket=bucket, Key=key, Body=b"\0" * size)

    return overwrite


def _summary(tell: Teller, story: Story, stack: Stack, password: str | None) -> None:
    versions = [story.version(number) for number in (1, 2, 3)]
    rows = []
    for version in versions:
        accuracy = next(
            m["value"] for m in version["metrics"] if m["name"] == "accuracy" and m["split"] == "test"
        )
        state = "quarantined" if version["quarantined"] else version["tier"]
        rows.append(
            (
                short(version["reference"]),
                version["stage"],
                f"{accuracy:.4f}",
                state,
                version["digest"][:19] + "…",
            )
        )
    tell.table(
        f"{len(tell.claims)} claims held, in {tell.elapsed():.0f} s",
        ("version", "stage", "accuracy", "bytes", "digest"),
        rows,
    )
    kept = {
        "namespace": story.cast.namespace,
        "model": story.model,
        "url": stack.url,
        "versions": {
            v["reference"]: {"id": v["id"], "digest": v["digest"], "stage": v["stage"]} for v in versions
        },
        **story.made,
        "claims": [claim for _, claim in tell.claims],
        "seconds": round(tell.elapsed(), 1),
    }
    write_private(stack.home.path / "demo.json", json.dumps(kept, indent=2) + "\n")
    address = stack.url
    tell.title(
        "\nLook around: [bold]make up[/] starts it again over the same data; then open",
        f"  {versions[1]['url']}   the version in production",
        f"  {address}/admin/desk/   the approvals desk",
        f"  {address}/api/v1/docs/   the REST interface",
        f"[dim]ids and digests: {stack.home.path / 'demo.json'}[/]",
    )
    if password:
        tell.title(
            f"Log in as [bold]admin[/] with the one-time password [bold]{password}[/] (shown only now)"
        )
