"""How long going back takes: from the command until the production alias answers with the old digest.

    make bench-rollback                                 # two versions of 1 GiB, some two minutes
    MIB=64 make bench-rollback                          # a look

Once with bytes that were read within a day, as they are where the scrub runs, and once with bytes that were not: then
a worker reads them first. The reference is what was promised: 5 s.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

import assay
from config.embedded.supervisor import Stack
from tests.figures import print_figure

MIB = 2**20
SIZE = int(os.environ.get("MIB", "1024"))
PROMISED = 5.0
HELD_OUT = ("holdout", "sha256:" + "5e" * 32)
MODEL = "bench/card"
ROLES = {
    "ada": "namespace_admin",
    "ben": "data_scientist",
    "eve": "ml_engineer",
    "cora": "production_operator",
}


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    folder.chmod(0o711)
    try:
        with Stack(folder / "home", durable=False) as stack:
            stack.start_services()
            stack.prepare()
            stack.start_processes()
            people = {
                who: assay.Client(stack.url, stack.token(who, role, "bench")) for who, role in ROLES.items()
            }
            versions = [produced(people, folder, number) for number in (1, 2)]
            recent = back(people["cora"], versions[0])
            print_figure(f"rollback_{SIZE}_mib_verified", ours=recent, unit="s", n=1, reference=PROMISED)
            forget_reading(stack)
            again = back(people["cora"], versions[1], to=2)
            print_figure(f"rollback_{SIZE}_mib_read_first", ours=again, unit="s", n=1, reference=PROMISED)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def produced(people: dict[str, assay.Client], folder: Path, number: int) -> dict[str, Any]:
    """A version of that size in production."""
    files = folder / str(number)
    files.mkdir()
    with (files / "weights.bin").open("wb") as file:
        for _ in range(SIZE // 16 or 1):
            file.write(os.urandom(16 * MIB))
    if number == 1:
        for target, count in (("staging", 0), ("production", 1)):
            rule = {"target": target, "gates": [], "approvals": {"count": count}}
            draft = people["ada"].post("/api/v1/namespaces/bench/policies", rule)
            people["cora"].post(f"/api/v1/policies/{draft['id']}/publish", {})
    version = people["ben"].push(files, MODEL, run=trained(people["ben"]))
    shutil.rmtree(files)
    reference = version["reference"]
    people["eve"].promote(reference, "staging")
    asked = people["eve"].promote(reference, "production", reason="Better.")
    done = people["cora"].approve(asked["id"], "Evidence read.")
    if done["state"] != "applied":
        raise RuntimeError(f"{reference} did not reach production: {done}")
    return dict(version)


def trained(ben: assay.Client) -> str:
    """A finished run whose record is complete."""
    now = datetime.now(UTC).isoformat()
    run = ben.create_run(
        "bench",
        experiment="card",
        started_at=now,
        entry_point="train.py",
        command=["python", "train.py"],
        code={"commit": "a" * 40, "remote": "", "branch": "main", "dirty": False},
        environment={"python": "3.11", "packages": {"scikit-learn": "1.7.2"}},
    )
    data = {"name": "train.csv", "digest": "sha256:" + "da" * 32, "role": "input", "context": "training"}
    ben.log_datasets(run["id"], [data])
    ben.update_run(run["id"], status="finished", ended_at=now, capture={"state": "complete", "notes": []})
    return run["id"]


def back(cora: assay.Client, version: dict[str, Any], to: int | None = None) -> float:
    """Seconds from the command until the alias answers with this version's digest."""
    began = time.perf_counter()
    cora.rollback(MODEL, reason="Complaints since noon.", to=to, wait=False)
    while cora.version(f"{MODEL}@production")["digest"] != version["digest"]:
        if time.perf_counter() - began > 120:
            raise RuntimeError("The alias did not move within two minutes.")
        time.sleep(0.02)
    return round(time.perf_counter() - began, 3)


def forget_reading(stack: Stack) -> None:
    """As if the bytes had last been read two days ago."""
    with psycopg.connect(stack.environ()["DATABASE_URL"], autocommit=True) as session:
        session.execute("UPDATE registry_blob SET verified_at = verified_at - interval '2 days'")


if __name__ == "__main__":
    main()
