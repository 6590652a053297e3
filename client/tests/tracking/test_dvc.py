"""What DVC's files say, joined to what a run read, and imported state by state."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from assay.tracking import git
from assay.tracking.dvc import trees
from assay.tracking.dvc.contents import Contents
from assay.tracking.dvc.files import Item, Pipeline, ordered, read
from assay.tracking.dvc.history import Import, NoPipeline, numbers
from assay.tracking.dvc.steps import origin
from assay.tracking.folders import folder_digest
from assay.tracking.redaction import Redactor
from client.tests.tracking.conftest import Project, Told
from client.tests.tracking.dvc_scene import Repository, md5, repository, sha256

SECRET = "c4n4ry-7f3a9b21"


class Registry:
    """Remembers what it was told, and knows it again."""

    def __init__(self) -> None:
        self.steps: dict[str, dict[str, Any]] = {}
        self.datasets: list[dict[str, Any]] = []
        self.calls = 0

    def record_steps(self, namespace: str, **facts: Any) -> dict[str, Any]:
        json.dumps(facts, allow_nan=False)
        self.calls += 1
        new = [step for step in facts["steps"] if step["key"] not in self.steps]
        self.steps |= {step["key"]: step for step in new}
        self.datasets += facts["datasets"]
        return {"runs": {}, "new": {"steps": len(new), "datasets": 0, "digests": 0}}

    def named(self, name: str) -> list[dict[str, Any]]:
        return [step for step in self.steps.values() if step["name"] == name]


def tree(project: Project) -> trees.WorkTree:
    found = git.inspect(project.root)
    assert found is not None
    return trees.WorkTree(project.root, found.tracked)


def told(project: Project, most: int | None = None) -> tuple[Registry, Import]:
    registry, one = Registry(), Import(project.root, Redactor({}))
    one.run(one.find(most), "fraud", registry)
    return registry, one


def called(done: Told) -> list[dict[str, Any]]:
    """The steps of the calls that told any."""
    return [step for name, facts in done.calls if name == "record_steps" for step in facts["steps"]]


def used(step: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(use["role"], use["name"]): use for use in step["uses"]}


# ---- reading


def test_the_stages_of_a_repository_in_the_order_of_their_making(project: Project) -> None:
    repository(project)
    found = read(tree(project))
    assert [stage.name for stage in found.stages] == ["prepare", "features", "train"]
    prepare, _, train = found.stages
    assert prepare.address == "dvc.yaml:prepare"
    assert prepare.commands == ("python src/prepare.py",)
    assert [dep.path for dep in prepare.deps] == ["data/raw.csv", "src/prepare.py"]
    assert (prepare.outs[0].is_folder, prepare.outs[0].files) == (True, 2)
    assert prepare.parameters["prepare.seed"] == "1"
    assert (train.metrics, train.parameters) == (("metrics.json",), {"train.lr": "0.1"})
    assert [(kept.item.path, kept.file) for kept in found.kept] == [("data/raw.csv", "data/raw.csv.dvc")]
    assert found.problems == []


def test_templates_folders_of_work_other_parameters_and_old_locks(project: Project) -> None:
    digest = "a" * 32
    project.write(
        "sub/dvc.yaml",
        "metrics: [all.json]\nstages:\n"
        "  each:\n    foreach: [x, y]\n    do: {cmd: run, wdir: ../work, outs: ['m-${item}.json'],"
        " metrics: ['m-${item}.json']}\n"
        "  lost:\n    wdir: ${where}\n    cmd: run\n",
    )
    project.write(
        "sub/dvc.lock",
        "schema: '2.0'\nstages:\n"
        f"  each@x:\n    cmd: run\n    outs:\n    - {{path: m-x.json, md5: {digest}}}\n"
        f"    params: {{other.toml: {{a.b: [1, 2]}}}}\n"
        f"  lost:\n    cmd: run\n  both:\n    outs: [{{path: all.json, md5: {digest}, hash: md5}}]\n",
    )
    project.write("old/dvc.lock", f"first:\n  cmd: run\n  outs:\n  - {{path: x, md5: {digest}.dir}}\n")
    project.write("never/dvc.yaml", "stages: {x: {cmd: run}}\n")
    project.write("broken.dvc", "{\n")
    project.write("got.csv.dvc", (
        f"deps:\n- path: data/x.csv\n  repo: {{url: 'https://git.example.com/y', rev_lock: {'b' * 40}}}\n"
        f"outs:\n- {{md5: {digest}, path: got.csv, hash: md5}}\n"
    ))  # fmt: skip
    found = read(tree(project))
    stages = {stage.address: stage for stage in found.stages}
    each = stages["sub/dvc.yaml:each@x"]
    assert (each.outs[0].path, each.outs[0].text, each.metrics) == ("work/m-x.json", True, ("work/m-x.json",))
    assert each.parameters == {"other.toml:a.b": "[1, 2]"}
    assert stages["sub/dvc.yaml:both"].metrics == ("sub/all.json",)
    assert stages["old/dvc.yaml:first"].outs[0].foreign == f"md5-dir:{digest}"
    imported = stages["got.csv.dvc"]
    assert (imported.name, imported.parameters["rev_lock"]) == ("got.csv.dvc", "b" * 40)
    assert sorted(found.problems) == [
        "The stage `lost` of `sub/dvc.yaml` works in a folder that is a template.",
        "`broken.dvc` is not understood.",
        "`never/dvc.yaml` has no `dvc.lock`: its stages have not been run.",
    ]


def test_a_lock_that_goes_in_a_circle_ends() -> None:
    pipeline = Pipeline()
    assert ordered(pipeline.stages) == []


def test_a_key_is_of_the_repository_the_stage_and_all_of_its_lock(project: Project) -> None:
    made = repository(project)
    first = {stage.name: stage.key("a") for stage in read(tree(project)).stages}
    assert first == {stage.name: stage.key("a") for stage in read(tree(project)).stages}
    assert first["train"] != read(tree(project)).stages[2].key("b")
    made.reproduce(seed=2)
    second = {stage.name: stage.key("a") for stage in read(tree(project)).stages}
    assert set(first.values()).isdisjoint(second.values())
    made.reproduce(auc=0.8)
    third = {stage.name: stage.key("a") for stage in read(tree(project)).stages}
    assert [name for name in first if first[name] != third[name]] == ["train"]


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("https://git.example.com/org/x.git", "git.example.com/org/x"),
        ("https://ben:hunter2@Git.example.com:8443/org/x/", "git.example.com/org/x"),
        ("ssh://git@git.example.com:22/org/x.git", "git.example.com/org/x"),
        ("git@git.example.com:org/x.git", "git.example.com/org/x"),
        ("git.example.com:org/x", "git.example.com/org/x"),
        ("", "commit 1"),
        ("/srv/git/x.git", "commit 1"),
        ("file:///srv/git/x.git", "commit 1"),
    ],
)
def test_a_repository_is_the_same_however_it_was_cloned(remote: str, expected: str) -> None:
    assert origin(remote, "1") == expected


def test_bytes_are_believed_for_what_they_are_and_not_for_where_they_lie(project: Project) -> None:
    made = repository(project)
    contents = Contents(project.root, project.root / ".dvc")
    table = made.files["data/table.csv"]
    item = Item("data/table.csv", f"md5:{md5(table)}")
    found = contents.of(item)
    assert found is not None
    assert (found.digest, found.size) == (sha256(table), len(table))

    cached = project.root / f".dvc/cache/files/md5/{item.md5[:2]}/{item.md5[2:]}"
    cached.write_bytes(b"changed")
    assert Contents(project.root, project.root / ".dvc").of(item) == found, "the work tree has it"
    project.write("data/table.csv", "changed too")
    assert Contents(project.root, project.root / ".dvc").of(item) is None


def test_a_folder_is_all_of_its_files(project: Project) -> None:
    made = repository(project)
    folder = read(tree(project)).stages[0].outs[0]
    train, test = made.files["data/prepared/train.csv"], made.files["data/prepared/test.csv"]
    files = [("train.csv", len(train), sha256(train)), ("test.csv", len(test), sha256(test))]
    found = Contents(project.root, project.root / ".dvc").of(folder)
    assert found is not None
    assert found.digest == folder_digest(files) == folder_digest(reversed(files))
    assert found.digest != folder_digest(files[:1])
    assert Contents(project.root, project.root / ".dvc", most=3).of(folder) is None


def test_line_ends_were_one_to_dvc_before_its_release_3(project: Project) -> None:
    project.write("x.csv", b"a\r\nb\r\n")
    unix = f"md5:{md5(b'a' + bytes([10]) + b'b' + bytes([10]))}"
    contents = Contents(project.root, project.root / ".dvc")
    assert contents.of(Item("x.csv", unix)) is None
    found = Contents(project.root, project.root / ".dvc").of(Item("x.csv", unix, text=True))
    assert found is not None
    assert found.digest == sha256(b"a\r\nb\r\n")


def test_the_cache_may_lie_elsewhere(project: Project, tmp_path: Path) -> None:
    made = repository(project)
    shutil.move(project.root / ".dvc" / "cache", tmp_path / "shared")
    project.write(".dvc/config.local", f"[cache]\n    dir = {tmp_path / 'shared'}\n    type = hardlink\n")
    (project.root / "data" / "table.csv").unlink()
    item = Item("data/table.csv", f"md5:{md5(made.files['data/table.csv'])}")
    assert Contents(project.root, project.root / ".dvc").of(item) is not None


def test_numbers_of_each_kind_of_file() -> None:
    assert dict(numbers(b'{"a": {"b": 1}, "c": "x", "d": [1]}', "m.json")) == {"a.b": 1.0}
    assert dict(numbers(b"a: {b: 1.5}\n", "m.yaml")) == {"a.b": 1.5}
    assert dict(numbers(b"[a]\nb = 2\n", "m.toml")) == {"a.b": 2.0}
    assert dict(numbers(b"{", "m.json")) == {}


# ---- a run that reads what stages made

READ = "with assay.run(namespace='fraud', client=recorder):\n    {}\n"


def test_a_run_that_reads_what_a_stage_made_tells_all_that_is_above_it(project: Project) -> None:
    made = repository(project)
    done = project.train(READ.format("open('data/table.csv').read(); open('data/raw.csv').read()"))
    steps = {step["name"]: step for step in called(done)}
    assert list(steps) == ["prepare", "features"], "not the stage below"
    table, raw = done.datasets["data/table.csv"], done.datasets["data/raw.csv"]
    assert (table["digest"], table["foreign_digest"]) == (
        sha256(made.files["data/table.csv"]), f"md5:{md5(made.files['data/table.csv'])}"
    )  # fmt: skip
    assert table["step"] == steps["features"]["key"]
    assert (raw["foreign_digest"], "step" in raw) == (f"md5:{md5(made.files['data/raw.csv'])}", False)

    prepare, features = (used(steps[name]) for name in ("prepare", "features"))
    assert prepare["input", "data/raw.csv"]["digest"] == raw["digest"]
    assert features["output", "data/table.csv"]["digest"] == table["digest"]
    assert features["input", "data/prepared"]["step"] == steps["prepare"]["key"]
    assert steps["prepare"]["command"] == ["/bin/sh", "-c", "python src/prepare.py"]
    assert list(steps["prepare"]["code"]["files"]) == ["src/prepare.py"], "what Git has is code"
    assert "when it ran, and for how long, is not known" in steps["prepare"]["notes"][0]
    assert done.state == "complete"
    names = [name for name, _ in done.calls]
    assert names.index("record_steps") < names.index("log_datasets")


def test_the_commit_of_a_stage_is_that_of_its_lock(project: Project) -> None:
    repository(project)
    commit = project.git("rev-parse", "HEAD")
    project.write("later", "x")
    project.commit()
    done = project.train(READ.format("open('data/table.csv').read()"))
    step = next(each for each in called(done) if each["name"] == "features")
    assert step["code"]["commit"] == commit


def test_a_file_in_a_folder_that_a_stage_made(project: Project) -> None:
    made = repository(project)
    done = project.train(READ.format("open('data/prepared/train.csv').read()"))
    (step,) = called(done)
    content = made.files["data/prepared/train.csv"]
    use = done.datasets["data/prepared/train.csv"]
    assert (use["step"], use["foreign_digest"]) == (step["key"], f"md5:{md5(content)}")
    assert used(step)["output", "data/prepared/train.csv"]["digest"] == sha256(content)
    assert used(step)["output", "data/prepared"]["files"] == 2


def test_what_is_not_what_the_lock_says_is_not_joined(project: Project) -> None:
    repository(project)
    project.write("data/table.csv", "another\n")
    done = project.train(READ.format("open('data/table.csv').read()"))
    assert called(done) == []
    assert "foreign_digest" not in done.datasets["data/table.csv"]
    assert done.state == "incomplete"
    assert "`data/table.csv` is not what DVC's files say" in done.notes


def test_no_secret_of_the_repository_is_told(project: Project) -> None:
    repository(project, secret=SECRET)
    project.git("remote", "add", "origin", f"https://ben:{SECRET}@git.example.com/x.git")
    done = project.train(READ.format("open('data/table.csv').read()"))
    assert called(done)[0]["parameters"]["prepare.seed"] == "1"
    assert called(done)[0]["command"][2] == "python src/prepare.py --password [redacted]"
    assert SECRET not in json.dumps(done.calls)
    registry, _ = told(project)
    assert SECRET not in json.dumps([registry.steps, registry.datasets])
    before = called(done)[0]["key"]
    again = project.root / "dvc.lock"
    again.write_text(again.read_text().replace(SECRET, "0ther-s3cret-99"))
    assert before in {stage.key(registry.steps[before]["code"]["remote"].removeprefix("https://").removesuffix(".git"))
                      for stage in read(tree(project)).stages}, "a digest of a secret could be guessed"  # fmt: skip


def test_a_repository_without_dvc_tells_nothing(project: Project) -> None:
    project.write("data/x.csv", "1\n")
    project.write("dvc.yaml", "stages: {}\n")
    done = project.train(READ.format("open('data/x.csv').read()"))
    assert called(done) == []
    assert done.state == "complete"


# ---- history


@pytest.fixture
def three(project: Project) -> Repository:
    """Three states: the second has another seed, the third only another measurement."""
    made = repository(project)
    for state in ({"seed": 2}, {"seed": 2, "auc": 0.95}):
        made.reproduce(**state)  # type: ignore[arg-type]
        project.commit()
        project.write("README", str(state))
        project.commit()
    return made


def test_every_state_is_imported_once(project: Project, three: Repository) -> None:
    registry, one = told(project)
    assert {name: len(registry.named(name)) for name in ("prepare", "features", "train")} == {
        "prepare": 2, "features": 2, "train": 3
    }  # fmt: skip
    assert sorted(step["metrics"]["auc"] for step in registry.named("train")) == [0.9, 0.9, 0.95]
    assert {step["metrics"]["by.f1"] for step in registry.named("train")} == {0.5}
    assert len({step["code"]["commit"] for step in registry.steps.values()}) == 3
    assert [use["name"] for use in registry.datasets] == ["data/raw.csv"]
    facts = one.report.facts()
    assert (facts["commits"], facts["stages"], facts["metrics"]) == (3, 7, 6)
    assert facts["problems"] == []
    assert facts["data"] == facts["with_sha256"] + 1, (
        "a measurement that was overwritten is in Git, not in the cache"
    )

    again = Import(project.root, Redactor({}))
    assert again.run(again.find(None), "fraud", registry).new["steps"] == 0


def test_only_the_newest_states(project: Project, three: Repository) -> None:
    registry, _ = told(project, 1)
    assert len(registry.steps) == 3
    registry, _ = told(project, 2)
    assert len(registry.steps) == 4


def test_without_the_bytes_what_dvc_recorded_is_imported_and_the_rest_is_told(
    project: Project, three: Repository
) -> None:
    shutil.rmtree(project.root / ".dvc" / "cache")
    three.reproduce(seed=3)
    registry, one = told(project)
    assert len(registry.steps) == 7
    uses = [use for step in registry.steps.values() for use in step["uses"]]
    assert any("digest" not in use for use in uses)
    assert all(use["foreign_digest"] for use in uses)

    (project.root / "dvc.yaml").write_text("stages: {train: {metrics: [metrics.json]}}\n")
    project.git("rm", "-q", "--cached", "metrics.json")
    project.write("metrics.json", "{}")
    project.write(".gitignore", "metrics.json\ndata/\n")
    shutil.rmtree(project.root / ".dvc" / "cache")
    project.commit()
    _, one = told(project, 1)
    assert "The metrics `metrics.json` are neither in Git nor in DVC's cache." in one.report.problems


def test_a_script_that_was_committed_otherwise_is_told(project: Project) -> None:
    made = repository(project)
    project.write("src/prepare.py", "something else\n")
    made.project.write("dvc.lock", (project.root / "dvc.lock").read_text() + "\n")
    project.commit()
    registry, _ = told(project, 1)
    assert (
        "`src/prepare.py` is not there as it was when the stage ran." in registry.named("prepare")[0]["notes"]
    )


def test_a_dry_run_finds_the_same_and_tells_nobody(project: Project, three: Repository) -> None:
    one = Import(project.root, Redactor({}))
    report = one.run(one.find(None), "fraud", None)
    assert (report.stages, report.new["steps"]) == (7, 0)


def test_there_has_to_be_something(project: Project, tmp_path: Path) -> None:
    one = Import(project.root, Redactor({}))
    with pytest.raises(NoPipeline, match=r"has a `dvc\.lock`"):
        one.find(None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoPipeline, match="in no Git repository"):
        Import(tmp_path / "empty", Redactor({}))
