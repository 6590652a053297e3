"""Which files count as data read, seen from outside: a script is run, and what it told is looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.tracking.conftest import Project

RUN = "with assay.run(namespace='fraud', client=recorder) as run:\n"


def test_a_file_read_is_a_dataset_by_its_whole_content(
    project: Project, sha256_of: Callable[[Path], str]
) -> None:
    file = project.write("data/train.csv", "a,b\n" + "1,2\n" * 20_000)
    told = project.train(RUN + "    open('data/train.csv').read(1)\n")
    use = told.datasets["data/train.csv"]
    assert use == {
        "name": "data/train.csv", "source": "data/train.csv", "role": "input", "context": "training",
        "digest": sha256_of(file), "size": file.stat().st_size, "rows": 20_000, "columns": 2,
        "schema": [{"name": "a", "type": "text"}, {"name": "b", "type": "text"}],
    }  # fmt: skip
    assert (told.state, told.notes) == ("complete", "")


def test_one_row_far_down_changes_the_digest(project: Project) -> None:
    project.write("data/train.csv", "1,2\n" * 20_000)
    before = project.train(RUN + "    open('data/train.csv').close()\n").datasets["data/train.csv"]["digest"]
    project.write("data/train.csv", "1,2\n" * 15_000 + "1,3\n" + "1,2\n" * 4_999)
    after = project.train(RUN + "    open('data/train.csv').close()\n").datasets["data/train.csv"]["digest"]
    assert before != after


NO_DATA = {
    "README": "tracked by Git",
    "lib.py": "code",
    ".cache/x": "a cache",
    "data/.venv/x.csv": "an environment",
    "data/site-packages/x/x.csv": "a package",
    ".git/config": "Git's own",
}


def test_what_is_not_data(project: Project) -> None:
    for path in NO_DATA:
        if not (project.root / path).exists():
            project.write(path, "x = 1\n")
    bodies = [f"open({path!r}).read()" for path in NO_DATA]
    for why, told in zip(NO_DATA.values(), project.train_each("", bodies), strict=True):
        assert (told.datasets, told.state) == ({}, "complete"), why


def test_the_runs_own_outputs_are_not_its_inputs(project: Project) -> None:
    told = project.train(RUN + "    open('data.csv', 'w').write('x')\n    open('data.csv').read()\n")
    assert told.datasets == {}


def test_a_file_moved_into_place_by_the_run_is_its_output(project: Project) -> None:
    body = "    import os; open('t', 'w').write('x'); os.replace('t', 'data.csv'); open('data.csv').read()\n"
    assert project.train(RUN + body).datasets == {}


def test_reads_outside_of_the_run_do_not_count(project: Project) -> None:
    project.write("data/a.csv", "a")
    project.write("data/b.csv", "b")
    told = project.train("open('data/a.csv').read()\n" + RUN + "    pass\nopen('data/b.csv').read()\n")
    assert told.datasets == {}


def test_a_file_changed_after_it_was_opened_makes_the_run_incomplete(project: Project) -> None:
    project.write("data/a.csv", "a")
    told = project.train(RUN + "    open('data/a.csv').read()\n    open('data/a.csv', 'a').write('b')\n")
    assert told.state == "incomplete"
    assert "data/a.csv" in told.notes
    assert "changed" in told.notes


def test_a_file_that_is_gone_makes_the_run_incomplete(project: Project) -> None:
    project.write("data/a.csv", "a")
    told = project.train(RUN + "    import os\n    open('data/a.csv').read()\n    os.remove('data/a.csv')\n")
    assert told.state == "incomplete"
    assert "data/a.csv" in told.notes


def test_data_outside_is_said_and_with_data_roots_recorded(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "lake" / "x.csv"
    outside.parent.mkdir()
    outside.write_text("x")
    told = project.train(RUN + f"    open({str(outside)!r}).read()\n")
    assert (told.datasets, told.state) == ({}, "incomplete")
    assert "lake/x.csv" in told.notes
    assert "data_roots" in told.notes

    declared = (
        f"with assay.run(namespace='fraud', client=recorder, data_roots=[{str(outside.parent)!r}]) as run:\n"
    )
    told = project.train(declared + f"    open({str(outside)!r}).read()\n")
    assert (list(told.datasets), told.state) == (["lake/x.csv"], "complete")


def test_a_linked_folder_of_data_counts_by_its_name_in_the_project(project: Project, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "x.csv").write_text("x")
    (project.root / "data").symlink_to(tmp_path / "lake")
    assert list(project.train(RUN + "    open('data/x.csv').read()\n").datasets) == ["data/x.csv"]


WAYS = [
    "import pandas as pd; pd.read_csv('data/f')",
    "import os; os.close(os.open('data/f', os.O_RDONLY))",
    "from pathlib import Path; Path('data/f').read_bytes()",
    "import numpy as np; np.fromfile('data/f', dtype='u1')",
    "import numpy as np; np.memmap('data/f', dtype='u1')",  # opens for writing too, and reads
    "import numpy as np; np.loadtxt('data/f', delimiter=',')",
    "import os; os.chdir('data'); open('f').read()",
    "import threading; t = threading.Thread(target=lambda: open('data/f').read()); t.start(); t.join()",
    "import mmap; f = open('data/f', 'rb'); mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)",
    "import shutil; shutil.copy('data/f', 'data/copy')",
    "import gzip; gzip.open('data/f').close()",
    "import csv; list(csv.reader(open('data/f')))",
]


def test_ways_of_reading(project: Project) -> None:
    project.write("data/f", "1,2\n3,4\n")
    for way, told in zip(WAYS, project.train_each("", WAYS), strict=True):
        assert (list(told.datasets), told.state) == (["data/f"], "complete"), (way, told.notes)


def test_a_database_file_is_data(project: Project) -> None:
    project.write(
        "data/make.py", "import sqlite3; c = sqlite3.connect('data/x.db'); c.execute('create table t(a)')"
    )
    body = "exec(open('data/make.py').read())\n"
    told = project.train(
        body + RUN + "    sqlite3.connect('data/x.db').execute('select * from t').fetchall()\n"
    )
    assert list(told.datasets) == ["data/x.db"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import subprocess; subprocess.run(['cat', 'data/f'], capture_output=True)", "`cat`"),
        ("import os; os.system('true')", "shell"),
        ("import os; os.fork() or os._exit(0)", "forked"),
        ("import sys; sys.path.insert(0, '.'); import lmdb", "`lmdb`"),
    ],
)
def test_what_cannot_be_observed_makes_it_unknown(project: Project, body: str, said: str) -> None:
    project.write("lmdb.py", "")
    told = project.train(RUN + f"    {body}\n")
    assert told.state == "unknown"
    assert said in told.notes


def test_data_over_the_network_makes_it_unknown(project: Project) -> None:
    body = (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        + RUN
        + "    socket.create_connection(server.getsockname())\n"
    )
    told = project.train(body)
    assert told.state == "unknown"
    assert "127.0.0.1" in told.notes


def test_asking_the_machine_is_no_reading(project: Project) -> None:
    told = project.train(RUN + "    import subprocess; subprocess.run(['uname'], capture_output=True)\n")
    assert told.state == "complete", told.notes


def test_two_names_for_one_file_are_one_dataset(project: Project) -> None:
    project.write("data/f", "x")
    told = project.train(RUN + "    open('data/f').read(); open('./data/../data/f').read()\n")
    assert list(told.datasets) == ["data/f"]
