"""What becomes of every operation on bytes while the store misbehaves, and after it has come to its senses.

Never a wrong byte taken for the right one, never a version `ready` that cannot be downloaded, never an answer
but a refusal that says when to come back; and once the store is well again, everything goes on.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from django.conf import settings
from django.test import override_settings

from assay.transfer import store as client_store
from config.embedded import programs
from config.embedded.home import free_port
from registry.artifacts import download, hashing, placing
from tests.cast import make_cast
from tests.conftest import Live
from tests.faults import Fault, FaultProxy
from tests.figures import print_campaign
from tests.registry.artifacts.corner import own_corner
from tests.registry.artifacts.incoming import (
    Beginning,
    Completing,
    JoiningStreamed,
    Sending,
    SendingUnchecked,
    Streaming,
)
from tests.registry.artifacts.kept import (
    Collecting,
    Copying,
    Downloading,
    InPieces,
    Joining,
    Listing,
    Looking,
    LookingForStrays,
    Placing,
    Pulling,
    Reading,
    Reaping,
    Scrubbing,
)
from tests.registry.artifacts.operations import READ_TIMEOUT, Operation, World

COPY_TIMEOUT = 2
# What one request may take: three attempts, the pauses between them, and what the machine takes.
LONGEST = 3 * COPY_TIMEOUT + 8
OPERATIONS: tuple[type[Operation], ...] = (
    Beginning,
    Sending,
    SendingUnchecked,
    Completing,
    Streaming,
    JoiningStreamed,
    Reading,
    Looking,
    Copying,
    Placing,
    InPieces,
    Joining,
    Scrubbing,
    Reaping,
    Listing,
    Collecting,
    LookingForStrays,
    Pulling,
    Downloading,
)


@contextmanager
def impatient() -> Iterator[None]:
    """Timeouts and pauses for tests, on both sides."""
    with ExitStack() as stack:
        # What was refused is asserted on; the log would be full of it.
        for name in (
            "django.request",
            "registry.tasks.artifacts",
            "urllib3.connection",
            "urllib3.connectionpool",
        ):
            stack.enter_context(mock.patch.object(logging.getLogger(name), "disabled", True))
        stack.enter_context(mock.patch.object(hashing, "ATTEMPTS", 2))
        stack.enter_context(mock.patch.object(client_store, "ATTEMPTS", 3))
        stack.enter_context(mock.patch.object(client_store, "BACKOFF", 0.05))
        defaults = client_store.Store.__init__.__kwdefaults__
        stack.enter_context(mock.patch.dict(defaults, timeout=float(READ_TIMEOUT)))
        yield


@contextmanager
def world(*, web: bool = True) -> Iterator[World]:
    """A proxy before the store; this process, and a web of its own if asked for, behind it."""
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(settings.S3_ENDPOINT_URL))
        stack.enter_context(own_corner())
        times = {"S3_READ_TIMEOUT_SECONDS": READ_TIMEOUT, "S3_COPY_TIMEOUT_SECONDS": COPY_TIMEOUT}
        addresses = {"S3_ENDPOINT_URL": proxy.url, "S3_PUBLIC_ENDPOINT_URL": proxy.url}
        stack.enter_context(override_settings(**times, **addresses))
        stack.enter_context(impatient())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-faults-")))
        given = {name: str(value) for name, value in {**times, **addresses}.items()}
        stack.enter_context(mock.patch.dict(os.environ, ASSAY_CACHE="off"))
        url = stack.enter_context(serving(given | {"S3_KEY_PREFIX": settings.S3_KEY_PREFIX})) if web else ""
        yield World(proxy, make_cast(), url, folder)


@contextmanager
def serving(given: dict[str, str]) -> Iterator[str]:
    """The address of a web process with these settings."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_OWNER_URL")}
    environment = programs.python_environment(
        {**ours, **given, "ASSAY_PUBLIC_URL": url, "ASSAY_DB_POOL": "4"}
    )
    log = Path(os.environ["ASSAY_HOME"]) / "logs" / "web-faults.log"
    live = Live(programs.web(environment, log, port, workers=1), url)
    live.start()
    try:
        yield url
    finally:
        live.kill()


@dataclass
class Cell:
    """One operation under one fault, and what was wrong."""

    name: str
    seconds: float = 0
    faults: int = 0
    bad: list[str] = field(default_factory=list)


def tried(world: World, kind: type[Operation], fault: Fault, *, times: int | None = None) -> Cell:
    """The operation while its requests meet the fault, `times` times or until they are let go."""
    cell = Cell(f"{kind.__name__} / {fault}{'' if times is None else f' x {times}'}")
    operation = kind(world)
    operation.prepare()
    began = time.monotonic()
    with world.proxy.doing(kind.requests, fault, times):
        try:
            cell.bad += operation.act()
        except Exception as error:
            cell.bad.append(f"raised {error!r}")
        cell.seconds = time.monotonic() - began
        cell.faults = world.proxy.faults
    if not cell.faults:
        cell.bad.append("met no fault")
    if fault != Fault.SLOW and cell.seconds > 2 * LONGEST:
        cell.bad.append(f"took {cell.seconds:.0f} s")
    try:
        cell.bad += operation.recover()
    except Exception as error:
        cell.bad.append(f"afterwards raised {error!r}")
    return cell


def unproven(world: World) -> Cell:
    """A seeded bug: publishing does not compare what it read with what was announced."""
    with mock.patch.object(placing, "_check", return_value=None):
        return tried(world, SendingUnchecked, Fault.WRONG_BYTES)


def unverified(world: World) -> Cell:
    """A seeded bug: what is handed out is not hashed on its way."""

    def blocks(body: Any, sha256: str) -> Iterator[bytes]:
        yield from iter(lambda: body.read(download.BLOCK), b"")

    with mock.patch.object(download, "_proven_blocks", blocks):
        return tried(world, Downloading, Fault.WRONG_BYTES)


BUGS: tuple[Callable[[World], Cell], ...] = (unproven, unverified)


def a_few() -> list[tuple[type[Operation], Fault]]:
    """Every operation and every fault, once at least."""
    faults = list(Fault)
    return [(kind, faults[n % len(faults)]) for n, kind in enumerate(OPERATIONS)]


def campaign() -> bool:
    """Every operation under every fault, once and lasting, then the bugs."""
    with world() as here:
        cells = []
        for kind in OPERATIONS:
            for fault in Fault:
                for times in (1, None):
                    cells.append(tried(here, kind, fault, times=times))
                    for wrong in cells[-1].bad:
                        print(f"{cells[-1].name}: {wrong}", flush=True)
        seen = [bug(here).bad for bug in BUGS]
    for bug, bad in zip(BUGS, seen, strict=True):
        print(f"seeded, {bug.__doc__} {bad[0] if bad else 'NOT SEEN'}")
    slowest = max(cells, key=lambda cell: cell.seconds)
    print(
        f"slowest: {slowest.name}, {slowest.seconds:.0f} s; {sum(cell.faults for cell in cells)} faults met"
    )
    return print_campaign(
        "artifacts_faults",
        cases=len(cells),
        bad=sum(bool(cell.bad) for cell in cells),
        control_caught=all(seen),
    )
