"""Noise in a town's events: container statuses that only repeat, folded into the first of their kind."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.errors import QueryError, excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["FOLDED_COLUMNS", "Folding", "folded"]

FOLDED_COLUMNS = ("folded", "folded_until")
"""The columns a folded table has more: how many events were folded into the row, and the time of the last."""

_NEEDED = ("event_type", "agent_id", "payload", "created_at", "processed_at")


@dataclass(frozen=True)
class Folding:
    """What folding took out of a table of events."""

    statuses: int
    """How many ``container_status`` events there were."""
    running: int
    """How many of them said ``running``, which changes nothing and the program does not record: left out."""
    folded: int
    """How many of them only repeated one before: left out, and counted there."""
    by_agent: Mapping[str, int] = field(default_factory=dict)
    """How many of both there were for each agent that had any, by its id."""

    @property
    def sentence(self) -> str:
        """What was done in one sentence, without anybody's ids."""
        kept = self.statuses - self.running - self.folded
        return (
            f"Of {count(self.statuses, 'container_status event')}, {self.running:,} that said running were skipped and "
            f"{self.folded:,} that repeated the one before were folded into it, from "
            f"{count(len(self.by_agent), 'agent')}; {kept:,} are left (columns folded, folded_until)."
        )


@dataclass
class _Run:
    """The newest status of one agent, and the row it is folded into."""

    place: int
    said: tuple[Any, Any]
    created: Any
    processed: Any
    alone: bool = True
    """Whether nothing else has been heard from the agent since."""


def folded(events: pd.DataFrame, *, gap: timedelta = timedelta(seconds=90)) -> tuple[pd.DataFrame, Folding]:
    """Take repeated container statuses out of a table of town events.

    While an agent's container is gone the alarm notes it again at every tick: one fact, hundreds of events. A status
    that says ``running`` is left out. Any other is folded into the status before it of the same agent if

    - that one was still pending when it came, and has the same ``status``: the program itself folds these; or
    - it says the same, came at most `gap` later, and nothing else was heard from the agent in between, neither another
      status, ``running`` included, nor any other event. Not so ``exited``: the first idles the agent, and an idle agent
      is not asked, so that a second one means that something happened in between.

    The first of them stays, where and as it was. For reading, not for exact replays: of several ``not_found`` the first
    may be ignored and a later one acted on, once the agent's last activity is 180 s old.

    Parameters
    ----------
    events
        Rows of ``town_events`` in drain order (``created_at``, then insertion), with ``event_type``, ``agent_id``,
        ``payload``, ``created_at`` and ``processed_at`` as the program has them. It is not changed.
    gap
        How far apart two ticks may be. The default covers the slowest: an alarm after 5 s, a status that times out
        after 10 s, a container start that is waited for 60 s.

    Returns
    -------
    DataFrame, Folding
        The rows that are left, in their order, with ``folded`` (how many further events a row stands for; 0) and
        ``folded_until`` (``created_at`` of the last of them); and what was taken out.

    Raises
    ------
    QueryError
        A column is missing, or the events are folded already.
    """
    import numpy as np

    _check(events)
    created, processed = (_times(events[name]) for name in ("created_at", "processed_at"))
    agents = [str(agent) if isinstance(agent, str) else None for agent in events["agent_id"]]
    rows = zip(events["event_type"], agents, events["payload"], created, processed, strict=True)
    into = np.arange(len(events))  # the row each is folded into; -1 for running
    runs: dict[str, _Run] = {}
    statuses = 0
    for place, (kind, agent, payload, came, drained) in enumerate(rows):
        said = _said(payload) if kind == "container_status" else (None, None)
        statuses += kind == "container_status"
        if said[0] == "running":
            into[place] = -1
        known = runs.get(agent) if agent is not None else None
        if said[0] in (None, "running") or agent is None:
            if known is not None:
                known.alone = False
        elif known is not None and _repeats(known, said, came, gap):
            into[place] = known.place
            known.created, known.processed = came, drained
        else:
            runs[agent] = _Run(place, said, came, drained)
    return _left(events, into), _account(agents, into, statuses)


def _check(events: pd.DataFrame) -> None:
    missing = [name for name in _NEEDED if name not in events.columns]
    if missing:
        raise QueryError(
            f"The events have no column {missing[0]!r}; folding needs {list(_NEEDED)}, and they have "
            f"{excerpt(list(events.columns))}."
        )
    if FOLDED_COLUMNS[0] in events.columns:
        raise QueryError("The events have a column 'folded': they were folded before. Fold the table they came from.")


def _times(values: pd.Series[Any]) -> Any:
    import pandas as pd

    return pd.to_datetime(values.astype("str"), format="ISO8601", errors="coerce", utc=True)


def _said(payload: Any) -> tuple[Any, Any]:
    """Return status and exit reason in a payload; None where there is none."""
    try:
        found = json.loads(payload) if isinstance(payload, str) else payload
    except ValueError:
        return None, None
    return (found.get("status"), found.get("exit_reason")) if isinstance(found, dict) else (None, None)


def _repeats(known: _Run, said: tuple[Any, Any], came: Any, gap: timedelta) -> bool:
    import pandas as pd

    if said[0] != known.said[0]:
        return False
    pending = pd.isna(known.processed) or known.processed > came
    again = said == known.said and said[0] != "exited" and came - known.created <= gap
    return bool(pending or (known.alone and again))


def _left(events: pd.DataFrame, into: Any) -> pd.DataFrame:
    """Return the rows that nothing took out, with the account of what was folded into each."""
    import numpy as np
    import pandas as pd

    places = np.arange(len(events))
    away = np.flatnonzero((into != places) & (into >= 0))
    last = pd.Series(away, index=into[away]).groupby(level=0).max()
    stays = into == places
    number = np.bincount(into[away], minlength=len(events))
    until = events["created_at"].iloc[last.to_numpy()].set_axis(last.index).reindex(places)
    kept: pd.DataFrame = events[stays].reset_index(drop=True)
    return kept.assign(folded=number[stays].astype("int64"), folded_until=until[stays].to_numpy())


def _account(agents: list[str | None], into: Any, statuses: int) -> Folding:
    taken = [agents[place] for place, target in enumerate(into) if target != place]
    by_agent = {agent: taken.count(agent) for agent in sorted({agent for agent in taken if agent is not None})}
    running = int((into == -1).sum())
    return Folding(statuses, running, len(taken) - running, by_agent)
