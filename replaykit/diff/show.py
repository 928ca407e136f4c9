"""How diffs read: one line, a bounded table with a glyph for each row, JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from replaykit.diff.frames import ordered_columns
from replaykit.diff.json import ABSENT
from replaykit.display import count, grid_html, is_empty, note_html, show_text, show_value

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.diff import Diff
    from replaykit.diff.match import Comparison

__all__ = [
    "arrow",
    "html",
    "json_object",
    "json_text",
    "row_texts",
    "summary",
    "tables_count",
    "tables_html",
    "tables_summary",
]

_ROWS = 200
_COLUMNS = 30
_NAMED = 5
# Okabe-Ito; the glyph says the same without colour.
_COLOURS = {"+": "#0072B2", "−": "#D55E00", "~": "#E69F00"}


def _named(names: Sequence[Hashable]) -> str:
    shown = ", ".join(f"'{show_text(str(name), 40)}'" for name in names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def notes(found: Comparison) -> list[str]:
    """Return what differs about the columns themselves."""
    sides = ((found.columns_removed, "before"), (found.columns_added, "after"))
    texts = [
        f"{'column' if len(names) == 1 else 'columns'} {_named(names)} only {side}" for names, side in sides if names
    ]
    return texts + [
        f"type of '{show_text(str(name), 40)}' differs ({' before, '.join(found.types[name])} after)"
        for name in found.unlike[:_NAMED]
        if name in found.types
    ]


def summary(diff: Diff) -> str:
    """Return one line: the numbers of rows, and what differs about the columns."""
    found = diff._found
    counts = [f"{len(found.added):,} added", f"{len(found.removed):,} removed"]
    counts.append(f"{len(found.before):,} changed in {count(len(diff.changed_columns), 'column')}")
    parts = [text for text in counts if not text.startswith("0 ")] or ["no row differs"]
    return "; ".join([", ".join(parts), *notes(found)])


def html(diff: Diff, limit: int = _ROWS, caption: str | None = None) -> str:
    """Return the summary and a table of at most `limit` rows, changed columns first, old → new in one cell."""
    found, changed = diff._found, list(diff.changed_columns)
    head = note_html(("" if caption is None else f"{caption}: ") + diff.summary)
    if not len(diff):
        return head
    shares = _shares((len(found.before), len(found.added), len(found.removed)), limit)
    columns = _shown_columns(found, changed, whole_rows=shares[1] + shares[2] > 0)
    rows = [
        *_changed_rows(found, columns, set(changed), shares[0]),
        *_whole_rows("+", found, found.added, columns, shares[1]),
        *_whole_rows("−", found, found.removed, columns, shares[2]),
    ]
    key = [show_value(name, 60) for name in found.key or ()]
    heads = ["", *key, *(show_value(name, 60) for name in columns)]
    grid = grid_html(
        heads, rows, notes=_left_out(diff, shares, columns), style=lambda row, place: _style(rows[row], place)
    )
    return f"{head}\n{grid}"


def _style(row: Sequence[str], place: int) -> str:
    if place == 0:
        return f"text-align:center;border-left:4px solid {_COLOURS[row[0]]}"
    return "text-align:left"


def _shares(lengths: Sequence[int], limit: int) -> list[int]:
    """Return how many rows of each kind are shown, so that a kind with many hides none with few."""
    shares = [0] * len(lengths)
    left = limit
    for waiting, place in enumerate(sorted(range(len(lengths)), key=lambda place: lengths[place])):
        shares[place] = min(lengths[place], left // (len(lengths) - waiting))
        left -= shares[place]
    return shares


def _shown_columns(found: Comparison, changed: list[Hashable], *, whole_rows: bool) -> list[Hashable]:
    if found.key is None:
        return list(dict.fromkeys([*found.added.columns, *found.removed.columns]))[:_COLUMNS]
    if not whole_rows:
        return changed[:_COLUMNS]
    return [*ordered_columns(found, changed), *found.columns_added, *found.columns_removed][:_COLUMNS]


def _changed_rows(
    found: Comparison, columns: Sequence[Hashable], changed: AbstractSet[Hashable], limit: int
) -> list[list[str]]:
    place_of = {name: number for number, name in enumerate(found.compared)}
    keys = _texts(found.key_frame(found.before.iloc[:limit]))
    old, new = found.before.iloc[:limit], found.after.iloc[:limit]
    cells = {name: (list(old[name]), list(new[name])) for name in columns if name in changed}
    rows = []
    for row in range(len(old)):
        texts = ["~", *keys[row]]
        for name in columns:
            differs = name in cells and found.mask[row, place_of[name]]
            paths = found.paths.get((row, place_of.get(name, -1)))
            # An unchanged column is folded in a changed row, an unchanged cell of a changed column is its context.
            unchanged = show_value(cells[name][0][row], 60) if name in cells else "·"
            texts.append(arrow(cells[name][0][row], cells[name][1][row], paths) if differs else unchanged)
        rows.append(texts)
    return rows


def arrow(old: object, new: object, paths: list[tuple[str, object, object]] | None) -> str:
    """Return old → new; of long texts the part around the first difference, of JSON each changed path."""
    if paths:
        return show_text("; ".join(f"{path}: {show_value(a, 40)} → {show_value(b, 40)}" for path, a, b in paths), 240)
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > 60:
        start = next((n for n, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), None)
        skip = max(0, (min(len(old), len(new)) if start is None else start) - 20)
        old, new = (("…" if skip else "") + text[skip:] for text in (old, new))
    return f"{show_value(old, 60)} → {show_value(new, 60)}"


def _whole_rows(
    glyph: str, found: Comparison, frame: pd.DataFrame, columns: Sequence[Hashable], limit: int
) -> list[list[str]]:
    rows = frame.iloc[:limit]
    keys = _texts(found.key_frame(rows)) if found.key is not None else [[] for _ in range(len(rows))]
    cells = [list(rows[name]) if name in rows.columns else None for name in columns]
    return [
        [glyph, *keys[row], *("·" if cell is None else show_value(cell[row], 60) for cell in cells)]
        for row in range(len(rows))
    ]


def _texts(frame: pd.DataFrame) -> list[list[str]]:
    return [[show_value(value, 60) for value in row] for row in frame.itertuples(index=False, name=None)]


def _left_out(diff: Diff, shares: Sequence[int], columns: Sequence[Hashable]) -> list[str]:
    found = diff._found
    texts = []
    for shown, frame, name in zip(
        shares, (found.before, found.added, found.removed), ("changed", "added", "removed"), strict=True
    ):
        if len(frame) > shown:
            texts.append(f"… {len(frame) - shown:,} more {name} ({len(frame):,} in all): .{name}")
    folded = [name for name in found.compared if name not in set(columns)]
    if folded:
        texts.append(f"{count(len(folded), 'column')} not shown: {_named(folded)}")
    return texts


def tables_count(tables: Mapping[str, Diff]) -> str:
    """Return how many rows differ in how many tables."""
    rows = sum(map(len, tables.values()))
    differing = sum(1 for found in tables.values() if len(found))
    if not rows:
        return f"no row differs in {count(len(tables), 'table')}"
    return (
        f"{count(rows, 'row')} {'differs' if rows == 1 else 'differ'} in {differing:,} of {count(len(tables), 'table')}"
    )


def tables_summary(tables: Mapping[str, Diff], added: Sequence[str], removed: Sequence[str]) -> str:
    """Return one line: how many rows differ, then each table that differs in rows or columns."""
    parts = [f"{name}: {found.summary}" for name, found in tables.items() if len(found) or notes(found._found)]
    for names, side in ((removed, "before"), (added, "after")):
        if names:
            parts.append(f"{'table' if len(names) == 1 else 'tables'} {_named(names)} only {side}")
    return ". ".join([tables_count(tables), *parts])


def tables_html(tables: Mapping[str, Diff], line: str) -> str:
    """Return the summary and the table of each differing one, together at most 200 rows."""
    differing = {name: found for name, found in tables.items() if len(found)}
    shares = _shares([len(found) for found in differing.values()], _ROWS)
    parts = [html(found, share, name) for (name, found), share in zip(differing.items(), shares, strict=True)]
    return "\n".join([note_html(line), *parts])


def json_object(diff: Diff) -> dict[str, Any]:
    """Return a diff as what JSON can hold."""
    found = diff._found
    return {
        "summary": diff.summary,
        "key": None if found.key is None else [str(name) for name in found.key],
        "columns_added": [str(name) for name in found.columns_added],
        "columns_removed": [str(name) for name in found.columns_removed],
        "types": {str(name): list(pair) for name, pair in found.types.items()},
        "added": _json_rows(found, found.added),
        "removed": _json_rows(found, found.removed),
        "changed": _json_changes(found, diff.changed_long),
    }


def json_text(value: object, indent: int | None) -> str:
    """Return JSON text that any reader accepts: no NaN, nothing beyond ASCII."""
    return json.dumps(value, indent=indent, allow_nan=False)


def _json_rows(found: Comparison, rows: pd.DataFrame) -> list[dict[str, Any]]:
    frame = rows.reset_index(names=list(found.index_names)) if found.index_names else rows
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, map(json_value, row), strict=True)) for row in frame.itertuples(index=False, name=None)]


def _json_changes(found: Comparison, long: pd.DataFrame) -> list[dict[str, Any]]:
    keys = len(found.key or ())
    names = [str(name) for name in found.key or ()]
    rows = []
    for cells in long.itertuples(index=False, name=None):
        change = {"key": dict(zip(names, map(json_value, cells[:keys]), strict=True)), "column": cells[keys]}
        # A path that is absent on one side has no member, since null would be a value.
        for side, value in zip(("before", "after"), cells[keys + 1 :], strict=True):
            if value is not ABSENT:
                change[side] = json_value(value)
        rows.append(change)
    return rows


def json_value(value: Any) -> Any:
    """Return a cell as what JSON can hold: times and durations as text, missing as null, bytes as hexadecimal."""
    if is_empty(value):
        return None
    if type(value).__module__ == "numpy" and hasattr(value, "tolist") and value.dtype.kind not in "mM":
        return json_value(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "0x" + bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(name): json_value(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    return str(value) if isinstance(value, Decimal) else show_value(value, 10_000)


def row_texts(diff: Diff) -> pd.DataFrame:
    """Return one row for each differing row: ``change``, and as JSON its ``key`` and changed or whole ``columns``."""
    import pandas as pd

    rows: list[tuple[str, str, str]] = []
    content = json_object(diff)
    names = content["key"] or []
    changed: dict[str, dict[str, Any]] = {}
    for cell in content["changed"]:
        sides = {side: cell[side] for side in ("before", "after") if side in cell}
        changed.setdefault(json_text(cell["key"], None), {})[cell["column"]] = sides
    rows += [("changed", key, json_text(cells, None)) for key, cells in changed.items()]
    for change in ("added", "removed"):
        for row in content[change]:
            rows.append((change, json_text({name: row[name] for name in names}, None), json_text(row, None)))
    return pd.DataFrame(rows, columns=["change", "key", "columns"])


def with_json_key(diff: Diff) -> pd.DataFrame:
    """Return the changed cells with the key as one JSON text, so that tables with other keys fit below each other."""
    long = diff.changed_long
    keys = len(diff.key or ())
    names = [str(name) for name in diff.key or ()]
    texts = [
        json_text(dict(zip(names, map(json_value, cells), strict=True)), None)
        for cells in long.iloc[:, :keys].itertuples(index=False, name=None)
    ]
    result = long.iloc[:, keys:].set_axis(["column", "before", "after"], axis=1)
    result.insert(0, "key", texts)
    return result
