"""`make mutate`: a random sample of mutants, each hunted by the nearest tests; what survives is listed.

The database, broker and store are real ones, started once; each mutant has a process of its own, with a clone of the
database, and the file that it changes is never touched.

make mutate MUTATE='--count 150 --seed 7 --only lifecycle/promotions.py'
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.campaigns.mutants import Mutant, mutants_of, mutated

LIFECYCLE = "tests/lifecycle"
RULES = sorted(map(str, Path(LIFECYCLE).glob("test_*.py")))
MACHINE = [f"{LIFECYCLE}/machine/test_machine.py"]
GATES = [f"{LIFECYCLE}/gates", f"{LIFECYCLE}/test_never_waived.py", f"{LIFECYCLE}/test_waivers.py"]
# What is changed, and the tests that are nearest to it, those that are likely to notice first.
TARGETS: dict[str, list[str]] = {
    "lifecycle/stages.py": [f"{LIFECYCLE}/test_stages.py", f"{LIFECYCLE}/test_rollback.py", *RULES, *MACHINE],
    "lifecycle/promotions.py": [f"{LIFECYCLE}/test_promotions.py", *RULES, f"{LIFECYCLE}/api", *MACHINE],
    "registry/permissions.py": [
        f"{LIFECYCLE}/test_promotions.py", "tests/api/test_access.py", *RULES, f"{LIFECYCLE}/api", *MACHINE,
    ],
    **{
        str(path): [
            *GATES, "tests/lineage/test_purchases.py", "tests/registry/artifacts/test_signature_checks.py", *RULES,
        ]
        for path in sorted(Path("lifecycle/gates").glob("*.py"))
    },
}  # fmt: skip
LONGEST = 900.0
# The plugin that starts the services is imported here already.
OPTIONS = ["-xq", "-n0", "-pno:cacheprovider", "--no-header", "-Wignore::pytest.PytestAssertRewriteWarning"]
# A mutant that breaks the import, or hangs, is noticed as well.
SURVIVED, NOBODY = 0, 5


class _Changed(SourceFileLoader):
    """Loads a module with one change."""

    def __init__(self, name: str, mutant: Mutant) -> None:
        super().__init__(name, mutant.path)
        self.mutant = mutant

    def get_code(self, fullname: str) -> Any:
        return compile(mutated(self.mutant), self.mutant.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != self.mutant.module:
            return None
        package = [str(Path(self.mutant.path).parent)] if self.mutant.path.endswith("__init__.py") else None
        return spec_from_file_location(
            fullname,
            self.mutant.path,
            loader=_Changed(fullname, self.mutant),
            submodule_search_locations=package,
        )


def hunt(mutant: Mutant | None, tests: list[str], number: int, longest: float = LONGEST) -> tuple[str, float]:
    """`killed`, `survived` or `too long`, and the seconds; without a mutant, whether the tests pass at all."""
    began = time.monotonic()
    name = f"mutant{number}"
    process = os.fork()
    if process == 0:
        _hunted(mutant, tests, name)
    code: int | None = None
    while code is None and time.monotonic() - began < longest:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
        else:
            time.sleep(0.05)
    if code is None:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
    with services.superuser() as session:
        session.execute(f'DROP DATABASE IF EXISTS "assay_{name}" WITH (FORCE)')
    told = "too long" if code is None else "survived" if code == SURVIVED else "killed"
    if code == NOBODY:
        raise RuntimeError(f"no test was found in {tests}")
    return told, time.monotonic() - began


def _said(name: str) -> str:
    """The file that the tests of this mutant write to."""
    return f"{os.environ[services.RUN]}/{name}.log"


def _hunted(mutant: Mutant | None, tests: list[str], name: str) -> None:
    os.setsid()
    services.run = None  # the services are the hunter's, and not to be stopped from here
    said = os.open(_said(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.environ["PYTEST_XDIST_WORKER"] = name
    if mutant:
        sys.meta_path.insert(0, _Finder(mutant))
    code = 1
    try:
        code = int(pytest.main([*OPTIONS, *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        services.stop()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> int:
    asked = argparse.ArgumentParser(prog="make mutate")
    asked.add_argument("--count", type=int, default=150, help="how many mutants; 0: all")
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked.add_argument("--only", default="", help="part of the paths to change")
    asked.add_argument("--least", type=float, default=0.9, help="the share that must be killed")
    given = asked.parse_args()
    known = [m for path in TARGETS if given.only in path for m in mutants_of(path)]
    chance = random.Random(given.seed)
    sample = chance.sample(known, min(given.count or len(known), len(known)))
    services.start(worker="", runs_tests=False)
    counted: Counter[str] = Counter()
    try:
        nearest = list(dict.fromkeys(test for mutant in sample for test in TARGETS[mutant.path]))
        told, seconds = hunt(None, nearest, -1)
        print(f"{told:9} {seconds:5.1f} s  without any mutant: this has to survive", flush=True)
        if told != "survived":
            print(Path(_said("mutant-1")).read_text(encoding="utf-8")[-5000:])
            return 1
        longest = max(60.0, 3 * seconds)  # what takes longer than that is not slow, it hangs
        for number, mutant in enumerate(sample):
            told, seconds = hunt(mutant, TARGETS[mutant.path], number, longest)
            counted[told] += 1
            print(f"{told:9} {seconds:5.1f} s  {mutant}", flush=True)
    finally:
        services.stop()
    killed = counted["killed"] + counted["too long"]
    share = killed / max(1, len(sample))
    told_all = {"name": "mutation", "seed": given.seed, "known": len(known), "hunted": len(sample), **counted}
    print(json.dumps({**told_all, "share_killed": round(share, 3)}))
    return 0 if share >= given.least else 1


if __name__ == "__main__":
    sys.exit(main())
