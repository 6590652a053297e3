"""Per-example results as a document: what is read, and what is refused with the line."""

from __future__ import annotations

import numpy as np
import pytest

from registry.artifacts import examples
from registry.artifacts.examples import read_column
from registry.errors import InvalidInput


def test_it_works() -> None:
    column = read_column(b"value\n1\n0\n0.5\n")
    assert column.values.tolist() == [1.0, 0.0, 0.5]
    assert (column.ids_digest, column.mean) == ("", 0.5)


def test_with_ids_the_order_of_the_lines_says_nothing() -> None:
    one = read_column("id,value\nb,2\na,1\nç,3\n".encode())
    other = read_column('id,value\r\n"ç",3\r\n"a",1\r\nb,2'.encode("utf-8-sig"))
    assert one.values.tolist() == other.values.tolist() == [1.0, 2.0, 3.0]
    assert one.ids_digest == other.ids_digest
    assert one.ids_digest != read_column(b"id,value\na,1\nb,2\nd,3\n").ids_digest


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "CSV with the header `value`"),
        ("accuracy\n1\n", "CSV with the header `value`"),
        ("value,id\n1,a\n", "CSV with the header `value`"),
        ("value\n", "There is no example in it"),
        ("value\n1\nyes\n", "Line 3: 'yes' is no number"),
        ("value\n1\nNaN\n", "Line 3: 'NaN' is not finite"),
        ("value\n-inf\n", "Line 2: '-inf' is not finite"),
        ("value\n1e999\n", "Line 2: '1e999' is not finite"),
        ("value\n1e300\n-1e300\n", "too large to be added up"),
        ("value\n1\n\n1\n", "Line 3: it has 0 fields, not 1"),
        ("id,value\na,1\nb\n", "Line 3: it has 1 fields, not 2"),
        ("id,value\na,1\n,1\n", "Line 3: an id is 1 to 200 printable characters"),
        ("id,value\n" + "x" * 201 + ",1\n", "Line 2: an id is"),
        ('id,value\n"a\nb",1\n', "Line 2: an id is"),
        ("id,value\na,1\nb,0\na,0\n", "The id 'a' stands on line 2 and again on line 4"),
        ('value\n"1\n', "Per-example results are CSV: unexpected end of data"),
    ],
)
def test_what_is_no_column_is_pointed_at(content: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read_column(content.encode())
    assert said in refusal.value.sentence
    assert refusal.value.field == "body"


def test_it_is_utf_8() -> None:
    with pytest.raises(InvalidInput, match="CSV in UTF-8"):
        read_column("id,value\nç,1\n".encode("latin-1"))


def test_there_is_a_bound_that_says_what_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "MOST", 3)
    assert len(read_column(b"value\n1\n1\n1\n").values) == 3
    with pytest.raises(InvalidInput, match="At most 3 examples are kept; of more, draw a sample once"):
        read_column(b"value\n1\n1\n1\n1\n")


def test_a_mean_is_added_up_without_loss() -> None:
    values = np.random.default_rng(3).normal(1e6, 1e-3, size=2000)
    column = read_column(("value\n" + "\n".join(map(repr, values.tolist()))).encode())
    assert column.mean == pytest.approx(float(np.mean(values)), rel=1e-12)
