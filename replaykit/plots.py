"""Pictures of a recording or a replay with matplotlib: fixed size and order, and a table that says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from replaykit.recording import Recording
    from replaykit.replay import Replay
    from replaykit.window import Window

__all__ = ["timeline", "timeline_table"]

# Okabe and Ito's palette: told apart by people with any common colour vision.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
_BINS = 60


def timeline_table(
    recording: Recording, window: Window | None = None, *, bins: int = _BINS, kinds: int = 7
) -> pd.DataFrame:
    """Return how many events of each kind fall into each of `bins` equal spans of time.

    Returns
    -------
    DataFrame
        Index ``from`` (start of the bin, naive UTC), one column per kind, most frequent first; kinds beyond the first
        `kinds` are summed up as ``other``. The sum over all cells is the number of events in the window.
    """
    import pandas as pd

    within = window.within(recording.span) if window is not None else recording.span
    if within is None:
        raise QueryError("The recording holds no events, so there is no timeline to draw.")
    start, end = within.bounds()
    width = max((end - start) // bins, pd.Timedelta(microseconds=1).to_pytimedelta())
    rows = recording._fetch(
        "SELECT least((epoch_us(occurred_at) - epoch_us($start)) // $width, $last)::BIGINT AS bin, kind, count(*) FROM events "
        "WHERE occurred_at >= $start AND occurred_at < $end GROUP BY ALL ORDER BY ALL",
        {"start": start, "end": end, "width": int(width.total_seconds() * 1_000_000), "last": bins - 1},
    )
    counts = pd.DataFrame(rows, columns=["bin", "kind", "events"])
    totals = (
        counts.groupby("kind")["events"].sum().reset_index().sort_values(["events", "kind"], ascending=[False, True])
    )
    shown = list(totals["kind"].head(kinds))
    counts["kind"] = counts["kind"].where(counts["kind"].isin(shown), "other")
    table = counts.pivot_table(index="bin", columns="kind", values="events", aggfunc="sum", fill_value=0)
    columns = [*shown, *(["other"] if "other" in table.columns and "other" not in shown else [])]
    table = table.reindex(index=range(bins), columns=columns, fill_value=0).astype("int64")
    table.index = pd.DatetimeIndex([start + width * number for number in range(bins)], name="from")
    table.columns.name = None
    return table


def timeline(source: Recording | Replay, window: Window | None = None, *, bins: int = _BINS) -> Figure:
    """Return a picture of events by kind over time, with snapshots, actions and violations marked.

    The numbers behind the bars are `timeline_table`'s. Size, font and order are fixed, so that the same recording gives
    the same picture.
    """
    run = source if hasattr(source, "plan") else None
    recording: Any = run.recording if run is not None else source
    window = window or (run.window if run is not None else None)
    table = timeline_table(recording, window, bins=bins)
    figure, axes = _axes(f"{int(table.to_numpy().sum()):,} events by kind")
    _bars(axes, table)
    _marks(axes, table, [snapshot.at for snapshot in recording.snapshots], "snapshot", "black", "v", 1.02)
    if run is not None:
        _marks(axes, table, list(run.actions["at"]), "action", "#D55E00", "|", -0.03)
        _marks(axes, table, list(run.violations["opened_at"]), "violation opened", "#CC79A7", "x", -0.07)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8)
    return figure


def _axes(title: str) -> tuple[Any, Any]:
    # Not pyplot: a figure that nobody registered is not shown twice and does not leak.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_ylabel("events per bin", fontsize=8)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _bars(axes: Any, table: pd.DataFrame) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    width = table.index[1] - table.index[0] if len(table) > 1 else None
    bottom = table.iloc[:, 0] * 0 if len(table.columns) else None
    for number, kind in enumerate(table.columns):
        hatch = ("", "///", "...", "xx")[number // len(_COLOURS) % 4]
        colour = _COLOURS[number % len(_COLOURS)]
        label = str(kind)[:40].replace("$", r"\$")
        axes.bar(
            table.index, table[kind], width=width, bottom=bottom, align="edge", color=colour, hatch=hatch, label=label
        )
        bottom = bottom + table[kind]
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_xlabel("UTC", fontsize=8)


def _marks(
    axes: Any, table: pd.DataFrame, times: list[Any], label: str, colour: str, glyph: str, height: float
) -> None:
    first, last = table.index[0], table.index[-1] + (table.index[-1] - table.index[0]) / max(len(table) - 1, 1)
    inside = [at for at in times if first <= at <= last]
    if inside:
        axes.plot(
            inside, [height] * len(inside), glyph, color=colour, markersize=6, clip_on=False, label=label,
            transform=axes.get_xaxis_transform(), linestyle="none",
        )  # fmt: skip
