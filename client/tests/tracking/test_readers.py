"""Readers in C++ that do not pass Python's `open`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

from client.tests.tracking.conftest import Project

IMPORTS = """
import pandas as pd, pyarrow as pa, pyarrow.csv, pyarrow.dataset, pyarrow.feather, pyarrow.ipc, pyarrow.parquet as pq
from pyarrow.parquet import read_table
from pyarrow.csv import read_csv
from pyarrow.dataset import dataset
import safetensors, safetensors.numpy
"""
BODY = IMPORTS + "with assay.run(namespace='fraud', client=recorder) as run:\n    {read}\n"


@pytest.fixture
def tables(project: Project) -> Project:
    folder = project.root / "data"
    (folder / "parts").mkdir(parents=True)
    table = pa.table({"a": [1, 2, 3]})
    pq.write_table(table, folder / "t.parquet")
    pq.write_table(table, folder / "parts" / "1.parquet")
    pq.write_table(table, folder / "parts" / "2.parquet")
    pyarrow.csv.write_csv(table, folder / "t.csv")
    pyarrow.feather.write_feather(table, folder / "t.feather")
    safetensors.numpy.save_file({"a": np.zeros(3)}, folder / "t.safetensors")
    return project


WAYS = [
    ("pq.read_table('data/t.parquet')", ["t.parquet"]),
    ("read_table('data/t.parquet')", ["t.parquet"]),
    ("pq.ParquetFile('data/t.parquet').read()", ["t.parquet"]),
    ("pq.read_table('data/parts')", ["parts/1.parquet", "parts/2.parquet"]),
    ("dataset('data/parts').to_table()", ["parts/1.parquet", "parts/2.parquet"]),
    ("pyarrow.dataset.dataset(['data/t.parquet']).to_table()", ["t.parquet"]),
    ("pd.read_parquet('data/t.parquet')", ["t.parquet"]),
    ("pd.read_parquet('data/parts')", ["parts/1.parquet", "parts/2.parquet"]),
    ("read_csv('data/t.csv')", ["t.csv"]),
    ("pd.read_csv('data/t.csv', engine='pyarrow')", ["t.csv"]),
    ("pyarrow.feather.read_table('data/t.feather')", ["t.feather"]),
    ("pyarrow.feather.read_feather('data/t.feather')", ["t.feather"]),
    ("pd.read_feather('data/t.feather')", ["t.feather"]),
    ("pa.memory_map('data/t.feather').read()", ["t.feather"]),
    ("safetensors.numpy.load_file('data/t.safetensors')", ["t.safetensors"]),
    ("safetensors.safe_open('data/t.safetensors', 'np').keys()", ["t.safetensors"]),
]


def test_wrapped_readers_are_seen(tables: Project) -> None:
    told = tables.train_each(IMPORTS, [read for read, _ in WAYS])
    for (read, files), each in zip(WAYS, told, strict=True):
        assert sorted(each.datasets) == [f"data/{file}" for file in files], read
        assert each.state == "complete", (read, each.notes)


def test_a_reader_imported_inside_the_run_is_seen(tables: Project) -> None:
    body = "with assay.run(namespace='fraud', client=recorder):\n    import pyarrow.parquet as pq\n"
    told = tables.train(body + "    pq.read_table('data/t.parquet')\n")
    assert list(told.datasets) == ["data/t.parquet"]


def test_reading_past_the_wrappers_is_unknown_and_says_so(tables: Project) -> None:
    told = tables.train(BODY.format(read="pa.OSFile('data/t.csv').read()"))
    assert told.state == "unknown"
    assert "OSFile" in told.notes


def test_the_library_is_itself_again_afterwards(tables: Project) -> None:
    body = (
        BODY.format(read="pass")
        + "print(hasattr(read_table, '__assay_reader__'), hasattr(pa.csv.read_csv, '__assay_reader__'))"
    )
    assert tables.train(body).output.split() == ["False", "False"]
