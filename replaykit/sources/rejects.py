"""Rows that can't be loaded: found by one query, kept with place and reason, never dropped in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replaykit.display import count
from replaykit.errors import LoadError
from replaykit.sources.delimited import physical_lines_of
from replaykit.sources.table import Intake, SourceTable, Unreadable
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replaykit.sources.columns import Check

__all__ = ["find_rejects", "refuse", "write_rejects"]


def find_rejects(table: SourceTable, checks: Sequence[Check], intake: Intake) -> list[Unreadable]:
    """Return every row of a staged table that fails a check, in source order, with the first check it fails."""
    if not checks:
        return []
    reason = "CASE " + " ".join(f"WHEN {check.condition} THEN {place}" for place, check in enumerate(checks)) + " END"
    value = "CASE " + " ".join(f"WHEN {check.condition} THEN left({check.value}, 200)" for check in checks) + " END"
    failing = " OR ".join(f"coalesce({check.condition}, false)" for check in checks)
    rows = intake.rows(f"SELECT {table.row}, {reason}, {value} FROM {table.relation} WHERE {failing} ORDER BY 1")
    places = _places(table, [row for row, _, _ in rows])
    found = []
    for row, number, text in rows:
        check = checks[number]
        shown = "(withheld)" if check.private and text is not None else _cut(text)
        found.append(Unreadable(*places[row], check.reason, shown))
    return found


def _cut(text: str | None) -> str:
    return "" if text is None else text if len(text) <= 80 else text[:79] + "…"


def _places(table: SourceTable, rows: Sequence[int]) -> dict[int, tuple[str, int]]:
    if not table.lines:
        return {row: table.locate(row) for row in rows}
    return physical_lines_of(table, rows)


def refuse(rejects: Sequence[Unreadable]) -> None:
    """Raise for rejected rows, as ``strict=True`` asks."""
    if not rejects:
        return
    first = rejects[0]
    raise LoadError(
        f"{count(len(rejects), 'row')} can't be loaded, the first at {first.label}, place {first.place}: {first.reason}"
        f"{f' ({first.excerpt!r})' if first.excerpt else ''}. Without strict=True they are put aside in rejects."
    )


def write_rejects(rejects: Iterable[tuple[str, Unreadable]], intake: Intake) -> None:
    """Write all rejected rows into the recording, in source order."""
    intake.connection.execute(
        "CREATE TABLE rejects (reject BIGINT, source VARCHAR, place BIGINT, reason VARCHAR, excerpt VARCHAR)"
    )
    rows = [
        (number, f"{name}: {row.label}", row.place, row.reason, row.excerpt)
        for number, (name, row) in enumerate(rejects, 1)
    ]
    for start in range(0, len(rows), 10_000):
        _insert(rows[start : start + 10_000], intake)


def _insert(rows: list[tuple[int, str, int, str, str]], intake: Intake) -> None:
    import pyarrow as pa

    names = ["reject", "source", "place", "reason", "excerpt"]
    staged = intake.name("rejects")
    intake.connection.register(staged, pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))))
    intake.connection.execute(f"INSERT INTO rejects SELECT * FROM {quote(staged)} ORDER BY reject")
    intake.connection.unregister(staged)
