"""What surrounds the example pipeline: the files that CI systems read, and the receiver that starts it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from pipeline import STEPS
from receiver import Receiver, Spool, command
from standardwebhooks import Webhook

from config.environment import CHECKOUT
from registry.journal.webhooks import new_secret
from registry.models import ServiceToken
from tests.cast import Cast
from tests.journeys.test_pipeline import ASKS, MEASURES

EXAMPLE = CHECKOUT / "examples" / "pipeline"
GITLAB, GITEA, JENKINS = ".gitlab-ci.yml", ".gitea/workflows/assay.yml", "Jenkinsfile"


def commands(name: str) -> list[str]:
    """The lines of shell in one of the files, in their order."""
    text = (EXAMPLE / name).read_text()
    if name == JENKINS:
        return re.findall(r"\bsh '([^']+)'", text)
    told: Any = yaml.safe_load(text)
    if name == GITLAB:
        jobs = [told[stage] for stage in told["stages"]]
        return [*told["default"]["before_script"], *(line for job in jobs for line in job["script"])]
    return [step["run"] for step in told["jobs"]["judge"]["steps"] if "run" in step]


def unknown(lines: list[str]) -> Iterator[str]:
    """The lines that call something which is not there."""
    for line in lines:
        program, *rest = shlex.split(line)
        match [Path(program).name.removesuffix("3"), *rest]:
            case ["python", "pipeline.py", *steps] if steps and set(steps) <= set(STEPS):
                continue
            case ["python", "-m", "pip", "install", "--requirement", file] if (EXAMPLE / file).is_file():
                continue
            case ["python", "-m", "venv", ".venv"]:
                continue
        yield line


@pytest.mark.parametrize(("name", "schema"), [(GITLAB, "gitlab-ci"), (GITEA, "github-workflows")])
def test_each_file_is_what_its_ci_reads(name: str, schema: str) -> None:
    check = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        f"vendor.{schema}",
        str(EXAMPLE / name),
    ]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_jenkinsfile_is_whole() -> None:
    text = re.sub(r"//.*|'[^'\n]*'|\"[^\"\n]*\"", "", (EXAMPLE / JENKINS).read_text())
    assert text.count("{") == text.count("}")
    assert "'" not in text
    assert '"' not in text


@pytest.mark.parametrize("name", [GITLAB, GITEA, JENKINS])
def test_each_file_calls_only_what_is_there(name: str) -> None:
    lines = commands(name)
    assert list(unknown(lines)) == []
    taken = [step for line in lines if "pipeline.py" in line for step in shlex.split(line)[2:]]
    assert taken == list(STEPS), "every step, in its order"
    assert list(unknown(["python pipeline.py deploy", "assay nonsense"])) != []


def test_the_readme_names_the_scopes_that_exist() -> None:
    text = (EXAMPLE / "README.md").read_text()
    named = set(re.findall(r"^\| `ASSAY_[A-Z_]+` \|(.*)\|", text, re.MULTILINE))
    scopes = {scope for row in named for scope in re.findall(r"`([a-z._]+)`", row)}
    assert scopes == {permission.value for permission in (*MEASURES, *ASKS)}
    assert scopes == set(re.findall(r"--scope ([a-z._]+)", text))


def test_a_token_is_issued_with_its_scopes(cast: Cast, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"namespace": cast.namespace.name, "role": "data_scientist", "user": cast.user("ci").username}
    call_command("issue_token", **given, scope=["namespace.read", "check.report"])
    token = ServiceToken.objects.get(digest=ServiceToken.digest_of(capsys.readouterr().out.strip()))
    assert token.scopes == ["namespace.read", "check.report"]


SECRET = new_secret()


def call(
    event: str = "evt_1",
    *,
    kind: str = "version.ready",
    version: str = "team/scorer:3",
    at: datetime | None = None,
) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"type": kind, "data": {"subject": {"reference": version}}})
    now = at or datetime.now(UTC)
    headers = {
        "webhook-id": event,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(event, now, body),
    }
    return headers, body.encode()


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return Receiver(SECRET, Spool(tmp_path / "spool"), lambda version, event: 0)


def test_only_a_genuine_call_is_kept(receiver: Receiver) -> None:
    headers, body = call()
    assert receiver.hear({**headers, "webhook-signature": "v1,AAAA"}, body) == 401
    assert receiver.hear(headers, body.replace(b":3", b":4")) == 401
    assert receiver.hear({**headers, "webhook-id": "evt_2"}, body) == 401
    assert receiver.hear({}, body) == 401
    assert receiver.hear(*call(at=datetime.now(UTC) - timedelta(minutes=6))) == 401
    assert receiver.spool.waiting() == []

    assert receiver.hear(headers, body) == 204
    assert receiver.spool.waiting() == [("evt_1", "team/scorer:3")]


def test_what_is_not_for_it_is_not_kept(receiver: Receiver) -> None:
    assert receiver.hear(*call(kind="version.registered")) == 204
    assert receiver.hear(*call("../evt")) == 400
    assert receiver.hear(*call(version="team/scorer:3; rm -rf ~")) == 400
    assert receiver.spool.waiting() == []


def test_an_event_is_done_once_and_what_was_not_done_is_done_by_the_next_process(receiver: Receiver) -> None:
    ends = iter([2, 0])
    done = []

    def start(version: str, event: str) -> int:
        done.append(event)
        return next(ends)

    receiver.hear(*call())
    receiver.start = start
    receiver._work_off("evt_1", "team/scorer:3")
    assert receiver.spool.waiting(), "the server was away: it is tried again"

    after = Receiver(SECRET, receiver.spool, start)
    for event, version in after.spool.waiting():
        after._work_off(event, version)
    assert after.spool.waiting() == []
    assert after.hear(*call()) == 204
    assert after.spool.waiting() == []
    assert done == ["evt_1", "evt_1"]


def test_a_call_that_was_cut_off_while_it_was_kept_is_heard_again(receiver: Receiver) -> None:
    (receiver.spool.folder / "evt_1.new").write_text('{"ver')
    assert receiver.spool.waiting() == []
    assert receiver.hear(*call()) == 204
    assert receiver.spool.waiting() == [("evt_1", "team/scorer:3")]


def test_what_never_works_is_given_up(receiver: Receiver) -> None:
    receiver.start = lambda version, event: 2
    receiver.hear(*call())
    for _ in range(5):
        receiver._work_off("evt_1", "team/scorer:3")
    assert receiver.spool.waiting() == []
    assert (receiver.spool.folder / "evt_1.failed").exists()


def test_the_command_finds_the_version_in_its_environment(tmp_path: Path) -> None:
    told = str(tmp_path / "told")
    script = f'echo "$ASSAY_VERSION $ASSAY_EVENT" > {told}; exit 7'
    words = ["sh", "-c", script]
    assert command(words)("team/scorer:3", "evt_1") == 7
    assert (tmp_path / "told").read_text() == "team/scorer:3 evt_1\n"
