"""The folder in which the demonstration's data scientist works: a Git repository, and data beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

# One row in six tenths of the file got its neighbour's label, as a join that went off by one does.
DAMAGED_SHARE = 0.6


class Project:
    """A repository with the training script; `data/train.csv` and `data/held_out.csv` are not in Git."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        # Another one each time: equal models are equal bytes, and those are stored, shared and kept once.
        self.seed = seed
        self.data = folder / "data"
        self.training = self.data / "train.csv"
        self.held_out = self.data / "held_out.csv"

    def create(self, model: str) -> str:
        """Write and commit the script, which trains `model`, and write the data. Returns the commit."""
        self.data.mkdir(parents=True)
        script = Path(__file__).with_name("training.py").read_text()
        (self.folder / "train.py").write_text(script.replace('"demo/digits"', f'"{model}"'))
        (self.folder / ".gitignore").write_text("data/\n__pycache__/\n")
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("add", ".")
        self._git("commit", "--quiet", "--message=Recognise handwritten digits")
        images, labels = load_digits(return_X_y=True, as_frame=True)
        rows = images.assign(label=labels)
        train, test = train_test_split(rows, test_size=0.3, random_state=7, stratify=labels)
        train.to_csv(self.training, index=False)
        test.to_csv(self.held_out, index=False)
        return self._git("rev-parse", "HEAD")

    def damage(self) -> None:
        """Shift the labels of a part of the training data by one row. Size, columns and name stay as they were."""
        rows = pd.read_csv(self.training)
        cut = int(len(rows) * DAMAGED_SHARE)
        labels = rows["label"].to_numpy().copy()
        labels[:cut] = np.roll(labels[:cut], 1)
        rows.assign(label=labels).to_csv(self.training, index=False)

    def train(self, kind: str, *, url: str, token: str) -> str:
        """Run the script as its author would. Returns what it printed. Raises CalledProcessError."""
        environment = {
            **os.environ,
            "ASSAY_URL": url,
            "ASSAY_TOKEN": token,
            # Not the terminal's width: the lines are shown in a frame.
            "COLUMNS": "100",
        }
        environment.pop("ASSAY_SETTINGS", None)
        done = subprocess.run(
            [sys.executable, "train.py", "--kind", kind, "--seed", str(self.seed)],
            cwd=self.folder,
            env=environment,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return done.stdout.strip()

    def reproduce(self, reference: str, *, url: str, token: str) -> tuple[int, str]:
        """`assay reproduce --run` beside the project. Returns how it ended, and what it printed."""
        environment = {**os.environ, "ASSAY_URL": url, "ASSAY_TOKEN": token, "COLUMNS": "100"}
        environment.pop("ASSAY_SETTINGS", None)
        # The interpreter that trained is the `python` of the recorded command.
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
        into = self.folder.with_name("reproduced")
        command = [
            "reproduce",
            reference,
            "--run",
            "--repo",
            self.folder,
            "--data",
            self.folder,
            "--into",
            into,
        ]
        done = subprocess.run(
            [sys.executable, "-c", "from assay.cli import main; main()", *map(str, command)],
            cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout.strip()

    def _git(self, *arguments: str) -> str:
        who = ["-c", "user.name=ben", "-c", "user.email=ben@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.folder, check=True, text=True, capture_output=True
        )
        return done.stdout.strip()
