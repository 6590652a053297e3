"""Server answers as text for people: nothing in them is taken for markup or for a control sequence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

_CONTROL = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")

STYLES = {
    "production": "bold green", "staging": "cyan", "development": "default", "archived": "dim",
    "deprecated": "yellow", "ready": "green", "failed": "bold red", "verifying": "yellow",
    "pending": "yellow", "deleted": "dim", "pass": "green", "fail": "bold red", "error": "bold red",
    "waived": "cyan", "asked": "yellow", "granted": "cyan", "refused": "bold red",
    "applied": "green", "awaiting_approval": "yellow", "evaluating": "yellow", "gates_failed": "bold red",
    "rejected": "bold red", "void": "red", "expired": "red", "withdrawn": "dim", "approve": "green",
    "reject": "bold red", "complete": "green", "incomplete": "yellow", "unknown": "yellow",
    "valid": "green", "invalid": "bold red", "unknown_key": "yellow", "unchecked": "yellow", "revoked": "red",
    "open": "bold red", "closed": "dim", "draft": "yellow", "published": "green", "unchanged": "dim",
    "would change": "yellow",
    "delivered": "green", "on": "green", "off": "dim", "failing": "bold red",
    "clean": "green", "unscannable": "yellow", "suspicious": "bold yellow", "malicious": "bold red",
}  # fmt: skip


def plain(value: object, style: str = "") -> Text:
    return Text("" if value is None else str(value).translate(_CONTROL), style=style)


def state(word: str) -> Text:
    """A state in its colour, read as words."""
    return plain(word.replace("_", " "), STYLES.get(word, ""))


def when(time: str | None) -> str:
    """A UTC time to the minute."""
    if not time:
        return ""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return time
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def number(value: float | None) -> str:
    """Up to six significant digits; nothing where nothing was measured."""
    return "-" if value is None else f"{value:.6g}"


def size(count: int) -> str:
    return decimal(count)


def joined(pairs: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(pairs.items()))


def short(digest: str) -> str:
    """Enough of a digest to tell two apart."""
    head, colon, rest = digest.rpartition(":")
    return f"{head}{colon}{rest[:12]}"


def facts(rows: Iterable[tuple[str, Text | str]]) -> Table:
    """Names and values in two columns; rows without a value are left out."""
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        if value:
            grid.add_row(f"  {name}", value if isinstance(value, Text) else plain(value))
    return grid


def listing(*headers: str, right: Iterable[str] = (), fold: Iterable[str] = ()) -> Table:
    """A table without a frame. Columns in `fold` break long words, so that nothing is cut."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", show_edge=False)
    for header in headers:
        table.add_column(
            header,
            justify="right" if header in set(right) else "left",
            overflow="fold" if header in set(fold) else "ellipsis",
            no_wrap=header not in set(fold),
        )
    return table


def row(table: Table, *cells: Text | str) -> None:
    table.add_row(*(cell if isinstance(cell, Text) else plain(cell) for cell in cells))
