"""The search language: what it reads, and how it refuses."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.search.grammar import (
    DEEPEST,
    LONGEST,
    MOST_COMPARISONS,
    Comparison,
    Junction,
    Not,
    SearchError,
    parse,
)


def shape(text: str) -> object:
    """The tree without positions."""
    return _plain(parse(text))


def _plain(tree: object) -> object:
    match tree:
        case Comparison(field, operator, values):
            found = tuple(value.content for value in values)
            return (field.label, operator, found if operator == "in" else found[0])
        case Not(inner):
            return ("not", _plain(inner))
        case Junction(word, parts):
            return (word, *(_plain(part) for part in parts))
    return tree


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", None),
        ("  ", None),
        ("stage = production", ("stage", "=", "production")),
        ("STAGE=production", ("stage", "=", "production")),
        ('task = "fraud detection"', ("task", "=", "fraud detection")),
        ("task = 'it\\'s'", ("task", "=", "it's")),
        ("metric.accuracy >= 0.9", ("metric.accuracy", ">=", 0.9)),
        ("metric.accuracy>=-.5e-1", ("metric.accuracy", ">=", -0.05)),
        ("metric.top.5 > 1", ("metric.top.5", ">", 1.0)),
        ('metric."log loss" < 1', ("metric.log loss", "<", 1.0)),
        ("tag.`my key` ~ x", ("tag.my key", "~", "x")),
        ("created_at >= 2026-03-01", ("created_at", ">=", "2026-03-01")),
        ("created_at < 2026-03-01T10:00:00Z", ("created_at", "<", "2026-03-01T10:00:00Z")),
        ("name in (a, 'b', 3)", ("name", "in", ("a", "b", 3.0))),
        ("not a = b", ("not", ("a", "=", "b"))),
        ("not not a = b", ("not", ("not", ("a", "=", "b")))),
        ("a = 1 or b = 2 and c = 3", ("or", ("a", "=", 1.0), ("and", ("b", "=", 2.0), ("c", "=", 3.0)))),
        ("(a = 1 or b = 2) AND c = 3", ("and", ("or", ("a", "=", 1.0), ("b", "=", 2.0)), ("c", "=", 3.0))),
        ("not (a = 1) and b = 2", ("and", ("not", ("a", "=", 1.0)), ("b", "=", 2.0))),
    ],
)
def test_it_works(text: str, meant: object) -> None:
    assert shape(text) == meant


@pytest.mark.parametrize(
    ("text", "position", "told"),
    [
        ("stage", 5, "an operator is expected after stage"),
        ("stage =", 7, "a value is expected, not the end"),
        ("= 3", 0, "a field is expected, not '='"),
        ("stage = a b", 10, "`and`, `or` or nothing"),
        ("stage = a and", 13, "a field is expected, not the end"),
        ("(stage = a", 10, "a parenthesis was opened at character 1"),
        ("stage = a)", 9, "comes after the end"),
        ('task = "open', 7, "not closed"),
        ("task = a ; drop", 9, "means nothing here"),
        ("tag. = 3", 5, "a name is expected after `tag.`"),
        ("name in a", 8, "`(` is expected"),
        ("name in (a b)", 11, "`,` or `)`"),
        ("name in ()", 9, "a value is expected"),
        ("metric.a > 1e999", 11, "too large"),
        ("and = 3", 0, "a field is expected"),
        ("name = or", 7, "a value is expected"),
        ("x" * (LONGEST + 1), LONGEST, "at most"),
        ("not " * (DEEPEST + 2) + "a = 1", 4 * (DEEPEST + 1), "nested at most"),
        ("(" * (DEEPEST + 2), DEEPEST + 1, "nested at most"),
        (" or ".join(["a=1"] * (MOST_COMPARISONS + 1)), 7 * MOST_COMPARISONS, "conditions"),
    ],
)
def test_errors_name_the_place_and_what_would_do(text: str, position: int, told: str) -> None:
    with pytest.raises(SearchError, match=f"^At character {position + 1}: ") as refused:
        parse(text)
    assert told in refused.value.sentence
    assert (refused.value.status, refused.value.field) == (422, "q")


@settings(max_examples=2000, deadline=None)
@given(st.text(max_size=200) | st.text(alphabet="()and or=<>~.,'\"`\\tagmetric01 -", max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    with contextlib.suppress(SearchError):
        parse(text)
