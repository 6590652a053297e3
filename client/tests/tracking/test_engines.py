"""Libraries that open files in C, C++ and Rust: each way of reading is one run, and what it told is looked at."""

from __future__ import annotations

import sqlite3

import duckdb
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from client.tests.tracking.conftest import Project, Told

BOTH = ["a.csv", "b.csv"]
DUCKDB = [
    ("duckdb.sql(\"select * from 'data/a.csv'\").fetchall()", ["a.csv"]),
    ("duckdb.sql('select * from \"data/a.csv\"').df()", ["a.csv"]),
    ("duckdb.execute(\"select * from read_csv(['data/a.csv', 'data/b.csv'])\").fetchall()", BOTH),
    ("duckdb.execute('select * from read_csv(?)', ['data/a.csv']).fetchall()", ["a.csv"]),
    ("duckdb.execute('select * from read_csv($f)', {'f': 'data/a.csv'}).fetchall()", ["a.csv"]),
    ("duckdb.sql(\"select * from 'data/*.csv' -- 'data/x.parquet'\").fetchall()", BOTH),
    ("duckdb.sql(\"select * from 'data/a.csv' a join read_parquet('data/x.parquet') b on a.x = b.x\").df()",
     ["a.csv", "x.parquet"]),
    ("duckdb.read_csv('data/a.csv').fetchall()", ["a.csv"]),
    ("duckdb.read_parquet('data/x.parquet').aggregate('sum(x)').fetchall()", ["x.parquet"]),
    ("duckdb.from_parquet('data/x.parquet').df()", ["x.parquet"]),
    ("read_csv('data/a.csv').fetchall()", ["a.csv"]),
    ("joined()", ["a.csv"]),
    ("before.fetchall()", ["b.csv"]),  # a relation made before the run
    ("c = duckdb.connect(); c.execute(\"create table t as from 'data/a.csv'\"); c.execute('from t').fetchall()",
     ["a.csv"]),
    ("duckdb.execute(\"create or replace table w as from 'data/a.csv'; copy w from 'data/b.csv'\")", BOTH),
    ("duckdb.execute(\"copy (from 'data/a.csv') to 'out/t.csv'; from 'out/t.csv'\")", ["a.csv"]),
    ("duckdb.connect('data/x.duckdb', read_only=True).sql('from t').fetchall()", ["x.duckdb"]),
    ("duckdb.connect().execute(\"attach 'data/x.duckdb' as o (read_only); from o.t\").fetchall()", ["x.duckdb"]),
]  # fmt: skip
POLARS = [
    ("pl.read_csv('data/a.csv')", ["a.csv"]),
    ("pl.scan_csv('data/*.csv').collect()", BOTH),
    ("pl.scan_csv(['data/a.csv', 'data/b.csv']).sink_parquet('out/p.parquet')", BOTH),
    ("pl.read_parquet('data/x.parquet')", ["x.parquet"]),
    ("pl.scan_parquet('data/parts').collect()", ["parts/1.parquet", "parts/2.parquet"]),
    ("pl.read_ipc('data/x.arrow')", ["x.arrow"]),
    ("pl.read_ndjson('data/x.ndjson')", ["x.ndjson"]),
    ("pl.SQLContext().execute(\"select * from read_csv('data/a.csv')\").collect()", ["a.csv"]),
    ("lazy.select(pl.len()).collect()", ["b.csv"]),  # a frame scanned before the run
    ("pl.read_csv(b'x,y\\n1,2\\n')", []),
]
HDF5 = [
    ("h5py.File('data/x.h5')['a'][:]", ["x.h5"]),
    ("h5py.File('data/link.h5')['there/a'][:]", ["link.h5", "x.h5"]),
    ("h5py.File('data/virtual.h5')['v'][:]", ["virtual.h5", "x.h5"]),
    ("h5py.File(open('data/x.h5', 'rb'))['a'][:]", ["x.h5"]),
]
SQLITE = [
    ("sqlite3.connect('data/x.db').execute('select * from t').fetchall()", ["x.db"]),
    ("sqlite3.connect(':memory:').execute(\"attach 'data/x.db' as o\")", ["x.db"]),
    ("sqlite3.connect(':memory:').cursor().execute('attach ? as o', ('data/x.db',))", ["x.db"]),
    ("sqlite3.connect(':memory:').executescript(\"select 1; attach 'data/x.db' as o;\")", ["x.db"]),
]
OTHERS = [
    ("lightgbm.Dataset('data/a.csv', params={'header': True, 'verbose': -1}).construct()", ["a.csv"]),
    ("pyarrow.orc.read_table('data/x.orc')", ["x.orc"]),
    ("np.load('data/x.npy', mmap_mode='r').sum()", ["x.npy"]),
    ("list(Image.open(p).load() for p in ['data/x.png'])", ["x.png"]),
]
UNKNOWN = [
    ("duckdb.sql(\"set variable f = 'data/a.csv'\"); duckdb.sql(\"from read_csv(getvariable('f'))\").fetchall()",
     "getvariable"),
    ("duckdb.sql(\"from read_csv('data/' || 'a.csv')\").fetchall()", "read_csv"),
    ("duckdb.connect('data/views.duckdb', read_only=True).sql('from v').fetchall()", "view `v`"),
    # as SQLite says it where it can be done
    ("import sys; sys.audit('sqlite3.load_extension', None, 'data/none')", "extension"),
    ("many.collect()", "plan"),
]  # fmt: skip
IMPORTS = """
import sqlite3, duckdb, h5py, lightgbm, numpy as np, polars as pl, pyarrow.orc
from duckdb import read_csv
from PIL import Image
os.makedirs('out', exist_ok=True)
theirs = duckdb.read_csv('data/b.csv').df()
def joined():
    mine = theirs.copy()
    for ask in (duckdb.sql, duckdb.connect().sql, duckdb.execute, duckdb.connect().execute):
        assert len(ask("select * from 'data/a.csv' join mine using (x) join theirs using (x)").fetchall()) == 2
before = duckdb.read_csv('data/b.csv')
lazy = pl.scan_csv('data/b.csv')
many = pl.scan_csv(['data/a.csv'] * 30)
"""


@pytest.fixture
def data(project: Project) -> Project:
    folder = project.root / "data"
    (folder / "parts").mkdir(parents=True)
    for name in BOTH:
        (folder / name).write_text("x,y\n1,2\n3,4\n")
    (folder / "x.ndjson").write_text('{"x": 1}\n')
    table = pa.table({"x": [1, 3], "y": [2.0, 4.0]})
    for name in ("x.parquet", "parts/1.parquet", "parts/2.parquet"):
        pq.write_table(table, folder / name)
    pyarrow.feather.write_feather(table, folder / "x.arrow", compression="uncompressed")
    pyarrow.orc.write_table(table, folder / "x.orc")
    np.save(folder / "x.npy", np.arange(6))
    Image.new("L", (2, 2)).save(folder / "x.png")
    with duckdb.connect(folder / "x.duckdb") as database:
        database.execute("create table t as select 1 as x")
    with duckdb.connect(folder / "views.duckdb") as database:
        database.execute(f"create view v as select * from read_csv('{folder}/a.csv')")
    made = sqlite3.connect(folder / "x.db")
    made.executescript("create table t (x int, y text); insert into t values (1, 'one'), (2, 'two');")
    made.close()
    with h5py.File(folder / "x.h5", "w") as file:
        file["a"] = np.arange(4)
    with h5py.File(folder / "link.h5", "w") as file:
        file["there"] = h5py.ExternalLink("x.h5", "/")
    with h5py.File(folder / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((4,), dtype="i8")
        layout[:] = h5py.VirtualSource("x.h5", "a", shape=(4,))
        file.create_virtual_dataset("v", layout)
    return project


def seen(told: Told) -> list[str]:
    return sorted(name.removeprefix("data/") for name in told.datasets)


def test_what_engines_read_is_seen(data: Project) -> None:
    ways = [*DUCKDB, *POLARS, *HDF5, *SQLITE, *OTHERS]
    for (read, files), told in zip(ways, data.train_each(IMPORTS, [read for read, _ in ways]), strict=True):
        assert (seen(told), told.state) == (sorted(files), "complete"), (read, told.notes)


def test_what_cannot_be_told_of_an_engine_is_unknown(data: Project) -> None:
    ways = data.train_each(IMPORTS, [read for read, _ in UNKNOWN])
    for (read, said), told in zip(UNKNOWN, ways, strict=True):
        assert told.state == "unknown", read
        assert said in told.notes, read
        assert len(told.datasets) <= 1, read  # `data/` is a text there, and no folder that was read


def test_an_engine_imported_inside_the_run_is_seen(data: Project) -> None:
    body = (
        "with assay.run(namespace='fraud', client=recorder):\n    import duckdb, polars, h5py\n"
        "    duckdb.sql(\"from 'data/a.csv'\").fetchall()\n    polars.scan_csv('data/b.csv').collect()\n"
        "    h5py.File('data/x.h5')['a']\n"
    )
    told = data.train(body)
    assert (seen(told), told.state) == (["a.csv", "b.csv", "x.h5"], "complete")


QUERY = """
import sqlite3, pandas as pd
with assay.run(namespace='fraud', client=recorder):
    c = sqlite3.connect('data/x.db')
    frame = pd.read_sql("select * from t where x > ?", c, params=(1,))
    frame["x"] = 0
"""


def test_a_query_is_a_dataset_by_its_result(data: Project) -> None:
    told = data.train(QUERY)
    use = told.datasets["query select * from t where x > ?"]
    assert use["digest"].startswith("frame-v1:")
    assert (use["rows"], use["columns"]) == (1, 2)
    assert use["schema"] == [{"name": "x", "type": "int64"}, {"name": "y", "type": "string"}]
    assert use["source"] == '{"sql": "select * from t where x > ?", "parameters": "(1,)"}'
    assert (min(told.datasets), told.state) == ("data/x.db", "complete")

    made = sqlite3.connect(data.root / "data" / "x.db")
    made.execute("update t set y = 'another' where x = 2")
    made.commit()
    made.close()
    assert data.train(QUERY).datasets["query select * from t where x > ?"]["digest"] != use["digest"]


WORKER = """
import multiprocessing, sqlite3, pandas as pd
def read():
    pd.read_sql("select * from t", sqlite3.connect('data/x.db'))
if __name__ == "__main__":
    with assay.run(namespace='fraud', client=recorder):
        p = multiprocessing.get_context('fork').Process(target=read); p.start(); p.join()
"""


def test_a_query_of_a_worker_is_a_dataset_too(data: Project) -> None:
    told = data.train(WORKER)
    assert sorted(told.datasets) == ["data/x.db", "query select * from t"]
    assert (told.datasets["query select * from t"]["rows"], told.state) == (2, "complete")


def test_secrets_in_a_query_stay_here(data: Project) -> None:
    query = "select * from t where y <> 'password=hunter2hunter2'"
    told = data.train(QUERY.replace("select * from t where x > ?", query).replace(", params=(1,)", ""))
    assert "hunter2" not in str(told.datasets)
    assert sum(name.startswith("query ") for name in told.datasets) == 1


def test_a_result_in_pieces_is_unknown(data: Project) -> None:
    told = data.train(
        QUERY.replace("params=(1,))", "params=(1,), chunksize=1)").replace('    frame["x"] = 0\n', "")
    )
    assert told.state == "unknown"
    assert "in pieces" in told.notes


def test_pandas_reads_what_it_did(data: Project) -> None:
    """The frame is handed on as it was made."""
    assert pd.read_csv(data.root / "data" / "a.csv").shape == (2, 2)
    told = data.train(QUERY + "    print(frame.y.tolist(), type(c).__name__)\n")
    assert told.output.split() == ["['two']", "Connection"]
