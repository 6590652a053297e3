"""An unchanged training script under `assay run`, beside the bare script, in turn, on the real server.

    make bench-capture                    # three rounds of some sixty seconds of training
    SECONDS=10 ROUNDS=1 make bench-capture

The script reads a CSV with pandas and a Parquet file with pyarrow, fits scikit-learn until its time is used, in a
number of rounds found beforehand, and writes model and metrics. Its data was hashed before for the first figure; for
the second it is new, and what hashing it adds to the whole is told apart, with what hashing it costs alone.
Beside the wall clock, which holds the registration of the model too, stands the training's own, told by the script.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from config.embedded.supervisor import Stack
from tests.figures import print_figure

TRAINING_SECONDS = float(os.environ.get("SECONDS", "60"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
MIB = 2**20
# Of the file that is new each time, beside the table.
NEW_MIB = int(os.environ.get("MIB", "256"))

SCRIPT = """
import json
import pickle
import sys
import time
from pathlib import Path

began = time.monotonic()

import pandas as pd
import pyarrow.parquet as pq
from sklearn.ensemble import RandomForestClassifier

rows = pd.read_csv("data/train.csv")
more = pq.read_table("data/more.parquet").to_pandas()
inputs = rows[["a", "b"]].join(more)
total = 0
with open("data/large.bin", "rb") as file:
    while block := file.read(1 << 20):
        total += len(block)
fits = 0
while fits < int(sys.argv[1]):
    model = RandomForestClassifier(20, random_state=fits, n_jobs=1).fit(inputs, rows["y"])
    fits += 1
Path("out").mkdir(exist_ok=True)
with open("out/model.pkl", "wb") as file:
    pickle.dump(model, file)
seconds = time.monotonic() - began
metrics = {"accuracy": model.score(inputs, rows["y"]), "bytes": total, "seconds": seconds}
with open("out/metrics.json", "w") as file:
    json.dump(metrics, file)
"""
MAKE = """
import numpy as n, pandas as p
r = n.random.default_rng(0)
d = p.DataFrame({"a": r.random(20000), "b": r.random(20000), "y": r.integers(0, 2, 20000)})
d.to_csv("data/train.csv", index=False)
p.DataFrame({"q": r.random(20000)}).to_parquet("data/more.parquet")
"""


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    folder.chmod(0o711)
    try:
        with Stack(folder / "home", durable=False) as stack:
            stack.start_services()
            stack.prepare()
            stack.start_processes()
            Bench(stack, folder / "project").run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Bench:
    """The project, and what was measured: seconds of the whole, and of the script by its own clock."""

    def __init__(self, stack: Stack, root: Path) -> None:
        self.root = root
        (root / "data").mkdir(parents=True)
        token = stack.token("eve", "ml_engineer", "bench")
        self.env = {
            **os.environ,
            "ASSAY_URL": stack.url,
            "ASSAY_TOKEN": token,
            "XDG_CACHE_HOME": str(root.parent / "cache"),
            "XDG_STATE_HOME": str(root.parent / "state"),
        }
        (root / "train.py").write_text(SCRIPT)
        (root / ".gitignore").write_text("data/\nout/\n")
        self.do(sys.executable, "-c", MAKE)
        self.renew()
        self.do("git", "init", "-q", "-b", "main")
        self.do("git", "add", "-A")
        self.do("git", "-c", "user.name=eve", "-c", "user.email=eve@example.com", "commit", "-qm", "work")
        self.fits = 1

    def run(self) -> None:
        self.calibrate()
        bare: list[float] = []
        known: list[float] = []
        new: list[float] = []
        hashing: list[float] = []
        inside: list[float] = []
        inside_bare: list[float] = []
        for number in range(ROUNDS):
            self.renew()
            hashing.append(self.hash_alone())
            new.append(self.observed()[0])  # hashes the data, too
            # Who goes first changes, so that neither always finds the machine rested.
            steps = [(self.bare, bare, inside_bare), (self.observed, known, inside)]
            for step, whole, own in steps if number % 2 else reversed(steps):
                seconds, told = step()
                whole.append(seconds)
                own.append(told)
            print(
                json.dumps({"round": number + 1, "bare": bare[-1], "hashed": known[-1], "new": new[-1]}),
                flush=True,
            )
        middle = statistics.median
        for name, ours, reference in (
            ("capture_data_hashed_before", known, bare),
            ("capture_data_hashed_before_script", inside, inside_bare),
            ("capture_data_new", new, bare),
        ):
            print_figure(
                name, ours=round(middle(ours), 3), reference=round(middle(reference), 3), unit="s", n=ROUNDS
            )
        over = [100 * (a / b - 1) for a, b in zip(known, bare, strict=True)]
        print_figure("capture_overhead", ours=round(middle(over), 2), unit="%", n=ROUNDS)
        extra = [a - b for a, b in zip(new, known, strict=True)]
        print_figure(f"capture_hashing_{NEW_MIB}mib_overlapped", ours=round(middle(extra), 3),
                     reference=round(middle(hashing), 3), unit="s added", n=ROUNDS)  # fmt: skip

    def calibrate(self) -> None:
        """How many fits take the seconds wanted."""
        one, some = self.seconds_of(1), self.seconds_of(4)
        self.fits = max(1, round((TRAINING_SECONDS - one) / max((some - one) / 3, 0.001)))

    def seconds_of(self, fits: int) -> float:
        self.fits = fits
        return self.bare()[0]

    def bare(self) -> tuple[float, float]:
        return self.timed(sys.executable, "train.py", str(self.fits))

    def observed(self) -> tuple[float, float]:
        ours = (
            str(Path(sys.executable).parent / "assay"),
            "run",
            "--name",
            "bench/scorer",
            "--model",
            "out/model.pkl",
        )
        return self.timed(
            *ours, "--metrics", "out/metrics.json", "--", sys.executable, "train.py", str(self.fits)
        )

    def timed(self, *command: str) -> tuple[float, float]:
        began = time.perf_counter()
        self.do(*command)
        seconds = time.perf_counter() - began
        return round(seconds, 3), json.loads((self.root / "out" / "metrics.json").read_text())["seconds"]

    def renew(self) -> None:
        """A file that no cache of digests knows; old enough to be remembered."""
        with (self.root / "data" / "large.bin").open("wb") as file:
            for _ in range(NEW_MIB):
                file.write(os.urandom(MIB))
        time.sleep(2.1)

    def hash_alone(self) -> float:
        began = time.perf_counter()
        with (self.root / "data" / "large.bin").open("rb") as file:
            hashlib.file_digest(file, "sha256")
        return time.perf_counter() - began

    def do(self, *command: str) -> None:
        done = subprocess.run(
            command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)


if __name__ == "__main__":
    main()
