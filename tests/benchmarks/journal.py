"""How fast the journal is numbered, signed and verified, and what the chain over it weighs.

    make bench-journal                     # 100,000 events: some two minutes
    EVENTS=10000 make bench-journal

Events as a promotion leaves them: a reason, before and after. Numbering and verifying run as an operator would run
them, in one process, over a database on this machine. The proof is one of 200 entries, spread over the whole journal.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from config.embedded.postgres import DATABASE, Postgres
from config.embedded.supervisor import Stack
from tests.figures import print_figure

EVENTS = int(os.environ.get("EVENTS", "100000"))
WRITE = """
    INSERT INTO registry_event (type, namespace_id, subject_kind, subject_id, subject_label, actor_label, token_prefix,
        reason, before, after, at)
    SELECT 'version.promoted', (SELECT id FROM registry_namespace LIMIT 1), 'modelversion', gen_random_uuid()::text,
        'bench/card:' || n, 'cora', '', 'It is better on every slice that we looked at: ' || n,
        jsonb_build_object('stage', 'staging'),
        jsonb_build_object('stage', 'production', 'promotion', gen_random_uuid(), 'replaced', 'bench/card:' || n - 1),
        now() FROM generate_series(1, %s) n
"""
TABLES = ("registry_event", "registry_journalentry", "registry_journalnode", "registry_checkpoint")


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    home.chmod(0o711)
    try:
        with Stack(home, durable=False) as stack:
            stack.start_services()
            stack.prepare()
            stack.token("vera", "viewer", "bench")
            database = stack.services["database"]
            if not isinstance(database, Postgres):
                raise TypeError("the benchmark writes into a database of its own")
            with database.superuser(DATABASE) as session:
                began = time.monotonic()
                session.execute(WRITE, [EVENTS])
                wrote = time.monotonic() - began
                print_figure(
                    "journal_written", ours=EVENTS / wrote, unit="events/s", n=EVENTS, better="higher"
                )
                session.execute("VACUUM ANALYZE")
                command = [sys.executable, "-m", "tests.benchmarks.journal_signed", str(EVENTS)]
                subprocess.run(command, env={**os.environ, **stack.env}, check=True)
                for table in TABLES:
                    row: Any = session.execute("SELECT pg_total_relation_size(%s)", [table]).fetchone()
                    print_figure(f"journal_bytes_{table}", ours=row[0] / EVENTS, unit="bytes/event", n=EVENTS)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
