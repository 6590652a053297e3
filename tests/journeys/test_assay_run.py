"""A training script that knows nothing of Assay, under `assay run`, on the real server."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import secrets
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from psycopg import sql

import assay
from assay.answers import Run
from assay.errors import Unreachable
from assay.tracking import kept
from assay.tracking.sending import Sender
from config.buckets import client_for
from tests.cast import Cast
from tests.conftest import Live

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = '''"""Predict `y`: a script as people have it."""

import argparse
import json
import pickle
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score


def read(folder):
    rows = pd.read_csv(folder / "train.csv")
    more = pq.read_table(folder / "more.parquet").to_pandas()
    return rows.join(more)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--trees", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--api-key", default="")
    given = parser.parse_args()

    rows = read(given.data)
    inputs, answers = rows[["a", "b", "q"]], rows["y"]
    model = RandomForestClassifier(given.trees, random_state=given.seed)
    model.fit(inputs, answers)

    out = Path("out")
    out.mkdir(exist_ok=True)
    with (out / "model.pkl").open("wb") as file:
        pickle.dump(model, file)
    accuracy = accuracy_score(answers, model.predict(inputs))
    (out / "metrics.json").write_text(json.dumps({"accuracy": accuracy}))


if __name__ == "__main__":
    main()
'''


class Desk:
    """Ben's work tree, his token, and the command line."""

    def __init__(self, root: Path, url: str, token: str) -> None:
        self.root = root
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DATABASE")},
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "ASSAY_URL": url,
            "ASSAY_TOKEN": token,
            "XDG_CACHE_HOME": str(root.parent / "cache"),
            "XDG_STATE_HOME": str(root.parent / "state"),
        }

    def do(self, *command: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    def assay(self, *arguments: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-c", "from assay.cli import main; main()", *arguments)
        return self.do(*command, code=code, **variables)

    def commit(self) -> None:
        self.do("git", "add", "-A")
        self.do("git", "-c", "user.name=ben", "-c", "user.email=ben@example.com", "commit", "-qm", "work")


@pytest.fixture
def desk(tmp_path: Path, live: Live, cast: Cast) -> Desk:
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    (root / "train.py").write_text(SCRIPT)
    (root / ".gitignore").write_text("data/\nout/\n")
    (root / "data" / "train.csv").write_text("a,b,y\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(60)))
    made = Desk(root, live.url, cast.token("ben"))
    frame = "import pandas as p; p.DataFrame({'q': range(60)}).to_parquet('data/more.parquet')"
    made.do(sys.executable, "-c", frame)
    made.do("git", "init", "-q", "-b", "main")
    made.commit()
    return made


def only_run(ben: assay.Client, cast: Cast) -> dict[str, Any]:
    (run,) = ben.runs(cast.namespace.name)
    return dict(ben.run(run["id"]))


RUN = ("--model", "out/model.pkl", "--metrics", "out/metrics.json", "--", "python", "train.py", "data")


def test_an_unchanged_script_ends_with_a_version_that_knows_what_made_it(
    desk: Desk, ben: assay.Client, cast: Cast, model: str
) -> None:
    assert "assay" not in SCRIPT
    done = desk.assay("run", "--name", model, *RUN, "--trees", "5", "--seed=1")
    version, run = ben.version(f"{model}:1"), only_run(ben, cast)

    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(f"registered {model}:1"), done.stderr
    assert (version["status"], version["run"], version["format"]) == ("ready", run["id"], "pickle")
    assert run["capture"] == {"state": "complete", "notes": []}
    assert version["completeness"]["state"] == "complete", version["completeness"]
    assert (run["status"], run["entry_point"]) == ("finished", "train.py")
    assert run["command"] == ["python", "train.py", "data", "--trees", "5", "--seed=1"]
    assert run["parameters"] == {"arg1": "data", "trees": "5", "seed": "1"}
    assert run["metrics"]["accuracy"] > 0.5
    assert run["code"]["commit"] == desk.do("git", "rev-parse", "HEAD").stdout.strip()
    assert run["code"]["source_digest"] == "sha256:" + hashlib.sha256(SCRIPT.encode()).hexdigest()
    assert {use["name"]: use["digest"] for use in run["datasets"]} == {
        name: "sha256:" + hashlib.sha256((desk.root / name).read_bytes()).hexdigest()
        for name in ("data/train.csv", "data/more.parquet")
    }
    environment = run["environment"]
    assert {"pandas", "pyarrow", "scikit-learn"} <= set(environment["packages"])
    assert environment["hardware"]["cpus"] >= 1
    assert environment["hardware"]["memory"] > 2**20


def test_a_failing_script_ends_as_it_would_and_says_why(
    desk: Desk, ben: assay.Client, cast: Cast, model: str
) -> None:
    (desk.root / "fails.py").write_text("import sys\nprint('out')\nraise ValueError('password=c4n4ry')\n")
    desk.commit()
    done = desk.assay("run", "--name", model, "--", "python", "fails.py", code=1)
    run = only_run(ben, cast)
    assert done.stdout == "out\n"
    assert "ValueError: password=c4n4ry" in done.stderr, "the script's own output is untouched"
    assert run["status"] == "failed"
    assert run["failure"].endswith("ValueError: password=[redacted]")
    assert 'File "' in run["failure"]


def test_what_was_trained_without_the_registry_is_sent_later(
    desk: Desk, ben: assay.Client, cast: Cast, model: str, live: Live, nobody: str
) -> None:
    (desk.root / "train.py").write_text(SCRIPT + "\n# changed\n")
    done = desk.assay("run", "--name", model, *RUN, ASSAY_URL=nobody)
    assert "assay send" in done.stderr
    assert ben.runs(cast.namespace.name) == []
    (record,) = (desk.root.parent / "state" / "assay" / "unsent").glob("*/record.json")
    held = json.loads(record.read_text())
    record.write_text(
        json.dumps({**held, "server": live.url})
    )  # the same registry, at an address that answers

    assert f"{model}:1" in desk.assay("send").stdout
    run, version = only_run(ben, cast), ben.version(f"{model}:1")
    assert (run["status"], version["run"]) == ("finished", run["id"])
    assert len(run["datasets"]) == 2
    assert [each["kind"] for each in ben.attachments(f"{model}:1")] == ["code_diff"]
    assert desk.assay("send").stdout.strip() == "Nothing is waiting to be sent."


class _Forgetful(assay.Client):
    """Loses the answer to the first run that it creates."""

    lost: str = ""

    def create_run(self, namespace: str, **facts: Any) -> Run:
        answer = super().create_run(namespace, **facts)
        if not self.lost:
            self.lost = answer["id"]
            raise Unreachable("The answer did not come.")
        return answer


def test_a_run_whose_answer_was_lost_is_recorded_once(
    live: Live, cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with _Forgetful(live.url, cast.token("ben")) as client:
        with assay.run(namespace=cast.namespace.name, client=client, on_unreachable="keep") as run:
            run.log_metric("auc", 0.5)
        (found,) = client.runs(cast.namespace.name)
        assert (found["id"], found["status"]) == (client.lost, "finished")


def test_a_kept_run_that_was_created_and_not_written_down_is_created_once(
    ben: assay.Client, cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    create = {
        "namespace": cast.namespace.name, "idempotency_key": "k-1", "experiment": "card",
        "started_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    Sender(ben, "local-k-1", create).keep()
    created = ben.create_run(**create)["id"]
    (sent,) = kept.send(ben, kept.kept_folders())
    assert (sent.problem, sent.run) == ("", created)
    assert [run["id"] for run in ben.runs(cast.namespace.name)] == [created]


@pytest.fixture
def nobody() -> str:
    return "http://127.0.0.1:9"


# Each is made of parts, so that this file is no place where they are found.
CANARY = "c4n4ry" + secrets.token_hex(6)


def canaries() -> dict[str, str]:
    """One secret of each kind, none like another."""
    return {
        kind: CANARY + kind
        for kind in (
            "env", "envkey", "dburl", "password", "apikey", "userinfo", "signed", "jwt", "pem", "aws", "diff",
            "diffurl", "remote", "branch", "config", "nested", "path", "raised", "untracked", "header", "variable",
        )
    }  # fmt: skip


LEAKY = """
import json, os, pathlib, sys

pathlib.Path("out").mkdir(exist_ok=True)
for root, _, names in os.walk("data"):
    for name in names:
        open(os.path.join(root, name), "rb").read()
pathlib.Path("out/model.bin").write_bytes(b"weights")
pathlib.Path("out/metrics.json").write_text(json.dumps({"auc": 0.5, "token=" + sys.argv[2]: 1}))
password = os.environ["TRAINER_PASSWORD"]
if "fail" in sys.argv:
    address = "postgres://u:" + sys.argv[2] + "@db"
    raise RuntimeError(f"login with {password} at {address} failed, " + os.environ["WAREHOUSE_KEY"])
"""


def test_no_secret_of_any_kind_reaches_the_registry(
    desk: Desk, ben: assay.Client, cast: Cast, model: str, owner_db: psycopg.Connection[tuple[Any, ...]]
) -> None:
    since = datetime.now(UTC) - timedelta(seconds=5)
    planted = canaries()
    (desk.root / "train.py").write_text(LEAKY)
    config = {
        "net": {"db_password": planted["config"]},
        "stores": [{"secret_key": planted["nested"]}],
        "lr": 0.1,
    }
    (desk.root / "conf.json").write_text(json.dumps(config))
    (desk.root / "settings.py").write_text("x = 1\n")
    desk.commit()
    (desk.root / "settings.py").write_text(
        f'x = 2\nDB_PASSWORD = "{planted["diff"]}"\nURL = "https://ben:{planted["diffurl"]}@host/x"\n'
        f"KEY = '''-----BEGIN RSA PRIVATE KEY-----\n{planted['pem']}\n-----END RSA PRIVATE KEY-----'''\n"
        f'again = "{planted["password"]}"\n'
    )
    (desk.root / f"notes-token={planted['untracked']}").write_text("x")
    folder = desk.root / "data" / f"api_key={planted['path']}"
    folder.mkdir()
    (folder / "rows.csv").write_text("1\n")
    desk.do("git", "remote", "add", "origin", f"https://ben:{planted['remote']}@git.example.com/x.git")
    desk.do("git", "checkout", "-qb", f"token={planted['branch']}")
    jwt = f"eyJhbGciOiJIUzI1NiJ9.{planted['jwt']}.c2lnbmF0dXJl"
    arguments = (
        "--token", planted["raised"], "--password", planted["password"], f"--api-key={planted['apikey']}",
        "--config", "conf.json", "--jwt", jwt, f"--bucket=https://s3/x?X-Amz-Signature={planted['signed']}",
        "--db", f"postgres://ben:{planted['userinfo']}@db/x", "--aws-secret-access-key", planted["aws"],
        "--header", f"Authorization: Bearer {planted['header']}",
    )  # fmt: skip
    desk.environment |= {
        "TRAINER_PASSWORD": planted["env"],
        "WAREHOUSE_KEY": planted["envkey"],
        "WAREHOUSE_URL": f"mysql://u:{planted['dburl']}@host/x",
        "SOME_VARIABLE": planted["variable"],
    }
    start = (
        "run",
        "--name",
        model,
        "--model",
        "out/model.bin",
        "--metrics",
        "out/metrics.json",
        "--",
        "python",
    )
    told = [
        desk.assay(*start, "train.py", *arguments),
        desk.assay(*start, "train.py", *arguments, "fail", code=1),
    ]
    assert f"registered {model}:1" in told[0].stderr
    diff = ben.attachment(ben.attachments(f"{model}:1")[0]["id"]).decode()
    assert "+x = 2" in diff, "what is no secret is kept"
    runs = [ben.run(run["id"]) for run in ben.runs(cast.namespace.name)]
    assert {run["status"] for run in runs} == {"finished", "failed"}

    left = {kind: where for kind, value in planted.items() if (where := found_in(value, owner_db, since))}
    assert left == {}


def found_in(value: str, database: psycopg.Connection[tuple[Any, ...]], since: datetime) -> list[str]:
    """Where it is: every column of every table, every object."""
    tables = database.execute(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    places = []
    for schema, table in tables:
        query = sql.SQL("SELECT count(*) FROM {} AS t WHERE t::text LIKE %s").format(
            sql.Identifier(schema, table)
        )
        (count,) = database.execute(query, [f"%{value}%"]).fetchone() or (0,)
        if count:
            places.append(f"{schema}.{table}")
    return places + [key for key, content in objects(since).items() if value.encode() in content]


@functools.cache
def objects(since: datetime) -> dict[str, bytes]:
    """What was put into the store since then."""
    client = client_for(
        settings.S3_ENDPOINT_URL,
        settings.S3_ACCESS_KEY_ID,
        settings.S3_SECRET_ACCESS_KEY,
        settings.S3_REGION,
    )
    held = {}
    for bucket in client.list_buckets()["Buckets"]:
        name = bucket["Name"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            for each in page.get("Contents", []):
                if each["LastModified"] >= since:
                    held[f"{name}/{each['Key']}"] = client.get_object(Bucket=name, Key=each["Key"])[
                        "Body"
                    ].read()
    return held


def test_the_search_for_secrets_finds_what_is_there(
    desk: Desk, ben: assay.Client, cast: Cast, model: str, owner_db: psycopg.Connection[tuple[Any, ...]]
) -> None:
    word = "pl4in" + secrets.token_hex(6)
    since = datetime.now(UTC) - timedelta(seconds=5)
    (desk.root / "m.bin").write_text(word)
    ben.push(desk.root / "m.bin", model, tags={"note": word})
    found = found_in(word, owner_db, since)
    assert any(place.startswith("public.") for place in found)
    assert any("/" in place for place in found)
