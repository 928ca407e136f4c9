"""Pictures of a recording or a replay with matplotlib: fixed size and order, and a table that says the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.bins import edges, first_edge, round_width
from replaykit.display import count, show_text, show_value
from replaykit.errors import QueryError, show_time
from replaykit.picture import Picture, new_figure, plain, stacked_bars, styled
from replaykit.swimlanes import Swimlanes, swimlanes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from replaykit.recording import Recording
    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = ["Swimlanes", "Timeline", "swimlanes", "timeline", "timeline_table"]

_BINS = 60
_SNAPSHOT = ("snapshot", {"marker": "v", "color": "black", "markersize": 6}, 1.03)
_ACTION = ("action", {"marker": "|", "color": "#D55E00", "markersize": 7}, -0.13)
_OPENED = ("violation opened", {"marker": "x", "color": "#AA3377", "markersize": 6}, -0.19)


@dataclass(frozen=True, eq=False, repr=False)
class Timeline(Picture):
    """A picture of events over time. Shown as SVG, of which the same recording always gives the same bytes."""

    table: pd.DataFrame
    """The numbers behind the bars, as `timeline_table` gives them."""
    marks: tuple[tuple[str, int], ...]
    """What is marked above and below the bars, and how often."""
    figure: Figure
    """The matplotlib figure, to be changed or saved; a change shows when it is displayed."""

    @property
    def sentence(self) -> str:
        """What the picture shows, for those who don't see it."""
        events = self.table.sum().sort_index().sort_values(ascending=False, kind="stable")
        kinds = ", ".join(f"{number:,} {show_text(str(kind), 40)}" for kind, number in events.items())
        busiest = self.table.sum(axis=1)
        peak = show_time(self.table.index[int(busiest.to_numpy().argmax())].to_pydatetime())
        text = (
            f"{count(int(events.sum()), 'event')}: {kinds or 'none'}; most in the bin from {peak} ({busiest.max():,})."
        )
        marked = ", ".join(count(number, name) for name, number in self.marks if number)
        return f"{text} Marked: {marked}." if marked else text


def timeline_table(
    recording: Recording, window: Window | None = None, *, bins: int = _BINS, kinds: int = 7
) -> pd.DataFrame:
    """Return how many events of each kind fall into each of at most `bins` spans of time, cut at round times.

    Returns
    -------
    DataFrame
        Index ``from`` (start of the bin, naive UTC), one column per kind, most frequent first; kinds beyond the first
        `kinds` are summed up as ``other``. The sum over all cells is the number of events in the window.

    Raises
    ------
    QueryError
        The recording holds no events.
    WindowError
        The window lies outside the recording.
    """
    return _table(recording, *_bounds(recording, window), bins, kinds)


def _bounds(recording: Recording, window: Window | None) -> tuple[datetime, datetime]:
    span = recording.span
    if span is None:
        raise QueryError("The recording holds no events, so there is no timeline to draw.")
    return (span if window is None else window.within(span)).bounds()


def _table(recording: Recording, start: datetime, end: datetime, bins: int, kinds: int) -> pd.DataFrame:
    import pandas as pd

    width = round_width(start, end, bins)
    # Counted from the first edge: DuckDB's // rounds towards zero, which before 1970 is the wrong bin.
    rows = recording._fetch(
        "SELECT (epoch_us(occurred_at) - $first) // $width AS bin, kind, count(*) FROM events "
        "WHERE occurred_at >= $start AND occurred_at < $end GROUP BY ALL ORDER BY ALL",
        {"start": start, "end": end, "first": first_edge(start, width), "width": width // timedelta(microseconds=1)},
    )
    totals: dict[str, int] = {}
    for _, kind, number in rows:
        totals[kind] = totals.get(kind, 0) + number
    shown = sorted(totals, key=lambda kind: (-totals[kind], kind))[:kinds]
    columns = [*shown, *(["other"] if len(totals) > kinds and "other" not in shown else [])]
    index = pd.DatetimeIndex(edges(start, end, bins)[:-1], name="from").as_unit("us")
    cells = {kind: [0] * len(index) for kind in columns}
    for place, kind, number in rows:
        cells[kind if kind in shown else "other"][place] += number
    return pd.DataFrame(cells, index=index, columns=pd.Index(columns, dtype="str"), dtype="int64")


def timeline(source: Recording | Replay, window: Window | None = None, *, bins: int = _BINS) -> Timeline:
    """Return a picture of events by kind over time, with snapshots, actions and violations marked.

    Parameters
    ----------
    source
        A recording, or a replay, whose actions and violations are marked as well.
    window
        None is the whole recording, or the replay's window.

    Raises
    ------
    QueryError
        The recording holds no events.
    WindowError
        The window lies outside the recording.
    """
    run: Any = source if hasattr(source, "plan") else None
    recording: Any = run.recording if run is not None else source
    start, end = _bounds(recording, window or (run.window if run is not None else None))
    table = _table(recording, start, end, bins, 7)
    with styled():
        events, width = int(table.to_numpy().sum()), round_width(start, end, bins)
        title = f"{count(events, 'event')} by kind, {show_value(width)} a bar, UTC"
        figure, axes = _axes(title)
        stacked_bars(axes, table, end)
        axes.set_xlim(start, end)
        marked = [([s.at for s in recording.snapshots], _SNAPSHOT)]
        if run is not None:
            marked += [(list(run.actions["at"]), _ACTION), (list(run.violations["opened_at"]), _OPENED)]
        marks = [_mark(axes, [at for at in times if start <= at <= end], *look) for times, look in marked]
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.03), frameon=False, fontsize=8)
    return Timeline(table, tuple(marks), figure)


def _axes(title: str) -> tuple[Any, Any]:
    figure = new_figure(10, 3.2)
    axes = figure.subplots()
    plain(axes, title, "events")
    return figure, axes


def _mark(axes: Any, inside: list[Any], label: str, style: dict[str, Any], height: float) -> tuple[str, int]:
    """Mark times above or below the bars; return what and how many."""
    if inside:
        across = axes.get_xaxis_transform()
        heights = [height] * len(inside)
        axes.plot(inside, heights, clip_on=False, linestyle="none", label=label, transform=across, **style)
    return label, len(inside)
