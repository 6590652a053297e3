"""Moving bytes, beside what moves them fastest without a registry: boto3 and s5cmd, on the same store, in turn.

    make bench-transfer                                 # five rounds, some twenty minutes
    ROUNDS=1 MIB=256 make bench-transfer                # a look

Each round runs on a store of its own, so that no round inherits another's data. Every transfer is a process of
its own, timed inside once it has everything at hand, with its peak memory; the web processes' peak is read from
the kernel. The reference of an upload and a download is the better of the two in the same round;
neither proves what it brought, so there is a second one for downloads: s5cmd, then sha256 of the file.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from config.embedded.supervisor import Stack
from tests.figures import print_figure

ROUNDS = int(os.environ.get("ROUNDS", "5"))
MIB = 2**20
LARGE = int(os.environ.get("MIB", "2048")) * MIB
SMALL_FILES, SMALL_SIZE = 2000, 64 * 1024
SEEN: dict[str, list[float]] = defaultdict(list)
MEMORY: dict[str, list[float]] = defaultdict(list)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    folder.chmod(0o711)
    try:
        make_files(folder)
        for number in range(ROUNDS):
            run_round(folder, number)
            print(
                json.dumps({"round": number + 1, **{k: round(v[-1], 2) for k, v in SEEN.items()}}), flush=True
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    tell()


def make_files(folder: Path) -> None:
    (folder / "large").mkdir()
    with (folder / "large" / "weights.bin").open("wb") as file:
        for _ in range(LARGE // MIB // 16):
            file.write(os.urandom(16 * MIB))
    (folder / "small").mkdir()


def freshen(folder: Path) -> None:
    """Other bytes than in the round before: nothing is held already."""
    with (folder / "large" / "weights.bin").open("r+b") as file:
        file.write(os.urandom(64))
    for number in range(SMALL_FILES):
        (folder / "small" / f"shard-{number:04}").write_bytes(os.urandom(SMALL_SIZE))


def run_round(folder: Path, number: int) -> None:
    freshen(folder)
    home = folder / f"home-{number}"
    with Stack(home, durable=False) as stack:
        stack.start_services()
        stack.prepare()
        stack.start_processes()
        runner = Runner(stack, folder)
        # Who goes first changes, so that neither always finds the store rested.
        steps = [runner.boto3, runner.s5cmd, runner.ours]
        for step in steps[number % 3 :] + steps[: number % 3]:
            step()
        runner.small()
        runner.streamed()
        runner.compare()
    shutil.rmtree(home, ignore_errors=True)


class Runner:
    """The transfers of one round."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.large = folder / "large" / "weights.bin"
        self.now: dict[str, float] = {}
        token = stack.token("eve", "ml_engineer", "bench")
        self.env = {
            **stack.environ(),
            "ASSAY_URL": stack.url,
            "ASSAY_TOKEN": token,
            "ASSAY_CACHE": "off",
            "AWS_ACCESS_KEY_ID": stack.setting("S3_ACCESS_KEY_ID"),
            "AWS_SECRET_ACCESS_KEY": stack.setting("S3_SECRET_ACCESS_KEY"),
            "AWS_REGION": "us-east-1",
        }

    def child(self, *arguments: object) -> dict[str, Any]:
        command = [sys.executable, "-m", "tests.benchmarks.moving", *map(str, arguments)]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def boto3(self) -> None:
        told = self.child("boto3", self.large, self.folder / "out-boto3", self.folder / "small")
        self.now |= {f"boto3_{key}": value for key, value in told.items()}

    def s5cmd(self) -> None:
        told = self.child("s5cmd", self.large, self.folder / "out-s5cmd")
        self.now |= {f"s5cmd_{key}": value for key, value in told.items()}

    def ours(self) -> None:
        with self.web_growth("web_large"):
            told = self.child("push", self.folder / "large", "bench/large")
        self.now |= {"upload": told["sent"], "ready": told["ready"]}
        MEMORY["client_upload"].append(told["grown_mib"])
        with self.web_growth("web_large"):
            told = self.child("pull", "bench/large:1", self.folder / "out")
        self.now["download"] = told["seconds"]
        MEMORY["client_download"].append(told["grown_mib"])

    def small(self) -> None:
        told = self.child("push", self.folder / "small", "bench/small")
        self.now |= {"small": told["sent"], "small_ready": told["ready"]}
        MEMORY["client_small"].append(told["grown_mib"])

    def streamed(self) -> None:
        """The way round the store, for its memory."""
        with self.web_growth("web_streamed"):
            told = self.child("stream", self.folder / "large", self.folder / "out-streamed")
        MEMORY["client_streamed"].append(told["grown_mib"])
        self.now |= {"streamed_up": told["up"], "streamed_down": told["down"]}

    def compare(self) -> None:
        now = self.now
        best_up = min(now["boto3_upload"], now["s5cmd_upload"])
        pairs = {
            "upload": (now["upload"], best_up),
            "download": (now["download"], min(now["boto3_download"], now["s5cmd_download"])),
            "verified": (now["download"], now["s5cmd_verified"]),
            "ready": (now["ready"], best_up + now["boto3_read"]),
            "small": (now["small"], now["boto3_small"]),
        }
        for name, (ours, reference) in pairs.items():
            SEEN[name].append(ours)
            SEEN[f"{name}_reference"].append(reference)
        for name in ("small_ready", "streamed_up", "streamed_down"):
            SEEN[name].append(now[name])
        for name in ("boto3_upload", "s5cmd_upload", "boto3_download", "s5cmd_download", "boto3_read"):
            SEEN[name].append(now[name])

    @contextmanager
    def web_growth(self, name: str) -> Iterator[None]:
        """How much the web process that grew most has grown, in MiB, at its peak."""
        master = psutil.Process(self.stack.children["web"].pid)
        before = {}
        for process in master.children(recursive=True):
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak begins anew
            before[process.pid] = _status(process.pid, "VmRSS")
        yield
        grown = [_status(pid, "VmHWM") - rss for pid, rss in before.items()]
        MEMORY[name].append(max(grown) / 1024)


def _status(pid: int, field: str) -> int:
    """KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/{pid}/status has no {field}")


def tell() -> None:
    size = f"{LARGE // 2**30}gib" if LARGE % 2**30 == 0 else f"{LARGE // MIB}mib"
    for name, label in (
        ("upload", f"upload_{size}"),
        ("download", f"download_{size}"),
        ("verified", f"download_{size}_verified"),
        ("ready", f"ready_{size}"),
        ("small", f"upload_{SMALL_FILES}_small"),
    ):
        print_figure(
            label,
            ours=round(statistics.median(SEEN[name]), 3),
            reference=round(statistics.median(SEEN[f"{name}_reference"]), 3),
            unit="s",
            n=ROUNDS,
        )
    for name in ("small_ready", "streamed_up", "streamed_down"):
        print_figure(name, ours=round(statistics.median(SEEN[name]), 3), unit="s", n=ROUNDS)
    for name, values in MEMORY.items():
        print_figure(
            f"memory_{name}", ours=round(max(values), 1), unit="MiB grown at the peak", n=len(values)
        )


if __name__ == "__main__":
    main()
