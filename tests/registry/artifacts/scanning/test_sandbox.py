"""The scanning process can do nothing but read what it is handed, and is believed no more than it must be."""

from __future__ import annotations

import pickle
from typing import Any

import psutil
import pytest

from registry.artifacts import sandbox

CONTENT = pickle.dumps([1, 2, 3])
START = "import os, sys, json, struct; sys.path.append(sys.argv[1]); import registry.artifacts.scanning.child as c\n"


def read(offset: int, length: int) -> bytes:
    return CONTENT[offset : offset + length]


def judge(boot: str = sandbox.BOOT, **more: Any) -> sandbox.Judged:
    return sandbox.judge(read, len(CONTENT), boot=boot, **more)


def tried(*attempts: str) -> dict[str, str]:
    """What came of each attempt, made inside the process where it would look at the file."""
    boot = (
        START + "import socket, ctypes, subprocess\nfrom registry.artifacts.scanning.report import Report\n"
    )
    boot += "def attempt(what):\n  try: return repr(eval(what))\n  except BaseException as e: return type(e).__name__\n"
    boot += f"def scan(source):\n  r = Report('text')\n  for what in {attempts!r}:\n"
    boot += "    r.add('clean', what[:100], attempt(what))\n  return r\nc.scan = scan\nc.main()"
    return {found["where"]: found["what"] for found in judge(boot).findings}


def test_it_works() -> None:
    assert judge() == sandbox.Judged("pickle", "clean", [])


def test_it_has_no_network_no_files_no_programs() -> None:
    refused = {
        "socket.socket()": "PermissionError",
        "socket.socketpair()": "PermissionError",
        "socket.socket(socket.AF_UNIX)": "PermissionError",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)": "PermissionError",
        "open('/etc/hostname')": "PermissionError",
        "open('/tmp/x', 'w')": "PermissionError",
        "os.listdir('/')": "PermissionError",
        "os.mkdir('/tmp/scanned')": "PermissionError",
        "os.unlink('/tmp/x')": "PermissionError",
        "os.fork()": "PermissionError",
        "os.execv('/bin/true', ['true'])": "PermissionError",
        "os.kill(os.getppid(), 0)": "PermissionError",
        "os.pipe()": "PermissionError",
        "os.setuid(0)": "PermissionError",
        "ctypes.CDLL(None).ptrace(0, 0, 0, 0)": "-1",
        "ctypes.CDLL(None).unshare(0x10000000)": "-1",
        "ctypes.CDLL(None).open(b'/etc/hostname', 0)": "-1",
    }
    assert tried(*refused) == refused


def test_it_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_SECRET_KEY", "hidden")
    told = tried("sorted(os.environ)", "'django' in sys.modules", "len(sys.argv)")
    assert told == {
        "sorted(os.environ)": "['LC_ALL']",
        "'django' in sys.modules": "False",
        "len(sys.argv)": "2",
    }


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("c.scan = lambda s: bytearray(2 << 30)", "needs more memory"),
        ("c.scan = lambda s: 1 / 0", "the scanner failed on it (ZeroDivisionError)"),
        ("c.scan = lambda s: [None for _ in iter(int, 1) if _]", "takes longer than a scan may"),
        ("c.scan = lambda s: os._exit(0)", "ended early"),
        ("os.kill(os.getpid(), 9)", "ended early"),
        ("os.kill(os.getpid(), 11)", "ended by SIGSEGV"),
        ("os.write(1, b'X' * 100)", "did not start"),
        ("c.shut_out = lambda machine: ''", "cannot keep its process from the network"),
        ("c._fetch = lambda at, n: c._send(b'Z')", "answered nonsense"),
        (
            "c._fetch = lambda at, n: c._send(b'R' + struct.pack('<QI', 1 << 40, 10))",
            "bytes that are not there",
        ),
        (
            "c._fetch = lambda at, n: c._send(b'R' + struct.pack('<QI', 0, 1 << 31))",
            "bytes that are not there",
        ),
        ("c.judged = lambda s: {'verdict': 'clean'}", "answered nonsense"),
        ("c.judged = lambda s: [1]", "answered nonsense"),
        ("c.judged = lambda s: {'format': 'x', 'verdict': 'fine', 'findings': []}", "answered nonsense"),
        ("c.judged = lambda s: {'format': '<b>', 'verdict': 'clean', 'findings': []}", "answered nonsense"),
        ("c.judged = lambda s: {'format': 'x', 'verdict': 'clean', 'findings': [{}]}", "answered nonsense"),
        (
            "c.judged = lambda s: {'format': 'x', 'verdict': 'clean', 'findings': ['x' * 300_000]}",
            "answered too much",
        ),
    ],
)
def test_whatever_goes_wrong_is_unscannable_and_says_why(act: str, told: str) -> None:
    found = judge(f"{START}{act}\nc.main()", cpu_seconds=1)
    assert found.verdict == "unscannable"
    assert told in found.findings[0]["what"]


def test_a_process_that_hangs_is_ended() -> None:
    found = judge(f"{START}c.scan = lambda s: os.read(0, 1)\nc.main()", wall_seconds=1)
    assert found.verdict == "unscannable"
    assert "takes longer" in found.findings[0]["what"]


def test_clean_with_a_finding_is_not_believed() -> None:
    told = {
        "format": "x",
        "verdict": "clean",
        "findings": [{"where": "", "what": "w", "name": "", "verdict": "malicious"}],
    }
    assert judge(f"{START}c.judged = lambda s: {told!r}\nc.main()").verdict == "malicious"


def test_what_the_store_says_is_not_the_files_fault() -> None:
    def away(offset: int, length: int) -> bytes:
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        sandbox.judge(away, 100)


def test_no_process_is_left_behind() -> None:
    judge(f"{START}c.scan = lambda s: os.read(0, 1)\nc.main()", wall_seconds=0.5)
    left = [child for child in psutil.Process().children() if "scanning.child" in " ".join(child.cmdline())]
    assert left == []


def test_small_files_share_a_process() -> None:
    with sandbox.Several() as several:
        for _ in range(3):
            assert several.judge(read, len(CONTENT)) == sandbox.Judged("pickle", "clean", [])
        assert several._process is not None
        assert several._left == sandbox.MOST_SHARED - 3


def test_after_a_file_that_is_not_clean_the_process_is_another() -> None:
    hostile = b"cos\nsystem\n(S'true'\ntR."
    with sandbox.Several() as several:
        several.judge(read, len(CONTENT))
        first = several._process
        found = several.judge(lambda offset, length: hostile[offset : offset + length], len(hostile))
        assert found.verdict == "malicious"
        assert several._process is None
        assert several.judge(read, len(CONTENT)).verdict == "clean"
        assert several._process is not first


def test_a_process_is_believed_of_its_first_file(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start = sandbox._start

    def told(boot: str, wall: float) -> Any:
        started.append(boot)
        return start(boot, wall)

    monkeypatch.setattr(sandbox, "_start", told)
    strange = bytes(range(256)) * 4
    with sandbox.Several() as several:
        for _ in range(3):
            found = several.judge(lambda offset, length: strange[offset : offset + length], len(strange))
            assert found.verdict == "unscannable"
            assert several._process is None
    assert len(started) == 3


def test_a_file_that_ends_the_shared_process_is_judged_by_itself() -> None:
    with sandbox.Several() as several:
        several.judge(read, len(CONTENT))
        assert several._process is not None
        several._process.kill()
        several._process.wait()
        assert several.judge(read, len(CONTENT)) == sandbox.Judged("pickle", "clean", [])


def test_what_cannot_be_read_goes_through_and_leaves_no_process() -> None:
    def away(offset: int, length: int) -> bytes:
        raise OSError("away")

    with sandbox.Several() as several:
        several.judge(read, len(CONTENT))
        with pytest.raises(OSError, match="away"):
            several.judge(away, 100)
        assert several._process is None
