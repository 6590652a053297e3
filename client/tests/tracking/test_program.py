"""`assay run` from outside: what its processes tell, what they cannot, and that the program is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from client.tests.tracking.conftest import TESTS, Project, Told

RUNNER = """
import json, sys
from assay.errors import Forbidden, Unreachable
from assay.tracking.command import take_apart
from assay.tracking.program import ProgramRun, exit_code
from assay.tracking.runs import Options
from client.tests.tracking.recorder import Recorder

recorder = Recorder({fail})
ours = ProgramRun(Options("fraud", client=recorder, on_unreachable="keep"), take_apart(sys.argv[2:]))
try:
    status = ours.train()
    ours.finish(status, quiet=False)
finally:
    with open(sys.argv[1], "w") as file:
        json.dump(recorder.record(), file)
sys.exit(exit_code(status))
"""


def start(project: Project, *command: str, fail: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            RUNNER.replace("{fail}", fail),
            str(project.root.parent / "told.json"),
            *command,
        ],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(TESTS), **project.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told_by(project: Project, started: subprocess.Popen[str], given: str = "") -> Told:
    output, errors = started.communicate(given, timeout=60)
    told = Told(**json.loads((project.root.parent / "told.json").read_text()))
    told.output, told.errors, told.code = output, errors, started.returncode
    return told


def train(
    project: Project, body: str, *arguments: str, python: str = sys.executable, given: str = ""
) -> Told:
    project.write("train.py", body)
    project.write("data/f", "x")
    project.commit()
    return told_by(project, start(project, python, "train.py", *arguments), given)


READ = """
import multiprocessing as m, os, subprocess, sys
def read(path):
    with open(path) as file:
        return file.read()

if __name__ == "__main__":
    {body}
"""
CODE = "open('data/f').read()"


@pytest.mark.parametrize(
    "body",
    [
        "read('data/f')",
        "p = m.get_context('fork').Process(target=read, args=('data/f',)); p.start(); p.join()",
        "p = m.get_context('spawn').Process(target=read, args=('data/f',)); p.start(); p.join()",
        "os.fork() or (read('data/f'), os._exit(0)); os.wait()",
        f'subprocess.run([sys.executable, "-c", "{CODE}"], check=True)',
        f'os.execv(sys.executable, [sys.executable, "-c", "{CODE}"])',
        "from joblib import Parallel, delayed; Parallel(n_jobs=2)(delayed(read)(p) for p in ['data/f', 'data/f'])",
        "os.fork() or (read('data/f'), os.kill(os.getpid(), 9)); os.wait()",
        "os.closerange(3, 4096); read('data/f')",
    ],
)  # fmt: skip
def test_a_file_read_by_any_process_of_it_is_seen(project: Project, body: str) -> None:
    told = train(project, READ.format(body=body))
    assert told.code == 0, told.errors
    assert (list(told.datasets), told.state) == (["data/f"], "complete"), told.notes


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("subprocess.run(['cat', 'data/f'], stdout=-3)", "The program `cat` was started"),
        ("subprocess.run([sys.executable, '-I', '-c', 'open(\"data/f\")'])", "The program `python"),
        ("subprocess.run([sys.executable, '-c', 'open(\"data/f\")'], env={})", "The program `python"),
        ("os.system('cat data/f > /dev/null')", "A shell command was started"),
    ],
)  # fmt: skip
def test_what_cannot_be_seen_is_unknown(project: Project, body: str, said: str) -> None:
    told = train(project, READ.format(body=body))
    assert told.state == "unknown"
    assert said in told.notes


def test_a_program_that_is_not_python_is_unknown(project: Project) -> None:
    project.write("data/f", "x")
    told = told_by(project, start(project, "cat", "data/f"))
    assert (told.output, told.code, told.state) == ("x", 0, "unknown")
    assert "No Python process of `cat`" in told.notes


def test_what_one_process_wrote_and_another_read_is_no_input(project: Project) -> None:
    body = "open('out.csv', 'w').write('1'); read('data/f')\n    "
    body += "p = m.get_context('spawn').Process(target=read, args=('out.csv',)); p.start(); p.join()"
    assert list(train(project, READ.format(body=body)).datasets) == ["data/f"]


def test_its_streams_arguments_and_exit_status_are_its_own(project: Project) -> None:
    body = "import sys\nprint(sys.argv[1:], input(), sys.path[0] == sys.argv[3])\n"
    body += "print('err', file=sys.stderr)\nsys.exit(7)\n"
    told = train(project, body, "--lr", "0.1", str(project.root), given="given\n")
    assert told.output == f"['--lr', '0.1', '{project.root}'] given True\n"
    assert told.errors.startswith("err\n")
    assert told.code == 7
    ended = told.call("update_run")
    assert (ended["status"], ended["failure"]) == ("failed", "Ended with exit status 7.")
    assert told.parameters == {"lr": "0.1", "arg1": str(project.root)}


def test_a_signal_is_passed_on(project: Project) -> None:
    project.write("train.py", "import time\nopen('here', 'w').close()\ntime.sleep(60)\n")
    started = start(project, sys.executable, "train.py")
    until = time.monotonic() + 30
    while not (project.root / "here").exists() and time.monotonic() < until:
        time.sleep(0.02)
    started.send_signal(signal.SIGTERM)
    told = told_by(project, started)
    assert told.code == 128 + signal.SIGTERM
    ended = told.call("update_run")
    assert (ended["status"], ended["failure"]) == ("killed", "Ended by SIGTERM.")


def test_a_refusal_comes_before_any_work(project: Project) -> None:
    project.write("train.py", "open('here', 'w').close()\n")
    started = start(
        project, sys.executable, "train.py", fail='{"create_run": Forbidden("You may not.", status=403)}'
    )
    told = told_by(project, started)
    assert told.code == 1
    assert "You may not." in told.errors
    time.sleep(0.3)
    assert not (project.root / "here").exists()


def test_an_interpreter_without_the_client_is_seen_and_its_packages_are_told(
    project: Project, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "other")], check=True)
    (packages,) = (tmp_path / "other" / "lib").glob("python*/site-packages")
    described = packages / "planted-1.2.dist-info" / "METADATA"
    described.parent.mkdir()
    described.write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.2\n")
    # one of its own is not hidden
    (packages / "sitecustomize.py").write_text("import builtins\nbuiltins.own = 'own'\n")
    body = "import sys\nopen('data/f').read()\nprint(own, 'assay' in sys.modules, any('inject' in p for p in sys.path))"
    told = train(project, body, python=str(tmp_path / "other" / "bin" / "python"))
    assert told.output == "own False False\n", told.errors
    assert (list(told.datasets), told.state) == (["data/f"], "complete"), told.notes
    assert told.call("create_run")["environment"]["packages"] == {"planted": "1.2"}
