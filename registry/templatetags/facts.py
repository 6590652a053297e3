"""How facts are written for people: numbers, ages, digests, states."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

register = template.Library()

_MARKS = {"pass": "✓", "fail": "✗", "error": "!", "pending": "…", "waived": "~"}


@register.filter
def number(value: Any) -> str:
    """Four significant digits; a dash for nothing."""
    return "\u2013" if value is None else f"{float(value):.4g}"


@register.filter
def signed(value: Any) -> str:
    """Four significant digits with a sign."""
    if value is None:
        return "\u2013"
    return "±0" if value == 0 else f"{float(value):+.4g}".replace("-", "\u2212")


@register.filter
def words(value: Any) -> str:
    """`awaiting_approval` -> `awaiting approval`."""
    return str(value).replace("_", " ")


@register.filter
def thousands(value: Any) -> str:
    """`184,302`."""
    return f"{int(value):,}"


@register.filter
def sentence(value: Any) -> str:
    """Words as a sentence: a capital, unless they begin with a reference, and a full stop."""
    text = str(value).strip()
    if not text:
        return ""
    first = text.split(maxsplit=1)[0]
    begun = text if "/" in first or ":" in first else text[0].upper() + text[1:]
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."


@register.filter
def short_digest(value: Any) -> str:
    """`sha256:1a2b3c4d5e6f…`, enough to recognise it by."""
    kind, _, hexadecimal = str(value or "").rpartition(":")
    return f"{kind + ':' if kind else ''}{hexadecimal[:12]}…" if hexadecimal else "\u2013"


@register.filter
def bytes_told(value: Any) -> str:
    """A size in binary units."""
    size = float(value or 0)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return ""


@register.filter
def written(value: Any) -> str:
    """JSON over lines."""
    return json.dumps(value, indent=2, sort_keys=True)


@register.filter
def ago(value: Any) -> SafeString | str:
    """`3 hours ago`, with the exact time on hover."""
    at = parse_datetime(value) if isinstance(value, str) else value
    if not isinstance(at, datetime):
        return "\u2013"
    told = timesince(at, timezone.now(), depth=1).replace("\xa0", " ")
    told = "just now" if told.startswith("0 ") else f"{told} ago"
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>', at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S}", told
    )


@register.filter
def moment(value: Any) -> SafeString | str:
    """`2026-11-23 09:46`, UTC."""
    at = parse_datetime(value) if isinstance(value, str) else value
    if not isinstance(at, datetime):
        return "\u2013"
    return format_html('<time datetime="{}" title="UTC">{}</time>', at.isoformat(), f"{at:%Y-%m-%d %H:%M}")


@register.filter
def badge(value: Any) -> SafeString:
    """A stage, status, state or tier as a coloured word."""
    return format_html('<span class="badge is-{}">{}</span>', str(value), words(value))


@register.filter
def verdict(value: Any) -> SafeString:
    """A gate's verdict as a mark that also says its word."""
    return format_html(
        '<span class="verdict is-{}" title="{}"><span aria-hidden="true">{}</span>'
        '<span class="unseen">{}</span></span>',
        str(value),
        str(value),
        _MARKS.get(str(value), "?"),
        str(value),
    )
