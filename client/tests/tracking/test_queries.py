"""What a statement says of files, looked through and not understood."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from assay.tracking import queries
from assay.tracking.observe import Observer, Rules
from assay.tracking.queries import look_through


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("select 'it''s' from 'a.csv'", ("it's", "a.csv")),
        ("from read_csv( 'a.csv' , header=true)", ("a.csv",)),
        ("select 1 -- 'no.csv'\n from 'b.csv' /* 'c.csv' */", ("b.csv",)),
        ("from read_csv($tag$a.csv$tag$)", ("a.csv",)),
        ("copy t to 'x.csv' (format csv)", ()),
        ("export database 'd'", ()),
        ("select 'to' , 'x.csv'", ("to", "x.csv")),
    ],
)
def test_texts_are_taken_apart_from_comments_and_targets(text: str, texts: tuple[str, ...]) -> None:
    found = look_through(text)
    assert (found.texts, found.unclear) == (texts, "")


@pytest.mark.parametrize(
    "text",
    [
        "from read_csv(path := 'a.csv')",
        "from read_parquet(list_filter(['a'], x -> true))",
        "from read_csv('data/' || 'a.csv')",
        "from query('from t')",
        "set file_search_path = '/data'",
    ],
)
def test_what_is_not_a_plain_name_is_unclear(text: str) -> None:
    assert look_through(text).unclear


def unobserved(folder: Path, text: str, parameters: object = None) -> tuple[list[str], list[str]]:
    observer = Observer(Rules.under([folder]))
    queries.tell(observer, text, parameters)
    return sorted(os.path.relpath(path, folder) for path in observer.reads), list(observer.unobserved)


def test_what_is_elsewhere_or_in_no_parameter_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    assert unobserved(tmp_path, f"from '{tmp_path}/*.csv'") == (["a.csv"], [])
    assert unobserved(tmp_path, "from read_csv(?)", [f"{tmp_path}/a.csv"]) == (["a.csv"], [])
    for text, said in (("from 's3://bucket/x.parquet'", "s3://"), ("from read_csv(?)", "a parameter")):
        seen, sentences = unobserved(tmp_path, text)
        assert (seen, len(sentences)) == ([], 1)
        assert said in sentences[0]


def test_a_text_that_names_a_folder_reads_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    assert unobserved(tmp_path, f"select '{tmp_path}'") == ([], [])
    assert unobserved(tmp_path, f"from delta_scan('{tmp_path}')") == (["a.csv"], [])
