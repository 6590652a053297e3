"""What `make bench-journal` measures, in a process over the services that it started."""

from __future__ import annotations

import os
import random
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from registry.journal import checkpoints, proving, verifying  # noqa: E402
from registry.models import Event  # noqa: E402
from tests.figures import print_figure  # noqa: E402


def measure(count: int) -> None:
    def sign() -> None:
        while checkpoints.add_checkpoint():
            pass

    cpu = time.process_time()
    took, _ = timed(sign)
    print_figure("journal_numbered", ours=count / took, unit="events/s", n=count, better="higher")
    cpu, before_verifying = time.process_time() - cpu, time.process_time()
    print_figure("journal_numbered_cpu", ours=cpu / count * 1e6, unit="us/event", n=count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took, found = timed(verifying.verify)
    print_figure("journal_verified", ours=found.entries / took, unit="events/s", n=count, better="higher")
    cpu = time.process_time() - before_verifying
    print_figure("journal_verified_cpu", ours=cpu / count * 1e6, unit="us/event", n=count)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print_figure("journal_verified_memory", ours=more, unit="MiB", n=count)
    one = checkpoints.add_checkpoint
    print_figure("journal_nothing_to_do", ours=timed(one)[0] * 1000, unit="ms", n=1)
    ids = random.Random(3).sample(range(1, count), 200)
    events = list(Event.objects.filter(pk__in=ids))
    took, proof = timed(lambda: proving.proof_of(events, digest="sha256:0"))
    print_figure("journal_proof_of_200", ours=took * 1000, unit="ms", n=len(events))
    print_figure("journal_proof_of_200_size", ours=len(str(proof)) / 1024, unit="KiB", n=len(events))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.monotonic()
    done = work()
    return time.monotonic() - began, done


if __name__ == "__main__":
    measure(int(sys.argv[1]))
