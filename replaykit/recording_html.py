"""How a recording and its snapshots read in a notebook: a sentence, counts, and the report of the load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replaykit.display import count, note_html, table_html
from replaykit.errors import show_time
from replaykit.sql import quote

if TYPE_CHECKING:
    from replaykit.recording import Recording
    from replaykit.snapshot import RecordedSnapshot

__all__ = ["recording_html", "recording_sentence", "snapshot_html"]

_FIRST = 20
_CALLS = (
    "More: .events, .kinds, .log(name), .snapshot(number), .report, .rejects; .sql(query) asks anything; "
    ".unexplained(), .episodes(log), .story(entity) and .check(name, sql) are findings without rules."
)


def recording_sentence(recording: Recording) -> str:
    """Return what a recording holds, in one sentence; of a closed one, what is still known."""
    parts = [count(len(recording), "event")]
    if recording.is_open:
        parts[0] += f" of {count(len(recording.kinds), 'kind')}"
        bounds = None if recording.span is None else recording.span.bounds()
        parts += [] if bounds is None else [f"{show_time(bounds[0])} to {show_time(bounds[1])}"]
    shots = recording.snapshots
    if shots:
        tables = count(len(recording.state_tables), "state table")
        parts.append(
            f"{count(len(shots), 'snapshot')} of {tables}, {show_time(shots[0].at)} to {show_time(shots[-1].at)}"
        )
    parts.append(f"logs: {', '.join(recording.logs)}" if recording.logs else "no logs")
    return f"Recording of {'; '.join(parts)}{'' if recording.is_open else '; closed'}."


def recording_html(recording: Recording) -> str:
    """Return what a recording holds, its kinds of events, and the report of its load."""
    parts = [note_html(recording_sentence(recording), 2_000)]
    if recording.is_open:
        parts.append(table_html(recording.kinds, caption="Kinds of events", limit=_FIRST, more=".kinds"))
        parts.append(_logs(recording))
    return "\n".join([*parts, recording.report._repr_html_(), note_html(_CALLS)])


def _logs(recording: Recording) -> str:
    import pandas as pd

    if not recording.logs:
        return ""
    rows = [(name, recording._fetch(f"SELECT count(*) FROM {quote(name)}")[0][0]) for name in recording.logs]
    return table_html(pd.DataFrame(rows, columns=["log", "entries"]), caption="Logs", more=".log(name)")


def snapshot_html(snapshot: RecordedSnapshot) -> str:
    """Return when a snapshot was taken, and how many rows of which tables it holds."""
    import pandas as pd

    recording = snapshot._recording
    head = f"Snapshot {snapshot.number} at {show_time(snapshot.at)}, after event {snapshot.after_position:,}"
    named = f", called {snapshot.name}" if snapshot.name else ""
    if recording is None or not recording.is_open:
        return note_html(f"{head}{named}; its recording is closed.")
    rows = [
        (table, ", ".join(snapshot.keys.get(table, ())), _size(recording, table, snapshot.number))
        for table in snapshot.tables
    ]
    size = f"{count(sum(row[2] for row in rows), 'row')} in {count(len(rows), 'table')}"
    frame = pd.DataFrame(rows, columns=["table", "key", "rows"])
    parts = [note_html(f"{head}{named}: {size}."), table_html(frame, caption="Tables", more=".tables")]
    return "\n".join([*parts, note_html('More: snapshot["table"] is a table as it was then.')])


def _size(recording: Recording, table: str, number: int) -> int:
    rows = recording._fetch(f"SELECT count(*) FROM state.{quote(table)} WHERE snapshot = $number", {"number": number})
    return int(rows[0][0])
