"""What a reproduction finds, what it does not, and what it refuses to do for whoever wrote the record."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from assay.answers import Attachment, Run, Version
from assay.cli.reproducing import _outcome, _prepared
from assay.errors import PathRefused
from assay.reproduce import environment
from assay.reproduce.data import Places, gather
from assay.reproduce.folder import NothingRecorded, Prepared, prepare
from assay.reproduce.rerun import compare, rerun
from assay.tracking import rehearsal

SCRIPT = """import json, pathlib
pathlib.Path("model.bin").write_text("weights")
pathlib.Path("metrics.json").write_text(json.dumps({"auc": 0.5}))
"""


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Record:
    """What a registry would answer about one version; nothing of it is to be trusted."""

    repository: Path
    run_facts: dict[str, Any] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    with_run: bool = True
    diff: bytes = b""

    def version(self, ref: str) -> Version:
        run = "5f0c7a52-0000-4000-8000-000000000001" if self.with_run else None
        return cast("Version", {
            "reference": "fraud/card:3", "namespace": "fraud", "model": "card", "number": 3, "digest": self.digest,
            "run": run,
        })  # fmt: skip

    def run(self, run_id: str) -> Run:
        facts = {
            "id": run_id, "started_at": "2026-11-25T10:00:00Z", "created_by": "ben", "entry_point": "train.py",
            "command": ["python", "train.py"], "parameters": {"lr": "0.1"}, "metrics": {"auc": 0.5}, "datasets": [],
            "config": None, "environment": {}, **self.run_facts,
        }  # fmt: skip
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=self.repository, capture_output=True, text=True, check=False
        ).stdout.strip()
        left = {"model": "model.bin", "metrics": "metrics.json"}
        return cast("Run", {**facts, "code": {"commit": commit, "remote": "", "results": left, **self.code}})

    def attachments(self, ref: str) -> list[Attachment]:
        return [cast("Attachment", {"id": "1", "kind": "code_diff"})] if self.diff else []

    def attachment(self, attachment_id: str) -> bytes:
        return self.diff


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    root = tmp_path / "project"
    root.mkdir()
    (root / "train.py").write_text(SCRIPT)
    (root / ".gitignore").write_text("data/\n")
    git(root, "init", "-q", "-b", "main")
    commit(root)
    (tmp_path / "model.bin").write_text("weights")
    made = Record(root, digest=rehearsal.digest_of(tmp_path / "model.bin"))
    (tmp_path / "model.bin").unlink()
    return made


def git(root: Path, *arguments: str) -> bytes:
    who = ("-c", "user.name=ben", "-c", "user.email=ben@example.com")
    return subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True).stdout


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "work")


def made_of(record: Record, data: Path | None = None, repository: Path | None = None) -> Prepared:
    return prepare(record, "fraud/card:3", None, Places(data, repository or record.repository))


def piece(made: Prepared, name: str) -> tuple[str, str]:
    (found,) = [each for each in [*made.pieces, *made.data] if each.name == name]
    return found.state, found.sentence


def text(*views: Any) -> str:
    console = Console(width=100, file=io.StringIO())
    for view in views:
        console.print(view)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_it_works(record: Record, tmp_path: Path) -> None:
    made = made_of(record)
    outcome = rerun(made)
    assert outcome.same, outcome
    assert made.folder == (tmp_path / "card-3-reproduced").resolve()
    assert sorted(file.name for file in made.folder.iterdir()) == [
        "README.md", "code", "data.json", "environment.json", "metrics.json", "params.json", "requirements.txt",
        "result", "run.sh",
    ]  # fmt: skip
    said = text(_prepared(made), _outcome(made, outcome, 1e-9))
    assert "The same again: metrics within 1e-09 of their value, and the model byte for byte." in said
    assert "# fraud/card:3, done over" in (made.folder / "README.md").read_text()
    done = subprocess.run([made.folder / "run.sh"], check=False)
    assert done.returncode == 0, "the script does the same by hand"


def test_another_metric_or_model_is_not_the_same(record: Record) -> None:
    record.run_facts = {"metrics": {"auc": 0.5 + 1e-6, "f1": 0.1}}
    record.digest = sha256(b"other")
    outcome = rerun(made_of(record))
    assert {each.name: (each.now, each.same) for each in outcome.compared if each.name != "model"} == {
        "auc": (0.5, False), "f1": (None, False)
    }  # fmt: skip
    assert not outcome.same
    assert not any(each.same for each in outcome.compared)


def test_the_tolerance_is_of_the_value(record: Record) -> None:
    record.run_facts = {"metrics": {"auc": 0.5 + 1e-6, "loss": "NaN"}}
    made = made_of(record)
    now = {"auc": 0.5, "loss": float("nan")}
    assert [each.same for each in compare(made, now, made.version["digest"], 1e-5)] == [True, True, True]
    assert [each.same for each in compare(made, now, None, 1e-7)] == [False, True, False]


def test_a_command_that_fails_or_leaves_nothing_is_not_the_same(record: Record) -> None:
    (record.repository / "train.py").write_text("import sys\nsys.exit(3)\n")
    commit(record.repository)
    outcome = rerun(made_of(record))
    assert (outcome.same, outcome.exit_status) == (False, 3)
    assert outcome.problem == "the command ended with status 3"


def test_results_of_before_are_not_taken_for_those_of_now(record: Record) -> None:
    (record.repository / "model.bin").write_text("weights")
    (record.repository / "metrics.json").write_text('{"auc": 0.5}')
    (record.repository / "train.py").write_text("pass\n")
    commit(record.repository)
    made = made_of(record)
    for file in ("model.bin", "metrics.json"):
        os.utime(made.code / file, (1, 1))
    outcome = rerun(made)
    assert not outcome.same
    assert "older than the run" in outcome.notes[0]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ({"commit": ""}, "no commit was recorded"),
        ({"commit": "1" * 40}, "could not be got"),
        ({"commit": "--upload-pack=touch pwned"}, "is no commit of Git's"),
    ],
)
def test_code_that_cannot_be_got_is_told_and_nothing_is_run(
    record: Record, tmp_path: Path, code: dict[str, Any], words: str
) -> None:
    record.code = code
    made = made_of(record)
    assert piece(made, "code")[0] == "missing"
    assert words in piece(made, "code")[1]
    assert "the code is not here" in rerun(made).problem
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize(
    "remote", ["ext::touch pwned", "--upload-pack=touch pwned", "", "https://[redacted]@x/y"]
)
def test_an_address_of_the_record_runs_nothing(record: Record, tmp_path: Path, remote: str) -> None:
    record.code = {"remote": remote}
    made = prepare(record, "fraud/card:3", tmp_path / "into", Places())
    assert piece(made, "code")[0] == "missing"
    assert "--repo" in piece(made, "code")[1]
    assert not list(tmp_path.rglob("pwned"))


def test_the_changes_that_were_kept(record: Record) -> None:
    (record.repository / "train.py").write_text(SCRIPT.replace("0.5", "0.75"))
    diff = git(record.repository, "diff", "HEAD")
    git(record.repository, "checkout", "-q", "train.py")
    record.code = {"dirty": True, "diff_digest": sha256(diff), "untracked": ["notes.txt"]}
    made = made_of(record)
    assert piece(made, "changes")[0] == "missing"
    assert "the code had changes that are not here" in rerun(made).problem

    record.diff = diff
    made = prepare(record, "fraud/card:3", Path("with"), Places(None, record.repository))
    assert piece(made, "changes")[0] == "present"
    assert piece(made, "files not in Git") == ("missing", "were there and are not kept: notes.txt")
    assert "0.75" in (made.code / "train.py").read_text()

    record.diff = diff.replace(b"0.75", b"0.76")
    made = prepare(record, "fraud/card:3", Path("redacted"), Places(None, record.repository))
    assert piece(made, "changes")[0] == "changed"
    record.diff = b"no diff\n"
    made = prepare(record, "fraud/card:3", Path("none"), Places(None, record.repository))
    assert piece(made, "changes")[0] == "missing"


def use(source: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"name": source, "source": source, "digest": sha256(content), "role": "input", **more}


def test_data_is_looked_for_hashed_and_laid_where_the_code_reads_it(record: Record, tmp_path: Path) -> None:
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "train.csv").write_bytes(b"train")
    (tmp_path / "held" / "test.csv").write_bytes(b"another")
    record.run_facts = {
        "datasets": [
            use("data/train.csv", b"train"), use("data/test.csv", b"test"), use("data/gone.csv", b"gone"),
            {**use("memory", b""), "digest": "frame-v1:" + "a" * 64}, use("data/[redacted]/x.csv", b"x"),
            {**use("data/out.csv", b"out"), "role": "output"},
        ]
    }  # fmt: skip
    made = made_of(record, data=tmp_path / "held")
    assert [(each.name, each.state) for each in made.data] == [
        ("data/train.csv", "present"), ("data/test.csv", "changed"), ("data/gone.csv", "missing"),
        ("memory", "unknown"), ("data/[redacted]/x.csv", "unknown"),
    ]  # fmt: skip
    assert (made.code / "data" / "train.csv").read_bytes() == b"train"
    assert not (made.code / "data" / "test.csv").exists(), "what is another content is not put in its place"
    assert rerun(made).problem == "data is not as it was: data/test.csv, data/gone.csv"
    listed = json.loads((made.folder / "data.json").read_text())
    assert listed[1]["state"] == "changed"


def test_data_that_dvc_keeps_is_found_in_its_cache(record: Record) -> None:
    name = hashlib.md5(b"table", usedforsecurity=False).hexdigest()
    cached = record.repository / ".dvc" / "cache" / "files" / "md5" / name[:2] / name[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"table")
    record.run_facts = {"datasets": [use("data/table.csv", b"table", foreign_digest=f"md5:{name}")]}
    made = made_of(record)
    assert piece(made, "data/table.csv")[0] == "present"
    cached.write_bytes(b"other")
    (found,) = gather(record.run_facts["datasets"], Places(None, record.repository), None)
    assert found.state == "changed"


@pytest.mark.parametrize("source", ["../../escaped.csv", "link/escaped.csv", "data/../../../escaped.csv"])
def test_no_path_of_the_record_leads_a_copy_out_of_the_folder(
    record: Record, tmp_path: Path, source: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (record.repository / "link").symlink_to(outside)
    commit(record.repository)
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "escaped.csv").write_bytes(b"x")
    record.run_facts = {"datasets": [use(source, b"x")]}
    made = made_of(record, data=tmp_path / "held")
    assert made.data[0].state == "present"
    assert [file for file in tmp_path.rglob("escaped.csv") if "held" not in file.parts] == []


def test_a_secret_in_the_command_is_not_guessed(record: Record) -> None:
    record.run_facts = {"command": ["python", "train.py", "--token", "[redacted]"]}
    made = made_of(record)
    assert "fill it in" in rerun(made).problem
    assert "[redacted]" in (made.folder / "run.sh").read_text()


def test_a_notebook_has_no_command(record: Record) -> None:
    record.run_facts = {"entry_point": "try.ipynb", "command": ["python", "-m", "ipykernel_launcher"]}
    made = made_of(record)
    assert piece(made, "command")[0] == "unknown"
    assert not (made.folder / "run.sh").exists()


def test_a_version_without_a_run_and_a_folder_that_is_there(record: Record, tmp_path: Path) -> None:
    (tmp_path / "card-3-reproduced").mkdir()
    (tmp_path / "card-3-reproduced" / "mine").touch()
    with pytest.raises(PathRefused, match="is there already"):
        made_of(record)
    record.with_run = False
    with pytest.raises(NothingRecorded, match="registered without a run"):
        made_of(record)


def test_the_packages_of_the_interpreter_that_is_run() -> None:
    here = environment.check(
        {"packages": {"pytest": "0.1"}, "python": "CPython 3.1"}, Path(sys.executable).name
    )
    assert here.state == "changed"
    assert "was 0.1" in here.sentence
    assert environment.check({"packages": {"x": "1"}}, "make").state == "unknown"
    assert environment.check({}, "python").state == "missing"
    recorded = {
        "packages": {"b": "2", "a": "1"},
        "hardware": {"variables": {"PYTHONHASHSEED": "0", "RANK": "3"}},
    }
    assert environment.requirements(recorded) == "a==1\nb==2\n"
    assert environment.variables(recorded) == {"PYTHONHASHSEED": "0"}
