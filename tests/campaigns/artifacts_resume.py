"""A client killed (-9) half-way through 1 GiB, up and down; and a model pushed again unchanged.

make campaign-artifacts-resume          # MIB=256 for a look
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from config.embedded.supervisor import Stack
from tests.figures import print_campaign
from tests.journeys.interrupting import NEVER, pull_killed_half_way, push_killed_half_way, run

MIB = 2**20
SIZE = int(os.environ.get("MIB", "1024")) * MIB
SIDE_BY_SIDE = 8
HASHING = 1.5 * 2**30  # bytes a second that one core hashes at; the limit below is beyond it


def main() -> bool:
    folder = Path(tempfile.mkdtemp(prefix="assay-resume-"))
    folder.chmod(0o711)
    try:
        model = folder / "model"
        model.mkdir()
        with (model / "weights.bin").open("wb") as file:
            for _ in range(SIZE // MIB // 16):
                file.write(os.urandom(16 * MIB))
        with Stack(folder / "home", durable=False) as stack:
            stack.start_services()
            stack.prepare()
            stack.start_processes()
            return check(stack, folder, model)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check(stack: Stack, folder: Path, model: Path) -> bool:
    token = stack.token("eve", "ml_engineer", "bench")
    env = {
        **stack.environ(), "ASSAY_URL": stack.url, "ASSAY_TOKEN": token, "ASSAY_CACHE": "off",
    }  # fmt: skip
    reference, sent, most_sent = push_killed_half_way(env, model, "bench/large", side_by_side=SIDE_BY_SIDE)
    out = folder / "out"
    fetched, most_fetched = pull_killed_half_way(env, reference, out, SIZE, side_by_side=SIDE_BY_SIDE)
    equal = (out / "weights.bin").read_bytes() == (model / "weights.bin").read_bytes()
    again = run(env, "push", model, "bench/large", NEVER, SIDE_BY_SIDE)
    assert again is not None
    beyond = again["seconds"] - again["hashed"] / HASHING
    told = {
        "size": SIZE,
        "sent_after_kill": sent,
        "most_allowed": most_sent,
        "fetched_after_kill": fetched,
        "most_fetched": most_fetched,
        "bytes_equal": equal,
        "sent_again_unchanged": again["moved"],
        "seconds_beyond_hashing": round(beyond, 2),
    }
    print(json.dumps(told), flush=True)
    bad = [sent > most_sent, fetched > most_fetched, not equal, again["moved"] != 0, beyond > 5]
    # The control: a client that begins anew sends all of it, which the bound must not let pass.
    return print_campaign(
        "artifacts-resume", cases=len(bad), bad=sum(bad), control_caught=most_sent < SIZE > most_fetched
    )


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
