"""How values and tables are shown: escaped, bounded, the same every time, readable with all styling removed.

Event text is hostile: it may hold markup, terminal escapes or characters that turn the reading direction. `show_value`
makes a cell's text; `table_html` and `table_text` put cells into a table. Nothing here runs a query or moves all data.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, excerpt

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EMPTY",
    "brief",
    "count",
    "grid_html",
    "is_empty",
    "note_html",
    "show_text",
    "show_value",
    "table_html",
    "table_text",
]

EMPTY = "∅"
"""Shown for None, NaN, NaT and NA alike. An empty text is shown as two quotes, so that the two differ."""

_CELL = 120
_REPR = 199
_MOST_COLUMNS = 40
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
# Front ends typeset $...$ inside HTML output as mathematics; these classes keep them from it.
_NO_MATH = "tex2jax_ignore mathjax_ignore"


def count(n: int, noun: str) -> str:
    """Return a number with its noun: "1 event", "2 events", "4,345 entities"."""
    if n == 1:
        return f"1 {noun}"
    if re.search(r"(s|x|z|ch|sh)$", noun):
        return f"{n:,} {noun}es"
    if re.search(r"[^aeiou]y$", noun):
        return f"{n:,} {noun[:-1]}ies"
    return f"{n:,} {noun}s"


def is_empty(value: object) -> bool:
    """Return whether `value` is one of the forms of nothing: None, NaN, NaT, NA."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    name = type(value).__name__
    if isinstance(value, float) or name.startswith("float"):
        return math.isnan(float(value))  # type: ignore[arg-type]
    return name in {"datetime64", "timedelta64"} and str(value) == "NaT"


def show_text(text: str, limit: int = _CELL) -> str:
    """Return text on one line, with control, direction and invisible characters as visible escapes, cut with "…"."""
    shown = "".join(map(_show_character, text[: limit + 1]))
    return shown if len(text) <= limit and len(shown) <= limit else shown[: limit - 1] + "…"


def _show_character(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) not in _HIDDEN:
        return character
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def show_value(value: object, limit: int = _CELL) -> str:
    """Return one value as plain text of at most `limit` characters; it is not yet escaped for HTML.

    Times are ISO 8601 with Z (a naive one is UTC), None, NaN and NaT are one marker, containers are JSON, bytes are
    hexadecimal, and an object's memory address is left out, so that the same value always reads the same.
    """
    if is_empty(value):
        return EMPTY
    if isinstance(value, str):
        return show_text(value, limit) if value else '""'
    return show_text(_plain(value), limit)


def _plain(value: Any) -> str:
    if isinstance(value, (datetime, date, time, timedelta)):
        return _show_instant(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "0x" + bytes(value)[:_CELL].hex()
    if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
        return _show_numpy(value)
    if isinstance(value, (Mapping, list, tuple, AbstractSet)):
        return _show_container(value)
    return _show_object(value)


def _show_instant(value: date | time | timedelta) -> str:
    if isinstance(value, timedelta):
        return _show_duration(value)
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return value.isoformat() + "Z"
    return value.isoformat()


def _show_duration(value: timedelta) -> str:
    whole = abs(timedelta(value.days, value.seconds, value.microseconds))
    clock = time(whole.seconds // 3600, whole.seconds // 60 % 60, whole.seconds % 60, whole.microseconds)
    sign = "-" if value < timedelta(0) else ""
    text = clock.isoformat()
    return sign + (f"{whole.days}d {text}" if whole.days else text)


def _show_numpy(value: Any) -> str:
    kind = value.dtype.kind
    if value.ndim or kind == "V":
        return _show_container(value.tolist())
    if kind == "M":
        return str(value) + ("Z" if "T" in str(value) else "")
    if kind == "m":
        return _show_duration(timedelta(microseconds=int(value.astype("timedelta64[us]").astype("int64"))))
    return str(value)


def _show_container(value: object) -> str:
    try:
        return json.dumps(_listed(value), ensure_ascii=False, default=_show_nested)
    except (TypeError, ValueError, RecursionError):
        return _show_object(value)


def _listed(value: object) -> object:
    return sorted(map(show_value, value)) if isinstance(value, AbstractSet) else value


def _show_nested(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return _listed(value) if isinstance(value, AbstractSet) else show_value(value)


def _show_object(value: object) -> str:
    kind = type(value)
    try:
        text = str(value)
    except Exception:  # noqa: BLE001  a user's __str__ may raise anything, and a display must not
        return f"<{kind.__name__} that can't be shown>"
    return _ADDRESS.sub("", text)


def table_html(
    frame: pd.DataFrame,
    *,
    caption: str | None = None,
    limit: int = 200,
    columns: Iterable[object] | None = None,
    more: str = "table_html(frame, limit=...) or the frame itself",
    total: int | None = None,
) -> str:
    """Return a frame as an HTML table: escaped, without script, at most `limit` rows and 40 columns.

    Parameters
    ----------
    frame
        Rows are shown in their order, so sort by a unique key before. A named or textual index is shown as columns.
    columns
        The columns to show, in this order; None is all, the first 40 shown.
    more
        How to get what was cut, shown after "… n more".
    total
        How many rows there are in all, if the frame holds only the first; None is the frame's own.

    Raises
    ------
    QueryError
        `columns` names one that is not there.
    """
    heads, rows, notes = _cells(frame, limit, columns, more, total)
    texts = [[show_value(value) for value in row] for row in rows]
    return grid_html(heads, texts, caption=caption, notes=notes, style=lambda row, place: _alignment(rows[row][place]))


def _alignment(value: object) -> str:
    number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    return "text-align:right" if number else "text-align:left"


def grid_html(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caption: str | None = None,
    notes: Iterable[str] = (),
    style: Callable[[int, int], str] = lambda _row, _place: "text-align:left",
) -> str:
    """Return texts that `show_value` made as an HTML table, escaped; `style` may only decorate, and is trusted."""
    head = "".join(f'<th scope="col" style="text-align:left">{escape(name)}</th>' for name in heads)
    parts = [f'<table class="{_NO_MATH}" style="border-collapse:collapse">']
    if caption is not None:
        parts.append(f'<caption style="text-align:left">{escape(show_text(caption, 500))}</caption>')
    parts += [f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for number, row in enumerate(rows):
        cells = (f'<td style="{style(number, place)}">{escape(text)}</td>' for place, text in enumerate(row))
        parts.append("<tr>" + "".join(cells) + "</tr>")
    parts += ["</tbody>", "</table>", *(note_html(note) for note in notes)]
    return "\n".join(parts)


def note_html(text: str, limit: int = 500) -> str:
    """Return one sentence beside a table as an escaped paragraph of at most `limit` characters."""
    return f'<p class="{_NO_MATH}">{escape(show_text(text, limit))}</p>'


def brief(name: str, text: str) -> str:
    """Return a repr on one line of at most 199 characters: a class's name, and as much of a sentence as fits."""
    return f"{name}({show_text(text, _REPR - len(name) - 2)})"


def table_text(
    frame: pd.DataFrame,
    limit: int = 10,
    *,
    columns: Iterable[object] | None = None,
    more: str = "table_text(frame, limit=...) or the frame itself",
) -> str:
    """Return a frame as aligned plain text of at most `limit` rows, for a terminal or a log."""
    heads, rows, notes = _cells(frame, limit, columns, more)
    texts = [heads, *([show_value(value, 60) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts]
    return "\n".join(lines + notes)


def _cells(
    frame: pd.DataFrame, limit: int, columns: Iterable[object] | None, more: str, total: int | None = None
) -> tuple[list[str], list[Sequence[object]], list[str]]:
    """Return the column names, the rows shown and what was left out."""
    positions = _positions(frame, columns)
    shown = frame.iloc[:limit, positions[:_MOST_COLUMNS]]
    lists: list[list[object]] = [list(shown.iloc[:, place]) for place in range(shown.shape[1])]
    names = [show_value(name, 60) for name in shown.columns]
    for level in reversed(range(shown.index.nlevels)) if _index_says_something(frame.index) else ():
        values = shown.index.get_level_values(level)
        lists.insert(0, list(values))
        names.insert(0, "" if values.name is None else show_value(values.name, 60))
    rows: list[Sequence[object]] = list(zip(*lists, strict=True)) if lists else []
    return names, rows, _notes(len(frame), limit, len(positions), more, total)


def _notes(rows: int, limit: int, columns: int, more: str, total: int | None) -> list[str]:
    notes = []
    shown, rows = min(rows, limit), rows if total is None else total
    if rows > shown:
        notes.append(f"… {count(rows - shown, 'more row')} ({rows:,} in all): {more}")
    if columns > _MOST_COLUMNS:
        notes.append(f"… {count(columns - _MOST_COLUMNS, 'more column')} ({columns:,} in all): name them with columns=")
    return notes if rows else ["no rows", *notes]


def _index_says_something(index: pd.Index) -> bool:
    return any(name is not None for name in index.names) or index.inferred_type in {"string", "mixed", "categorical"}


def _positions(frame: pd.DataFrame, columns: Iterable[object] | None) -> list[int]:
    if columns is None:
        return list(range(frame.shape[1]))
    names: list[object] = list(frame.columns)
    wanted = list(columns)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise QueryError(f"The table has no column {excerpt(missing[0])}; its columns are {names[:_MOST_COLUMNS]}.")
    return [names.index(name) for name in wanted]
