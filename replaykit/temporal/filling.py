"""Filling: answers for all ticks, put where a ticker would have put them one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from replaykit.declarations import Invariant, Rule
from replaykit.temporal.standing import emissions_of, episodes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replaykit.outcomes import Emission, Episode, TickRecord
    from replaykit.temporal.standing import Said
    from replaykit.temporal.ticks_table import Ticks
    from replaykit.ticks import Ticker

__all__ = ["fill"]


def fill(ticker: Ticker, said: Mapping[int, list[Said]], ticks: Ticks) -> None:
    """Add to a ticker's emissions, episodes and records what the rules it put off said, by their number."""
    emissions: list[Emission] = []
    places = {one.name: number for number, one in enumerate(ticker.declared) if isinstance(one, Invariant)}
    opened = [(one.opened[0], places[one.invariant.name], place, one) for place, one in enumerate(ticker.episodes)]
    episodes: list[Episode] = []
    for number, rows in said.items():
        declared = ticker.declared[number]
        if isinstance(declared, Rule):
            emissions += emissions_of(declared, (ticker.groups[number], number), rows, ticks)
        else:
            found = episodes_of(declared, rows, ticks)
            opened += [(tick, number, place, one) for tick, place, one in found]
            episodes += [one for _, _, one in found]
    if ticker.together:
        emissions = [one for one in emissions if one.tick not in ticker.failed_at]
    ticker.emissions += emissions
    ticker.episodes[:] = [one for *_, one in sorted(opened, key=lambda one: one[:3])]
    ticker.records[:] = _records(ticker.records, emissions, episodes, ticks)


def _records(
    records: list[TickRecord], emissions: list[Emission], episodes: list[Episode], ticks: Ticks
) -> list[TickRecord]:
    """Return the records with further actions and open violations counted, cut where their number changes."""
    actions: Counter[int] = Counter()
    open_: Counter[int] = Counter()
    for emission in emissions:
        actions[emission.tick] += 1
        actions[emission.tick + emission.repeats + 1] -= 1
    for episode in episodes:
        open_[episode.opened[0]] += 1
        open_[episode.last[0] + 1] -= 1
    marks = sorted({tick for counted in (actions, open_) for tick, change in counted.items() if change})
    interval = ticks.interval or timedelta()
    found: list[TickRecord] = []
    here, acted, violated = 0, 0, 0
    for record in records:
        start, until = record.tick, record.tick + record.repeats + 1
        while start < until:
            while here < len(marks) and marks[here] <= start:
                acted, violated = acted + actions[marks[here]], violated + open_[marks[here]]
                here += 1
            end = min(until, marks[here]) if here < len(marks) else until
            later = (start - record.tick) * interval
            found.append(
                replace(
                    record,
                    tick=start,
                    at=record.at + later,
                    actions=record.actions + acted,
                    violations=record.violations + violated,
                    repeats=end - start - 1,
                    checked_at=record.checked_at and record.checked_at + later,
                )
            )
            start = end
    return found
