"""What a file is as a table, found beside its hash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.tracking import hashing
from assay.tracking.hashing import DigestCache, hash_file
from assay.tracking.tables import Table, describe


def table_of(path: Path) -> Table | None:
    return hash_file(str(path), DigestCache(path.parent / "cache.sqlite")).table


def text(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "type": "text"} for name in names]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,2\n3,4\n", Table(2, 2, text("a", "b"))),
        ("a,b\n1,2\n3,4", Table(2, 2, text("a", "b"))),
        ("a;b\r\n1;2\r\n", Table(1, 2, text("a", "b"))),
        ('a,"b, c"\n1,"x\ny"\n', Table(1, 2, text("a", "b, c"))),
        ('a,b\n1,"say ""no""\nor not"\n', Table(1, 2, text("a", "b"))),
        ("1,2\n3,4\n", Table(2, 2, None)),  # no header
        ("a,b\n", Table(0, 2, text("a", "b"))),
        ("\ufeffa,b\n1,2\n", Table(1, 2, text("a", "b"))),
        ('a,b\n5" pipe,x\n6" pipe,y\n', Table(None, 2, text("a", "b"))),  # not what a CSV is
        ('a,b\n1,"never closed\n', Table(None, 2, text("a", "b"))),
        ("", Table()),
    ],
)
def test_a_csv_is_counted_while_it_is_hashed(tmp_path: Path, content: str, expected: Table) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content.encode())
    assert table_of(path) == expected


def test_records_are_counted_over_the_borders_of_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,"x\n""y"""\n' * 50)
    for size in range(1, 20):
        monkeypatch.setattr(hashing, "_BLOCK", size)
        assert table_of(path) == Table(99, 2, text("a", "b")), size


def test_what_was_counted_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_SETTLED_NS", 0)
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    cache = DigestCache(tmp_path / "cache.sqlite")
    hash_file(str(path), cache)
    cache.flush()
    monkeypatch.setattr(hashing, "_read_whole", None)
    assert hash_file(str(path), DigestCache(tmp_path / "cache.sqlite")).table == Table(1, 2, text("a", "b"))


def test_headers_and_footers_are_asked(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((7, 3), dtype="f4"))
    assert describe(str(tmp_path / "x.npy")) == Table(7, 3, [{"name": "", "type": "<f4"}])
    np.save(tmp_path / "y.npy", np.zeros(5, dtype=[("a", "i8"), ("b", "f8")]))
    fields = [{"name": "a", "type": "<i8"}, {"name": "b", "type": "<f8"}]
    assert describe(str(tmp_path / "y.npy")) == Table(5, 2, fields)
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), tmp_path / "x.parquet")
    fields = [{"name": "a", "type": "int64"}, {"name": "b", "type": "string"}]
    assert describe(str(tmp_path / "x.parquet")) == Table(2, 2, fields)


@pytest.mark.parametrize("name", ["x.npy", "x.parquet", "x.csv"])
def test_a_file_that_is_not_what_its_name_says_is_hashed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x93NUMPY\x01\x00\xff\xff{" + bytes(range(256)))
    assert hash_file(str(tmp_path / name), DigestCache(tmp_path / "cache")).digest.startswith("sha256:")
