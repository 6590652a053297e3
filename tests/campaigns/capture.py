"""`make campaign-capture`: projects that read data in many ways, with strace as the truth of what they opened.

Each project is run once bare under strace, once inside a run, and once unchanged as `assay run` runs it. Of the data
files that it opened for reading, 95% are to be found over all, none made up, each by the digest of its content, and
where one was missed the run is to say that it does not know. As a control the DuckDB project is run blind to DuckDB.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from client.tests.tracking.conftest import Project
from client.tests.tracking.projects import READINGS
from client.tests.tracking.reading import Found, Reading, prepare, watch
from tests.figures import print_campaign

LEAST = 0.95
BLIND = ("DuckDB", "duckdb")
# `openat(AT_FDCWD, "data/x.csv", O_RDONLY|O_CLOEXEC) = 3</tmp/p/data/x.csv>`
_OPENED = re.compile(r"\bopen(?:at2?)?\(.*?\b(O_(?:RDONLY|RDWR|WRONLY)[A-Z_|]*).*\)\s+= \d+<(.+)>$")
_NO_READING = {"O_WRONLY", "O_TRUNC", "O_DIRECTORY", "O_PATH"}


def opened(project: Project) -> set[str]:
    """The files under `data/` that were there before and that the script opened for reading, by the kernel."""
    there = {str(path) for path in (project.root / "data").rglob("*") if path.is_file()}
    log = project.root.parent / "strace.log"
    subprocess.run(
        ["strace", "-f", "-y", "-s", "4096", "-qq", "-e", "trace=open,openat,openat2", "-o", str(log),
         sys.executable, "train.py"],
        cwd=project.root, check=True, capture_output=True, timeout=600,
    )  # fmt: skip
    found = set()
    for line in _whole(log.read_text(encoding="utf-8", errors="surrogateescape").splitlines()):
        match = _OPENED.search(line)
        if match and not _NO_READING & set(match[1].split("|")) and match[2] in there:
            found.add(os.path.relpath(match[2], project.root))
    code = {path for path in found if path.endswith(".py")}
    return found - code


def _whole(lines: list[str]) -> list[str]:
    """Calls that another process interrupted put together again."""
    waiting: dict[str, str] = {}
    whole = []
    for line in lines:
        process, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            waiting[process] = rest.removesuffix("<unfinished ...>")
        elif rest.startswith("<... open"):
            whole.append(waiting.pop(process, "") + rest.partition("resumed>")[2])
        else:
            whole.append(rest)
    return whole


def look(reading: Reading, folder: Path) -> tuple[set[str], dict[str, Found]]:
    root = folder / "project"
    root.mkdir(parents=True)
    project = Project(root)
    project.git("init", "-q", "-b", "main")
    project.write(".gitignore", "data/\n__pycache__/\nout.parquet\n")
    prepare(project, reading)
    truth = opened(project)
    found = {}
    for name, unchanged in (("inside a run", False), ("assay run", True)):
        (root / "out.parquet").unlink(missing_ok=True)
        found[name] = watch(project, truth, unchanged=unchanged)
    if reading.name == BLIND[0]:
        found["control"] = watch(project, truth, blind_to=BLIND[1])
    return truth, found


def campaign() -> bool:
    if shutil.which("strace") is None:
        print(
            "strace is not on the PATH, and nothing else tells what a process opens: install it.",
            file=sys.stderr,
        )
        return False
    counts: dict[str, list[tuple[int, int]]] = {}
    bad = []
    control_caught = False
    with tempfile.TemporaryDirectory(prefix="assay-campaign-") as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        for number, reading in enumerate(READINGS):
            truth, by_way = look(reading, Path(folder) / str(number))
            as_written = truth == set(reading.reads)
            control = by_way.pop("control", None)
            control_caught = control_caught or (control is not None and not control.is_honest)
            for way, found in by_way.items():
                seen = len(truth & found.recorded)
                counts.setdefault(way, []).append((len(truth), seen))
                if not (found.is_honest and as_written):
                    bad.append(f"{reading.name}, {way}")
                print(json.dumps({
                    "campaign": "capture", "project": reading.name, "way": way, "opened": len(truth), "found": seen,
                    "missed": sorted(found.missed), "made_up": sorted(found.invented), "wrong_digest": found.wrong,
                    "state": found.state, "notes": found.notes, "as_written_down": as_written,
                    "honest": found.is_honest,
                }), flush=True)  # fmt: skip
    for way, pairs in counts.items():
        # a folder of images is most of the files: the others are to be found without its help
        share, others = _share(pairs), _share(sorted(pairs)[:-1])
        if min(share, others) < LEAST:
            bad.append(f"too few found, {way}")
        print(json.dumps({
            "campaign": "capture", "way": way, "projects": len(pairs), "opened": sum(there for there, _ in pairs),
            "found": sum(seen for _, seen in pairs), "share": share, "share_without_the_largest": others,
            "least": LEAST, "bad": bad,
        }))  # fmt: skip
    cases = sum(there for pairs in counts.values() for there, _ in pairs)
    return print_campaign("capture", cases=cases, bad=len(bad), control_caught=control_caught)


def _share(counts: list[tuple[int, int]]) -> float:
    return round(sum(seen for _, seen in counts) / sum(there for there, _ in counts), 4)


if __name__ == "__main__":
    sys.exit(0 if campaign() else 1)
