"""Children: they end when told, when their parent dies, and with all they started."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from config.embedded.process import LOG_LIMIT, Child, ChildFailed, end_orphan
from config.embedded.programs import CHECKOUT

FAMILY = "sleep 300 & echo started; wait"


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def within(seconds: float, true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "child.log"


@pytest.fixture
def family(log: Path) -> Iterator[Child]:
    """A shell and the process it started."""
    child = Child("family", ["sh", "-c", FAMILY], log=log)
    child.start()
    child.wait_until(lambda: "started" in child.output(), timeout=5)
    yield child
    child.kill()


def members(child: Child) -> list[int]:
    parent = psutil.Process(child.pid)
    return [child.pid, *(process.pid for process in parent.children(recursive=True))]


@pytest.mark.parametrize("end", [Child.kill, Child.stop])
def test_nothing_remains_of_it(family: Child, end: Callable[[Child], None]) -> None:
    pids = members(family)
    assert len(pids) == 2
    end(family)
    assert not family.running
    assert within(3, lambda: all(gone(pid) for pid in pids))


def test_one_that_ignores_the_signal_is_killed_after_its_grace(log: Path) -> None:
    child = Child(
        "deaf", ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"], log=log, grace=0.3
    )
    child.start()
    child.wait_until(lambda: "deaf" in child.output(), timeout=5)
    began = time.monotonic()
    child.stop()
    assert child.exit_code == -signal.SIGKILL
    assert 0.3 <= time.monotonic() - began < 3


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from config.embedded.process import Child
child = Child("c", ["sleep", "300"], log=Path({str(tmp_path)!r}) / "c.log")
child.start()
print(child.pid, flush=True)
time.sleep(300)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.kill()
    assert within(3, lambda: gone(pid))


def test_one_that_does_not_start_says_why(log: Path) -> None:
    child = Child("broken", ["sh", "-c", "echo no such thing; exit 3"], log=log)
    child.start()
    with pytest.raises(ChildFailed, match=r"(?s)broken ended with 3.*no such thing"):
        child.wait_until(lambda: False, timeout=5)


def test_one_that_is_slow_is_given_up(family: Child) -> None:
    with pytest.raises(ChildFailed, match=r"(?s)family did not get ready in time.*started"):
        family.wait_until(lambda: False, timeout=0.1)


def test_output_is_that_of_the_last_start(log: Path) -> None:
    child = Child("counter", ["sh", "-c", "echo run; sleep 300"], log=log)
    for _ in range(2):
        child.start()
        child.wait_until(lambda: "run" in child.output(), timeout=5)
        assert child.output() == "run\n"
        child.kill()
    assert log.read_text() == "run\nrun\n"


def test_a_log_that_grew_too_long_begins_anew(log: Path) -> None:
    log.parent.mkdir(parents=True)
    with log.open("wb") as file:
        file.truncate(LOG_LIMIT + 1)
    child = Child("short", ["sh", "-c", "echo new"], log=log)
    child.start()
    assert within(5, lambda: not child.running)
    child.kill()
    assert log.read_text() == "new\n"


def test_an_orphan_is_waited_for(tmp_path: Path) -> None:
    """Two servers over one data folder would harm it."""
    pid_file = tmp_path / "x.pid"
    with subprocess.Popen(["sleep", "0.5"]) as orphan:
        started = int(Path(f"/proc/{orphan.pid}/stat").read_text().rpartition(")")[2].split()[19])
        pid_file.write_text(f"{orphan.pid} {started}\n")
        end_orphan(pid_file)
        assert gone(orphan.pid)
    assert not pid_file.exists()


def test_an_orphan_that_stays_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "x.pid"
    with subprocess.Popen(["sleep", "300"]) as orphan:
        started = int(Path(f"/proc/{orphan.pid}/stat").read_text().rpartition(")")[2].split()[19])
        pid_file.write_text(f"{orphan.pid} {started}\n")
        end_orphan(pid_file, patience=0.2)
        assert orphan.wait(3) == -signal.SIGKILL


def test_somebody_else_with_the_orphans_number_is_left_alone(tmp_path: Path) -> None:
    pid_file = tmp_path / "x.pid"
    with subprocess.Popen(["sleep", "300"]) as other:
        pid_file.write_text(f"{other.pid} 1\n")
        end_orphan(pid_file, patience=0.2)
        assert other.poll() is None
        other.kill()
    assert not pid_file.exists()
