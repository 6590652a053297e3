"""Small projects that read data in the ways that projects do.

Each has a script that knows nothing of us, the data it needs, and the files it reads, written down by hand.
"""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
from PIL import Image

from client.tests.tracking.reading import Reading


def _table(rows: int = 400, seed: int = 1) -> Any:
    chance = np.random.default_rng(seed)
    x = chance.normal(size=(rows, 3))
    days = [f"2026-0{1 + row % 3}-11" for row in range(rows)]
    return pa.table(
        {
            "amount": x[:, 0],
            "age": x[:, 1],
            "score": x[:, 2],
            "label": (x[:, 0] > 0).astype("i8"),
            "day": days,
        }
    )


def _csv(path: Path, seed: int = 1, rows: int = 400) -> None:
    _table(rows, seed).to_pandas().to_csv(path, index=False)


def _tables(data: Path) -> None:
    for seed, name in enumerate(("train.csv", "valid.csv", "unused.csv")):
        _csv(data / name, seed)
    _table(seed=3).to_pandas().to_csv(data / "test.csv.gz", index=False)
    (data / "columns.json").write_text(json.dumps(["amount", "age"]))


PANDAS = """
import json
import pandas as pd
from sklearn.linear_model import LogisticRegression

with open("data/columns.json") as file:
    columns = json.load(file)
train = pd.read_csv("data/train.csv", usecols=[*columns, "label"])
valid = pd.concat(chunk for chunk in pd.read_csv("data/valid.csv", chunksize=100))
test = pd.read_csv("data/test.csv.gz", dtype={"label": "int8"})
model = LogisticRegression().fit(train[columns], train["label"])
print({name: model.score(frame[columns], frame["label"]) for name, frame in {"valid": valid, "test": test}.items()})
"""


def _arrow_files(data: Path) -> None:
    _csv(data / "train.csv")
    pq.write_table(_table(), data / "train.parquet")
    pyarrow.feather.write_feather(_table(), data / "labels.feather")
    pyarrow.orc.write_table(_table(), data / "history.orc")
    (data / "events.jsonl").write_text("".join(json.dumps({"a": n}) + "\n" for n in range(20)))


PANDAS_ARROW = """
import pandas as pd
from pandas import read_parquet

frame = pd.read_csv("data/train.csv", engine="pyarrow")
frame = frame.merge(read_parquet("data/train.parquet", columns=["amount", "age"]), on="amount")
labels = pd.read_feather("data/labels.feather")
history = pd.read_orc("data/history.orc")
events = pd.read_json("data/events.jsonl", lines=True, engine="pyarrow")
print(len(frame), len(labels), len(history), len(events), frame["label"].mean())
"""


def _arrow_datasets(data: Path) -> None:
    pyarrow.dataset.write_dataset(
        _table(), data / "sales", format="parquet", partitioning=["day"], partitioning_flavor="hive",
    )  # fmt: skip
    _csv(data / "big.csv")
    pyarrow.feather.write_feather(_table(), data / "features.arrow", compression="uncompressed")
    for part in range(3):
        _csv(data / f"part-{part}.csv", part)


ARROW = """
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq

sales = ds.dataset("data/sales", format="parquet", partitioning="hive")
print(sales.to_table(filter=pc.field("amount") > 0, columns=["amount", "label"]).num_rows)
print(pq.read_table("data/sales", columns=["age"]).num_rows)
parts = ds.dataset([f"data/part-{part}.csv" for part in range(3)], format="csv")
print(sum(batch.num_rows for batch in parts.to_batches()))
with pyarrow.csv.open_csv("data/big.csv") as reader:
    print(sum(batch.num_rows for batch in reader))
with pa.memory_map("data/features.arrow") as source:
    print(pa.ipc.open_file(source).read_all().num_rows)
"""


def _arrays(data: Path) -> None:
    chance = np.random.default_rng(1)
    np.save(data / "features.npy", chance.normal(size=(500, 8)))
    np.savez(data / "splits.npz", train=np.arange(400), test=np.arange(400, 500))
    np.save(data / "embeddings.npy", chance.normal(size=(100, 16)))
    chance.normal(size=1000).astype("f4").tofile(data / "signal.f32")
    chance.normal(size=100).tofile(data / "raw.bin")
    np.savetxt(data / "labels.txt", chance.integers(0, 2, 500), fmt="%d")


NUMPY = """
import numpy as np

features = np.load("data/features.npy")
with np.load("data/splits.npz") as splits:
    train = features[splits["train"]]
embeddings = np.load("data/embeddings.npy", mmap_mode="r")
signal = np.memmap("data/signal.f32", dtype="f4", mode="r", shape=(10, 100))
raw = np.fromfile("data/raw.bin")
labels = np.loadtxt("data/labels.txt", dtype=int)
weights = np.linalg.lstsq(train, labels[:400], rcond=None)[0]
print(weights.round(2), embeddings.mean(), signal.std(), raw.max())
"""


def _hdf5(data: Path) -> None:
    (data / "runs").mkdir()
    for number in range(3):
        with h5py.File(data / "runs" / f"{number}.h5", "w") as file:
            file["signal"] = np.arange(100) * number
    with h5py.File(data / "all.h5", "w") as file:
        layout = h5py.VirtualLayout((2, 100), dtype="i8")
        for number in range(2):
            layout[number] = h5py.VirtualSource(f"runs/{number}.h5", "signal", shape=(100,))
        file.create_virtual_dataset("signals", layout)
        file["latest"] = h5py.ExternalLink("runs/2.h5", "/")
        file.attrs["rate"] = 50
    with h5py.File(data / "labels.hdf5", "w") as file:
        file.create_dataset("y", data=np.arange(100) % 2, chunks=True, compression="gzip")


HDF5 = """
import h5py
import numpy as np

with h5py.File("data/all.h5", "r") as file:
    signals = file["signals"][:]
    latest = file["latest/signal"][()]
    rate = file.attrs["rate"]
labels = h5py.File("data/labels.hdf5")["y"]
print(signals.mean(axis=1), latest.sum(), rate, np.bincount(labels[:]))
"""


def _images(data: Path) -> None:
    chance = random.Random(1)
    for split, count in (("train", 120), ("test", 30)):
        for name in ("cat", "dog"):
            folder = data / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (4, 4), (chance.randrange(256), 0, number)).save(
                    folder / f"{number:03d}.png"
                )
    (data / "classes.txt").write_text("cat\ndog\n")


IMAGES = """
from pathlib import Path
import numpy as np
from PIL import Image

classes = Path("data/classes.txt").read_text().split()

def folder(root):
    for label, name in enumerate(classes):
        for path in sorted(Path(root, name).iterdir()):
            with Image.open(path) as image:
                yield np.asarray(image.convert("RGB")).mean(axis=(0, 1)), label

for epoch in range(2):
    train = list(folder("data/train"))
print(len(train), len(list(folder("data/test"))))
"""
IMAGE_FILES = tuple(
    f"data/{split}/{name}/{number:03d}.png"
    for split, count in (("train", 120), ("test", 30))
    for name in ("cat", "dog")
    for number in range(count)
)


def _warehouse(data: Path) -> None:
    (data / "lake").mkdir()
    for part in range(3):
        pq.write_table(_table(seed=part), data / "lake" / f"{part}.parquet")
    _csv(data / "customers.csv", 5)
    _csv(data / "holdout.csv", 6)
    (data / "notes.json").write_text('[{"amount": 1}]')
    with duckdb.connect(data / "warehouse.duckdb") as database:
        database.execute("create table prices as select range as id, range * 2.5 as price from range(100)")


DUCKDB = """
import duckdb
import pandas as pd

con = duckdb.connect()
con.execute("ATTACH 'data/warehouse.duckdb' AS w (READ_ONLY)")
con.execute('''
    CREATE TABLE train AS
    SELECT l.*, c.age AS age2 FROM read_parquet('data/lake/*.parquet') l -- not 'data/notes.csv'
    LEFT JOIN 'data/customers.csv' c USING (amount)
''')
print(con.execute("SELECT count(*) FROM w.prices").fetchone())
holdout = con.execute("SELECT * FROM read_csv($path)", {"path": "data/holdout.csv"}).df()
notes = con.read_json("data/notes.json").aggregate("count(*)").fetchall()
print(con.sql("SELECT avg(t.label) FROM train t, holdout h").fetchall(), notes)
con.sql("COPY train TO 'out.parquet'")
"""


def _databases(data: Path) -> None:
    for name, table in (("shop.db", "orders"), ("crm.sqlite", "customers"), ("archive.db", "orders")):
        database = sqlite3.connect(data / name)
        database.execute(f"create table {table} (id integer primary key, amount real, customer integer)")
        rows = [(n * 1.5, n % 7) for n in range(200)]
        database.executemany(f"insert into {table} (amount, customer) values (?, ?)", rows)
        database.commit()
        database.close()


SQLITE = """
import sqlite3
from contextlib import closing
import pandas as pd

with closing(sqlite3.connect("data/shop.db")) as con:
    con.execute("ATTACH DATABASE ? AS crm", ("data/crm.sqlite",))
    frame = pd.read_sql_query(
        "SELECT o.amount, c.id FROM orders o JOIN crm.customers c ON c.id = o.customer WHERE o.amount > :low",
        con, params={"low": 10},
    )
    total = con.execute("SELECT sum(amount) FROM orders").fetchone()
with closing(sqlite3.connect("file:data/archive.db?mode=ro", uri=True)) as con:
    archive = pd.read_sql("SELECT * FROM orders", con)
print(len(frame), total, len(archive))
"""


def _shards(data: Path) -> None:
    (data / "shards").mkdir()
    for shard in range(12):
        _csv(data / "shards" / f"{shard}.csv", shard, 50)
    _csv(data / "labels.csv")
    for name in ("spawned", "forked"):
        np.save(data / f"{name}.npy", np.arange(100))


WORKERS = """
import multiprocessing
import numpy as np
import pandas as pd
from joblib import Parallel, delayed

def load(path):
    return pd.read_csv(path)["amount"].mean()

def total(path):
    return np.load(path, mmap_mode="r").sum()

if __name__ == "__main__":
    labels = pd.read_csv("data/labels.csv")
    means = Parallel(n_jobs=2)(delayed(load)(f"data/shards/{n}.csv") for n in range(12))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        spawned = pool.map(total, ["data/spawned.npy"])
    with multiprocessing.get_context("fork").Pool(1) as pool:
        forked = pool.map(total, ["data/forked.npy"])
    print(len(labels), means, spawned, forked)
"""


def _raw(data: Path) -> None:
    _csv(data / "train.csv")
    _csv(data / "raw.csv", 2)
    (data / "unsorted.txt").write_text("b\na\n")
    (data / "clean.py").write_text("import sys; print(sum(1 for line in open(sys.argv[1])))\n")


SUBPROCESS = """
import subprocess
import sys
import pandas as pd

rows = subprocess.run([sys.executable, "data/clean.py", "data/raw.csv"], capture_output=True, text=True).stdout
ordered = subprocess.run(["sort", "data/unsorted.txt"], capture_output=True, text=True).stdout
print(rows, ordered, len(pd.read_csv("data/train.csv")))
"""


def _notebook(data: Path) -> None:
    _csv(data / "train.csv")
    pq.write_table(_table(), data / "train.parquet")
    _csv(data / "extra.csv", 7)
    np.save(data / "w.npy", np.ones(3))
    (data / "week.ndjson").write_text('{"a": 1}\n')


NOTEBOOK = """
cells = [
    "import os\\nimport numpy as np, pandas as pd, polars as pl\\nos.chdir('data')",
    "train = pd.read_csv('train.csv')\\ntrain.head()",
    "lazy = pl.scan_csv('extra.csv').filter(pl.col('amount') > 0)",
    "from pyarrow.parquet import read_table\\ntable = read_table('train.parquet')",
    "extra = lazy.collect()\\nweek = pl.read_ndjson('week.ndjson')",
    "w = np.load('w.npy')\\nprint(len(train), table.num_rows, len(extra), len(week), w.sum())",
]
names = {"__name__": "__main__"}
for number, cell in enumerate(cells, 1):
    exec(compile(cell, f"<cell {number}>", "exec"), names)
"""


def _under(*names: str) -> tuple[str, ...]:
    return tuple(f"data/{name}" for name in names)


READINGS = (
    Reading("pandas, C engine", PANDAS, _tables, _under("train.csv", "valid.csv", "test.csv.gz", "columns.json")),
    Reading("pandas, pyarrow engine", PANDAS_ARROW, _arrow_files,
            _under("train.csv", "train.parquet", "labels.feather", "history.orc", "events.jsonl")),
    Reading("pyarrow datasets", ARROW, _arrow_datasets, _under(
        *(f"sales/day=2026-0{month}-11/part-0.parquet" for month in (1, 2, 3)),
        *(f"part-{part}.csv" for part in range(3)), "big.csv", "features.arrow")),
    Reading("numpy load and memmap", NUMPY, _arrays, _under(
        "features.npy", "splits.npz", "embeddings.npy", "signal.f32", "raw.bin", "labels.txt")),
    Reading("h5py", HDF5, _hdf5, _under("all.h5", "labels.hdf5", "runs/0.h5", "runs/1.h5", "runs/2.h5")),
    Reading("PIL folders", IMAGES, _images, (*IMAGE_FILES, "data/classes.txt")),
    Reading("DuckDB", DUCKDB, _warehouse, _under(
        "warehouse.duckdb", "lake/0.parquet", "lake/1.parquet", "lake/2.parquet", "customers.csv", "holdout.csv",
        "notes.json")),
    Reading("sqlite", SQLITE, _databases, _under("shop.db", "crm.sqlite", "archive.db")),
    Reading("joblib and multiprocessing workers", WORKERS, _shards, _under(
        "labels.csv", "spawned.npy", "forked.npy", *(f"shards/{shard}.csv" for shard in range(12)))),
    Reading("subprocess", SUBPROCESS, _raw, _under("train.csv", "raw.csv", "unsorted.txt"),
            _under("raw.csv", "unsorted.txt"), _under("unsorted.txt")),
    Reading("notebook", NOTEBOOK, _notebook, _under(
        "train.csv", "train.parquet", "extra.csv", "week.ndjson", "w.npy")),
)  # fmt: skip
