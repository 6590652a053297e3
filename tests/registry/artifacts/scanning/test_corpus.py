"""What is hostile is flagged, what libraries write is not, and nothing of either is ever run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from registry.artifacts import sandbox
from registry.artifacts.scanning.judging import scan
from registry.artifacts.scanning.report import WORSE
from registry.artifacts.scanning.source import Source
from tests.registry.artifacts.scanning import benign, hostile
from tests.registry.artifacts.scanning.building import call, named, safetensors, zipped


def test_every_hostile_file_is_flagged_and_none_is_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    samples = hostile.corpus(str(canary))
    assert len(samples) == len({sample.name for sample in samples}) >= 170
    missed = []
    for sample in samples:
        report = scan(Source.of(sample.content))
        if WORSE[report.verdict] < WORSE[sample.least]:
            missed.append((sample.name, report.format, report.verdict, report.findings))
        assert report.findings, sample.name
        assert all(found["what"] for found in report.findings)
    assert missed == []
    assert not canary.exists()


def test_the_canary_sings_when_such_a_file_is_loaded(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    sample = next(s for s in hostile.corpus(str(canary)) if s.name == "protocol 4")
    (tmp_path / "model.pkl").write_bytes(sample.content)
    load = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    subprocess.run([sys.executable, "-c", load, str(tmp_path / "model.pkl")], check=True)
    assert canary.is_dir()


def test_no_file_that_a_library_writes_is_flagged() -> None:
    made = benign.corpus()
    assert len(made) >= 70
    wrong = {}
    for name, (content, form) in made.items():
        report = scan(Source.of(content))
        if (report.format, report.verdict) != (form, "clean"):
            wrong[name] = (report.format, report.verdict, report.findings)
    assert wrong == {}


def test_the_same_is_said_from_inside_the_process(tmp_path: Path) -> None:
    chosen = [(sample.name, sample.content) for sample in hostile.corpus(str(tmp_path / "canary"))[::20]]
    chosen += [(name, content) for name, (content, _) in list(benign.corpus().items())[::20]]
    for name, content in chosen:
        here = scan(Source.of(content))
        there = sandbox.judge(Source.of(content).read, len(content))
        assert (there.format, there.verdict, there.findings) == (here.format, here.verdict, here.findings), (
            name
        )
    assert not (tmp_path / "canary").exists()


def test_the_finding_names_the_global_and_the_place() -> None:
    inner = zipped({"weights.bin": call("os", "system", "id")})
    report = scan(Source.of(zipped({"a/b.zip": inner})))
    assert report.findings == [
        {
            "where": "a/b.zip > weights.bin",
            "what": "GLOBAL imports os.system, which can run code when the file is loaded",
            "name": "os.system",
            "verdict": "malicious",
        }
    ]


def test_text_out_of_a_file_is_made_harmless() -> None:
    report = scan(Source.of(call("evil\x1b[31m\u202e", "x" * 2000, "")))
    (found,) = report.findings
    assert "\x1b" not in found["name"]
    assert "\u202e" not in found["name"]
    assert len(found["name"]) == 300


def test_no_more_than_fifty_findings_and_the_worst_stay() -> None:
    many = b"".join(named("unknown", f"n{n}") for n in range(200))
    report = scan(Source.of(b"\x80\x02(" + many + named("os", "system") + b"t."))
    assert len(report.findings) == 50
    assert report.verdict == "malicious"
    assert any(found["name"] == "os.system" for found in report.findings)


def test_large_numbers_are_passed_over_without_being_read() -> None:
    size = 40 * 1024**3
    head = safetensors({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}, b"")
    read = []

    def at(offset: int, length: int) -> bytes:
        read.append(length)
        return head[offset : offset + length].ljust(length, b"\0")

    report = scan(Source(at, len(head) + size))
    assert (report.format, report.verdict) == ("safetensors", "clean")
    assert sum(read) < 4 * 1024**2
