"""A repository made by the real `dvc`, imported into the real stack, and compared with what `dvc` says of itself.

make campaign-dvc          # installs DVC, locked, into a folder of its own in the cache, once
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import assay
from config.embedded.supervisor import Stack
from tests.figures import print_campaign

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements-dvc.lock"
NAMESPACE = "pipelines"
STAGES = ("prepare", "features", "train")
# seed, and learning rate, of each state
STATES = ((1, 0.1), (2, 0.1), (2, 0.3))

PREPARE = """
import os, random, yaml
seed = yaml.safe_load(open("params.yaml"))["prepare"]["seed"]
rows = open("data/raw.csv").read().splitlines()
random.Random(seed).shuffle(rows)
os.makedirs("data/prepared", exist_ok=True)
open("data/prepared/train.csv", "w").write("\\n".join(rows[:700]) + "\\n")
open("data/prepared/test.csv", "w").write("\\n".join(rows[700:]) + "\\n")
"""
FEATURES = """
rows = [line.split(",") for line in open("data/prepared/train.csv").read().splitlines()]
open("data/features.csv", "w").writelines(f"{a},{int(a) % 7},{b}\\n" for a, b in rows)
"""
TRAIN = """
import json, yaml
rate = yaml.safe_load(open("params.yaml"))["train"]["rate"]
total = sum(int(line.split(",")[1]) for line in open("data/features.csv"))
open("model.bin", "w").write(f"{total} {rate}")
json.dump({"score": total * rate, "by": {"rows": 700}}, open("metrics.json", "w"))
"""


@dataclass
class Bench:
    """A work tree, DVC's own environment, and what was found wrong."""

    root: Path
    dvc: Path
    environment: Mapping[str, str]
    wrong: list[str] = field(default_factory=list)
    cases: int = 0

    def do(self, *command: str | Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.dvc.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.root,
            env={**os.environ, **self.environment, "PATH": path, "DVC_NO_ANALYTICS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if code is not None and done.returncode != code:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done

    def assay(self, *arguments: str | Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.do(sys.executable, "-c", "from assay.cli import main; main()", *arguments, code=code)

    def imported(self, *arguments: str) -> dict[str, Any]:
        told = self.assay("import", "dvc", "--namespace", NAMESPACE, "--json", *arguments).stdout
        return dict(json.loads(told))

    def expect(self, what: str, found: object, wanted: object) -> None:
        self.cases += 1
        if found != wanted:
            self.wrong.append(f"{what}: {found!r}, not {wanted!r}")

    def commit(self) -> str:
        self.do("git", "add", "-A")
        self.do("git", "-c", "user.name=ben", "-c", "user.email=ben@example.com", "commit", "-qm", "state")
        return self.do("git", "rev-parse", "HEAD").stdout.strip()


def dvc_program() -> Path:
    """The real `dvc`, in an environment of what the lock names; made when it is not there yet."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    folder = cache / "assay" / f"dvc-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    program = folder / "bin" / "dvc"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [
            "-m",
            "pip",
            "install",
            "-qq",
            "--progress-bar",
            "off",
            "--require-hashes",
            "-r",
            str(LOCK),
        ]
        subprocess.run([folder / "bin" / "python", *install], check=True)
        (folder / "installed").touch()
    return program


def create(bench: Bench) -> list[dict[str, Any]]:
    """The repository, state by state; what DVC itself says of each."""
    bench.do("git", "init", "-q", "-b", "main")
    bench.do("dvc", "init", "-q")
    bench.do("dvc", "remote", "add", "--local", "-d", "store", "s3://bucket/x")
    bench.do("dvc", "remote", "modify", "--local", "store", "secret_access_key", "c4n4ry-of-the-remote")
    (bench.root / "data").mkdir()
    (bench.root / "data" / "raw.csv").write_text("".join(f"{n},{n * n % 13}\n" for n in range(1000)))
    for name, script in (("prepare", PREPARE), ("features", FEATURES), ("train", TRAIN)):
        (bench.root / f"{name}.py").write_text(script)
    (bench.root / "params.yaml").write_text("prepare: {seed: 0}\ntrain: {rate: 0}\n")
    bench.do("dvc", "add", "-q", "data/raw.csv")
    stage = ("dvc", "stage", "add", "-q", "-n")
    bench.do(*stage, "prepare", "-d", "data/raw.csv", "-d", "prepare.py", "-p", "prepare.seed",
             "-o", "data/prepared", "python prepare.py")  # fmt: skip
    bench.do(*stage, "features", "-d", "data/prepared", "-d", "features.py", "-o", "data/features.csv",
             "python features.py")  # fmt: skip
    bench.do(*stage, "train", "-d", "data/features.csv", "-d", "train.py", "-p", "train.rate", "-o", "model.bin",
             "-M", "metrics.json", "python train.py")  # fmt: skip
    said = []
    for seed, rate in STATES:
        (bench.root / "params.yaml").write_text(f"prepare: {{seed: {seed}}}\ntrain: {{rate: {rate}}}\n")
        bench.do("dvc", "repro", "-q")
        commit = bench.commit()
        metrics = json.loads(bench.do("dvc", "metrics", "show", "--json").stdout)[""]["data"]["metrics.json"][
            "data"
        ]
        contents = {
            name: (bench.root / name).read_bytes()
            for name in ("data/raw.csv", "data/features.csv", "model.bin")
        }
        said.append({"commit": commit, "metrics": metrics, "contents": contents})
    return said


def check(bench: Bench, client: assay.Client, said: list[dict[str, Any]]) -> None:
    first = bench.imported("--all")
    # prepare and features: of two seeds; train: of three states.
    bench.expect("steps that are new", first["new"]["steps"], 7)
    bench.expect("commits", first["commits"], 3)
    bench.expect("contents whose bytes were found", first["with_sha256"], first["data"])
    bench.expect("what was not taken", first["problems"], [])
    bench.expect("imported again", bench.imported("--all")["new"], {"steps": 0, "datasets": 0, "digests": 0})
    runs = [client.run(run["id"]) for run in client.runs(NAMESPACE)]
    bench.expect("stages", sorted({run["name"] for run in runs}), sorted(STAGES))
    for state in said:
        scored = [
            run
            for run in runs
            if run["name"] == "train" and run["metrics"]["score"] == state["metrics"]["score"]
        ]
        bench.expect(f"metrics of {state['commit'][:8]}", len(scored), 1)
        if not scored:
            continue
        run = scored[0]
        bench.expect("nested metrics", run["metrics"]["by.rows"], state["metrics"]["by"]["rows"])
        bench.expect("commit", (run["code"] or {}).get("commit"), state["commit"])
        wrote = {use["name"]: use for use in run["datasets"]}
        for name in ("data/features.csv", "model.bin"):
            content = state["contents"][name]
            use = wrote[name]
            bench.expect(f"sha256 of {name}", use["digest"], f"sha256:{hashlib.sha256(content).hexdigest()}")
            md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
            bench.expect(f"md5 of {name}", use["foreign_digest"], f"md5:{md5}")
    train(bench, client)


def train(bench: Bench, client: assay.Client) -> None:
    """An unchanged script that reads what the newest state made: up to the raw data."""
    (bench.root / "fit.py").write_text("open('fit.bin', 'w').write(open('data/features.csv').read()[:9])\n")
    bench.commit()
    model = f"{NAMESPACE}/scorer"
    bench.assay("run", "--name", model, "--model", "fit.bin", "--", "python", "fit.py")
    graph = client.trace(f"{model}:1")
    labels = [node["label"] for node in graph["nodes"]]
    way = ["data/features.csv", "features", "data/prepared", "prepare", "data/raw.csv"]
    bench.expect("above a training", [label for label in labels if label in way], way)
    bench.expect("runs", len(client.runs(NAMESPACE)), 8)
    print(bench.assay("trace", f"{model}:1").stdout, file=sys.stderr)


def without_the_cache(bench: Bench) -> None:
    """DVC has thrown away what no longer is in the work tree: the old states are known by MD5, and that is told."""
    bench.do("dvc", "gc", "-w", "-f", "-q")
    told = bench.imported("--all", "--dry-run")
    bench.expect("states", told["stages"], 7)
    bench.expect("some by MD5 only", 0 < told["with_sha256"] < told["data"], True)
    bench.expect("metrics, which Git has", told["metrics"], 6)


def control(bench: Bench) -> bool:
    """Whether bytes that are not what the lock says are found out."""
    (bench.root / "data" / "features.csv").unlink()
    (bench.root / "data" / "features.csv").write_text("changed\n")
    done = bench.assay("run", "--name", f"{NAMESPACE}/scorer", "--", "python", "fit.py")
    return "is not what DVC's files say" in done.stderr


def main() -> bool:
    program = dvc_program()
    folder = Path(tempfile.mkdtemp(prefix="assay-dvc-"))
    folder.chmod(0o711)
    try:
        with Stack(folder / "home", durable=False) as stack:
            stack.start_services()
            stack.prepare()
            stack.start_processes()
            token = stack.token("ben", "data_scientist", NAMESPACE)
            (folder / "project").mkdir()
            environment = {
                **stack.environ(), "ASSAY_URL": stack.url, "ASSAY_TOKEN": token, "COLUMNS": "100",
                "XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state"),
            }  # fmt: skip
            bench = Bench(folder / "project", program, environment)
            with assay.Client(stack.url, token) as client:
                said = create(bench)
                check(bench, client, said)
                without_the_cache(bench)
            caught = control(bench)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for sentence in bench.wrong:
        print(sentence, file=sys.stderr)
    return print_campaign("dvc", cases=bench.cases, bad=len(bench.wrong), control_caught=caught)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
