"""The search language: text to a tree. Nothing here knows the database.

query      = alternative
alternative = conjunction { "or" conjunction }
conjunction = negation { "and" negation }
negation   = "not" negation | "(" alternative ")" | comparison
comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" ) value | field "in" "(" value { "," value } ")"
field      = word | ( "tag" | "metric" | "parameter" ) "." key
value      = string | number | word
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from registry.errors import InvalidInput

LONGEST = 1000
DEEPEST = 20
MOST_COMPARISONS = 50
MOST_VALUES = 100
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~", "in")
_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>[+-]?(?:\d+(?:\.\d*)?|(?<!\w)\.\d+)(?:[eE][+-]?\d+)?(?![\w.:-]))
  | (?P<word>[^\W\d][\w-]*|\d[\w.:+-]*)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<quoted>`[^`]+`)
  | (?P<operator><=|>=|!=|=|<|>|~)
  | (?P<mark>[().,])
    """,
    re.VERBOSE | re.DOTALL,
)
KEYWORDS = {"and", "or", "not", "in"}


class SearchError(InvalidInput):
    """The query is not in the language; the sentence says where, and what would be accepted there."""

    code = "search-error"

    def __init__(self, sentence: str, *, position: int) -> None:
        super().__init__(f"At character {position + 1}: {sentence}", field="q")
        self.position = position


@dataclass(frozen=True)
class Token:
    """One word of a query. `kind` is number, word, string, quoted, operator, mark or end."""

    kind: str
    text: str
    position: int

    @property
    def keyword(self) -> str:
        """The keyword this is, or nothing."""
        return self.text.lower() if self.kind == "word" and self.text.lower() in KEYWORDS else ""


@dataclass(frozen=True)
class Value:
    """A literal: text, or a finite number; `text` is how it was written."""

    content: str | float
    text: str
    position: int


@dataclass(frozen=True)
class Field:
    """A field, with its key when it is `tag.`, `metric.` or `parameter.`."""

    name: str
    key: str | None
    position: int

    @property
    def label(self) -> str:
        return self.name if self.key is None else f"{self.name}.{self.key}"


@dataclass(frozen=True)
class Comparison:
    """A field, an operator, and one value (several after `in`)."""

    field: Field
    operator: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Not:
    """What does not match."""

    inner: Expression


@dataclass(frozen=True)
class Junction:
    """`and` or `or` of at least two."""

    word: str
    parts: tuple[Expression, ...]


Expression = Comparison | Not | Junction


def tokens(text: str) -> Iterator[Token]:
    """The words of a query, and an end. Raises SearchError."""
    if len(text) > LONGEST:
        raise SearchError(f"a query has at most {LONGEST} characters.", position=LONGEST)
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            what = (
                "this quotation mark is not closed"
                if text[at] in "\"'`"
                else f"{text[at]!r} means nothing here"
            )
            raise SearchError(f"{what}.", position=at)
        kind = found.lastgroup or ""
        if kind != "space":
            yield Token(kind, found.group(), at)
        at = found.end()
    yield Token("end", "", len(text))


def parse(text: str) -> Expression | None:
    """The tree of a query; None for an empty one, which matches all. Raises SearchError."""
    parser = _Parser(list(tokens(text)))
    if parser.now.kind == "end":
        return None
    tree = parser.alternative(0)
    if parser.now.kind != "end":
        raise SearchError(
            f"{parser.now.text!r} comes after the end of a condition; `and`, `or` or nothing would do.",
            position=parser.now.position,
        )
    return tree


class _Parser:
    """Recursive descent over the tokens, with limits."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.at = 0
        self.comparisons = 0

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.now
        if token.kind != "end":
            self.at += 1
        return token

    def alternative(self, depth: int) -> Expression:
        return self.junction("or", depth)

    def junction(self, word: str, depth: int) -> Expression:
        part = self.negation if word == "and" else lambda d: self.junction("and", d)
        parts = [part(depth)]
        while self.now.keyword == word:
            self.take()
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else Junction(word, tuple(parts))

    def negation(self, depth: int) -> Expression:
        if depth > DEEPEST:
            raise SearchError(f"conditions are nested at most {DEEPEST} deep.", position=self.now.position)
        if self.now.keyword == "not":
            self.take()
            return Not(self.negation(depth + 1))
        if self.now.text == "(" and self.now.kind == "mark":
            opened = self.take()
            inner = self.alternative(depth + 1)
            if not self.mark(")"):
                raise SearchError(
                    f"`)` is expected here: a parenthesis was opened at character {opened.position + 1}.",
                    position=self.now.position,
                )
            return inner
        return self.comparison()

    def mark(self, text: str) -> bool:
        """Take the mark, if it is the next."""
        if self.now.kind == "mark" and self.now.text == text:
            self.take()
            return True
        return False

    def comparison(self) -> Comparison:
        self.comparisons += 1
        if self.comparisons > MOST_COMPARISONS:
            raise SearchError(
                f"a query has at most {MOST_COMPARISONS} conditions.", position=self.now.position
            )
        field = self.field()
        token = self.take()
        if token.keyword == "in":
            return Comparison(field, "in", self.values())
        if token.kind != "operator":
            raise SearchError(
                f"an operator is expected after {field.label}: {' '.join(OPERATORS)}.",
                position=token.position,
            )
        return Comparison(field, token.text, (self.value(),))

    def field(self) -> Field:
        token = self.take()
        if token.kind != "word" or token.keyword:
            told = repr(token.text) if token.text else "the end of the query"
            raise SearchError(
                f"a field is expected, not {told}: such as stage, tag.team or metric.accuracy.",
                position=token.position,
            )
        if not self.mark("."):
            return Field(token.text.lower(), None, token.position)
        return Field(token.text.lower(), self.key(token), token.position)

    def key(self, head: Token) -> str:
        """What follows the dot: words joined by dots, or anything in quotes."""
        token = self.take()
        if token.kind == "quoted":
            return token.text[1:-1]
        if token.kind == "string":
            return _unquoted(token)
        if token.kind not in {"word", "number"}:
            raise SearchError(
                f"a name is expected after `{head.text}.`; quote it when it holds blanks or signs.",
                position=token.position,
            )
        key = token.text
        while self.now.text == "." and self.tokens[self.at + 1].kind in {"word", "number"}:
            self.take()
            key += f".{self.take().text}"
        return key

    def values(self) -> tuple[Value, ...]:
        if not self.mark("("):
            raise SearchError("`(` is expected after `in`.", position=self.now.position)
        found = [self.value()]
        while self.mark(","):
            found.append(self.value())
            if len(found) > MOST_VALUES:
                raise SearchError(f"a list has at most {MOST_VALUES} values.", position=self.now.position)
        if not self.mark(")"):
            raise SearchError("`,` or `)` is expected here.", position=self.now.position)
        return tuple(found)

    def value(self) -> Value:
        token = self.take()
        match token.kind:
            case "string":
                return Value(_unquoted(token), _unquoted(token), token.position)
            case "number":
                number = float(token.text)
                if not math.isfinite(number):
                    raise SearchError("this number is too large.", position=token.position)
                return Value(number, token.text, token.position)
            case "word" if not token.keyword:
                return Value(token.text, token.text, token.position)
        told = repr(token.text) if token.text else "the end of the query"
        raise SearchError(
            f"a value is expected, not {told}: a number, a word, or text in quotes.", position=token.position
        )


def _unquoted(token: Token) -> str:
    return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
