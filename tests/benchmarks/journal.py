"""How fast the journal is numbered, signed and verified, and what the chain over it weighs.

    make bench-journal                     # 100,000 events: some two minutes
    EVENTS=10000 make bench-journal

Events as a promotion leaves them: a reason, before and after. Numbering and verifying run as an operator would run
them, in one process, over a database on this machine. The proof is one of 200 entries, spread over the whole journal.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

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
            os.environ.update(stack.env, DJANGO_SETTINGS_MODULE="config.settings")
            django.setup()
            database = stack.services["database"]
            if not isinstance(database, Postgres):
                raise TypeError("the benchmark writes into a database of its own")
            with database.superuser(DATABASE) as session:
                wrote, _ = timed(lambda: session.execute(WRITE, [EVENTS]))
                session.execute("VACUUM ANALYZE")
                measure(wrote)
                for table in TABLES:
                    row: Any = session.execute("SELECT pg_total_relation_size(%s)", [table]).fetchone()
                    print_figure(f"journal_bytes_{table}", ours=row[0] / EVENTS, unit="bytes/event", n=EVENTS)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def measure(wrote: float) -> None:
    from registry.journal import checkpoints, proving, verifying  # noqa: PLC0415 - Django is set up now
    from registry.models import Event  # noqa: PLC0415

    def sign() -> None:
        while checkpoints.add_checkpoint():
            pass

    print_figure("journal_written", ours=EVENTS / wrote, unit="events/s", n=EVENTS, better="higher")
    cpu = time.process_time()
    took, _ = timed(sign)
    print_figure("journal_numbered", ours=EVENTS / took, unit="events/s", n=EVENTS, better="higher")
    cpu, before_verifying = time.process_time() - cpu, time.process_time()
    print_figure("journal_numbered_cpu", ours=cpu / EVENTS * 1e6, unit="us/event", n=EVENTS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took, found = timed(verifying.verify)
    print_figure("journal_verified", ours=found.entries / took, unit="events/s", n=EVENTS, better="higher")
    cpu = time.process_time() - before_verifying
    print_figure("journal_verified_cpu", ours=cpu / EVENTS * 1e6, unit="us/event", n=EVENTS)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print_figure("journal_verified_memory", ours=more, unit="MiB", n=EVENTS)
    one = checkpoints.add_checkpoint
    print_figure("journal_nothing_to_do", ours=timed(one)[0] * 1000, unit="ms", n=1)
    ids = random.Random(3).sample(range(1, EVENTS), 200)
    events = list(Event.objects.filter(pk__in=ids))
    took, proof = timed(lambda: proving.proof_of(events, digest="sha256:0"))
    print_figure("journal_proof_of_200", ours=took * 1000, unit="ms", n=len(events))
    print_figure("journal_proof_of_200_size", ours=len(str(proof)) / 1024, unit="KiB", n=len(events))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.monotonic()
    done = work()
    return time.monotonic() - began, done


if __name__ == "__main__":
    main()
