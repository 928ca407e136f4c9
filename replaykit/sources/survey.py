"""What a loaded table looks like, counted once it is written: ties, steps back, bursts, odd times, ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replaykit.display import count
from replaykit.errors import show_time
from replaykit.sql import quote

if TYPE_CHECKING:
    from replaykit.sources.ordered import Ordered
    from replaykit.sources.table import Intake

__all__ = ["survey_ids", "survey_times"]

_EXACT = 2_000_000
_BURST = 100


def survey_times(plan: Ordered, intake: Intake) -> None:
    """Count events that share a time, steps back in time in the declared order, the busiest second and odd years."""
    table = quote(plan.name)
    ((ties, back),) = intake.rows(
        "SELECT count(*) FILTER (t = p), count(*) FILTER (t < p) "
        f"FROM (SELECT occurred_at AS t, lag(occurred_at) OVER () AS p FROM {table})"
    )
    intake.counts[f"{plan.name}_ties"] = int(ties)
    intake.counts[f"{plan.name}_steps_back_in_time"] = int(back)
    if ties:
        way = "their source order" if not plan.order else "the declared order"
        intake.note(f"{plan.name}: {count(ties, 'row')} with the time of the row before; they are in {way}.")
    if back:
        intake.note(f"{plan.name}: time runs backwards {count(back, 'time')} in the declared order.")
    _note_burst(plan, intake)
    _note_odd(plan, intake)


def survey_sequence(plan: Ordered, intake: Intake) -> None:
    """Count rows that repeat the sequence of the one before, and steps back where time orders but not the sequence."""
    if not plan.sequence:
        return
    sources = {column.name: plan.columns.get(column.name) for column in plan.sequence}
    if None in sources.values():
        return
    keys = [
        f"TRY_CAST({quote(str(sources[column.name]))} AS {column.type})"
        if column.type == "BIGINT"
        else quote(str(sources[column.name]))
        for column in plan.sequence
    ]
    now = "{" + ", ".join(f"'k{place}': {key}" for place, key in enumerate(keys)) + "}"
    query = f"SELECT {now} AS k, lag({now}) OVER () AS p FROM {quote(plan.name)}"
    ((ties, back),) = intake.rows(f"SELECT count(*) FILTER (k = p), count(*) FILTER (k < p) FROM ({query})")
    intake.counts[f"{plan.name}_sequence_ties"] = int(ties)
    intake.counts[f"{plan.name}_sequence_steps_back"] = int(back)
    if ties:
        intake.note(f"{plan.name}: {count(ties, 'row')} with the sequence of the row before; they are in source order.")
    if back and not plan.order:
        names = " and ".join(repr(name) for name in sources)
        intake.note(
            f"{plan.name}: in the order of time, {names} {'run' if len(sources) > 1 else 'runs'} backwards "
            f"{count(back, 'time')}."
        )


def _note_burst(plan: Ordered, intake: Intake) -> None:
    busiest = intake.rows(
        f"SELECT date_trunc('second', occurred_at) AS second, count(*) AS rows FROM {quote(plan.name)} "
        "GROUP BY second ORDER BY rows DESC, second LIMIT 1"
    )
    if busiest:
        intake.counts[f"{plan.name}_busiest_second"] = int(busiest[0][1])
        if busiest[0][1] >= _BURST:
            intake.note(f"{plan.name}: {count(busiest[0][1], 'row')} within the second {show_time(busiest[0][0])}.")


def _note_odd(plan: Ordered, intake: Intake) -> None:
    ((early, late, first, last),) = intake.rows(
        "SELECT count(*) FILTER (occurred_at < TIMESTAMP '1990-01-01'), count(*) FILTER (occurred_at >= TIMESTAMP "
        "'2100-01-01'), "
        f"min(occurred_at), max(occurred_at) FROM {quote(plan.name)}"
    )
    if early or late:
        intake.counts[f"{plan.name}_suspicious_times"] = int(early + late)
        intake.note(
            f"{plan.name}: {count(early + late, 'suspicious time')} (before 1990 or after 2100): "
            f"the first is {show_time(first)}, the last {show_time(last)}. All were loaded."
        )


def survey_ids(intake: Intake, has_id: bool) -> None:
    """Say whether event ids repeat or are missing; nothing in replaykit needs them to be unique."""
    if not has_id:
        intake.note("events: no id column; events are told apart by their position.")
        return
    ((rows, filled, kinds),) = intake.rows("SELECT count(*), count(event_id), count(kind) FROM events")
    distinct = "count(DISTINCT event_id)" if rows <= _EXACT else "approx_count_distinct(event_id)"
    ((different,),) = intake.rows(f"SELECT {distinct} FROM events")
    if filled < rows:
        intake.note(f"events: {count(rows - filled, 'row')} without an id.")
    if rows <= _EXACT and different < filled:
        intake.counts["events_repeated_ids"] = int(filled - different)
        intake.note(f"events: {filled:,} ids, only {different:,} different; an id alone does not name an event here.")
    if rows > _EXACT and different < 0.9 * filled:
        intake.note(
            f"events: {filled:,} ids, only about {different:,} different; an id alone does not name an event here."
        )
    if kinds < rows:
        intake.note(f"events: {count(rows - kinds, 'row')} without a kind.")
