"""The error of the old way: what a window replayed on the live state would have claimed, beside what happened."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from replaykit.errors import show_time
from replaykit.replay import replay
from replaykit.sameness import identity
from replaykit.systems.gastown import endpoints
from replaykit.systems.gastown.calls import state_of
from replaykit.systems.gastown.reading import GastownError
from replaykit.systems.gastown.reconciler import reconciler
from replaykit.systems.gastown.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from replaykit.declarations import Action
    from replaykit.recording import Recording
    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = ["LiveReplayError", "live_replay_error"]

_COLUMNS = ["what", "entity", "column", "live_replay", "faithful"]
_EVENTS = (
    "SELECT event_id, kind AS event_type, agent_id, bead_id, payload, "
    "strftime(occurred_at, '%Y-%m-%dT%H:%M:%S.%gZ') AS created_at FROM events ORDER BY position"
)


@dataclass(frozen=True, repr=False, eq=False)
class LiveReplayError:
    """What a replay on the live state gets wrong. ``len()`` counts wrong cells and actions."""

    frame: pd.DataFrame
    """One row per wrong cell or action: ``what`` (agent, bead, action), ``entity``, ``column`` (``(row)``: one of the
    two does not have it), ``live_replay`` and ``faithful``; agents, beads, then actions, each in the order shown."""
    counts: pd.DataFrame
    """By ``what``: how many are ``wrong``, and how many either of the two ``claims`` at all."""
    run: Replay
    """The faithful replay."""
    live_at: Any
    """The moment of the live state, which was its clock as well."""
    recorded_actions: int
    """How many actions the program emitted in the window."""
    error: str | None
    """Why the old call gave no answer at all, if one event broke it."""

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        start, end = self.run.window.bounds()
        window = f"{show_time(start)} to {show_time(end)} replayed on the state of {show_time(self.live_at)}"
        if self.error is not None:
            return f"The window {window} gives no answer: {self.error}."
        parts = [f"{row.wrong:,} of {row.claims:,} {row.what}s" for row in self.counts.itertuples()]
        return (
            f"The window {window} is wrong about {', '.join(parts[:-1])} and {parts[-1]} at its end, and says nothing "
            f"of the {self.recorded_actions:,} actions in it."
        )

    def __repr__(self) -> str:
        return f"LiveReplayError({self.sentence})"

    def _repr_html_(self) -> str:
        from replaykit.display import table_html

        head = f"<p>{escape(self.sentence)}</p>" + table_html(self.counts, caption="How much is wrong")
        return head + table_html(self.frame, caption="What is wrong", limit=30, more=".frame")


def live_replay_error(recording: Recording, window: Window, *, live: int = -1) -> LiveReplayError:
    """Compare the program's own replay of a window, on top of the live state, with a faithful one.

    Both apply the window's events and reconcile once. The program does so on the live state and at the present clock;
    the faithful replay starts before the window, applies everything that was logged, and reconciles at its end.

    Parameters
    ----------
    window
        Half-open; the program's closed bounds hold the same events, since nothing is logged at the end itself.
    live
        Number of the snapshot that stands for the live state; the last by default.

    Raises
    ------
    WindowError, QueryError, ReconcilerError
        As `replaykit.replay`.
    """
    import pandas as pd

    run = replay(recording, reconciler, window, ticks="end", actions="recorded", on_error="keep")
    snapshot = recording.snapshot(live)
    claimed, error = _claimed(recording, run, snapshot)
    agents = endpoints.agents_now(run.after["agent_metadata"])
    beads = endpoints.beads_now(run.after["beads"])
    compared = [
        _rows("agent", claimed["stateSnapshot"]["agents"], _records(agents)),
        _rows("bead", claimed["stateSnapshot"]["nonTerminalBeads"], _records(beads)),
        _actions(claimed["actions"], run),
    ]
    found = [row for rows, _, _ in compared for row in rows]
    counts = pd.DataFrame(
        [(what, wrong, claims) for what, (_, wrong, claims) in zip(("agent", "bead", "action"), compared, strict=True)],
        columns=["what", "wrong", "claims"],
    )
    return LiveReplayError(
        pd.DataFrame(found, columns=_COLUMNS), counts, run, snapshot.at, _recorded(recording, run), error
    )


def _recorded(recording: Recording, run: Replay) -> int:
    start, end = run.window.bounds()
    query = "SELECT count(*) FROM actions WHERE occurred_at >= $start AND occurred_at < $end"
    return int(recording._fetch(query, {"start": start, "end": end})[0][0])


def _claimed(recording: Recording, run: Replay, snapshot: Any) -> tuple[dict[str, Any], str | None]:
    """Return what the program's call would answer, and why it would not if an event breaks it."""
    start, end = run.window.bounds()
    events = recording._frame(_EVENTS).astype(object)
    rows: list[Any] = events.where(events.notna(), None).to_dict("records")
    first, last = iso(start), iso(end)
    inside = [row for row in rows if first <= row["created_at"] < last]
    state = state_of(snapshot)
    try:
        return endpoints.replay_events(state, reconciler, inside, first, last, snapshot.at), None
    except GastownError as error:
        return {"actions": [], "stateSnapshot": {"agents": [], "nonTerminalBeads": []}}, str(error)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object)
    rows: list[Any] = plain.where(plain.notna(), None).to_dict("records")
    return rows


def _rows(
    what: str, live: Iterable[Mapping[str, Any]], faithful: Iterable[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], int, int]:
    """Return wrong cells, how many entities have one, and how many entities there are on either side."""
    mine = {row["bead_id"]: row for row in faithful}
    theirs = {row["bead_id"]: row for row in live}
    found = []
    for entity in dict.fromkeys([*mine, *theirs]):
        for column, claimed, real in _cells(theirs.get(entity), mine.get(entity)):
            found.append(dict(zip(_COLUMNS, (what, entity, column, claimed, real), strict=True)))
    return found, len({row["entity"] for row in found}), len({*mine, *theirs})


def _cells(live: Mapping[str, Any] | None, faithful: Mapping[str, Any] | None) -> Iterator[tuple[str, Any, Any]]:
    if live is None or faithful is None:
        yield "(row)", None if live is None else "there", None if faithful is None else "there"
        return
    for column, value in faithful.items():
        if live[column] != value:
            yield column, live[column], value


def _actions(live: Sequence[Action], run: Replay) -> tuple[list[dict[str, Any]], int, int]:
    """Return actions only one side emits, each as often as it does; how many, and how many there are in all."""
    claimed = [(one.kind, one.fields) for one in live]
    real = [(kind, fields) for _, kind, fields, _ in run.emitted]
    mine, theirs = (Counter(identity(*one) for one in side) for side in (real, claimed))
    found = [
        *_only(real, mine - theirs, "faithful"),
        *_only(claimed, theirs - mine, "live_replay"),
    ]
    return found, len(found), (mine | theirs).total()


def _only(
    side: Iterable[tuple[str, Mapping[str, Any]]], surplus: Counter[str], column: str
) -> Iterator[dict[str, Any]]:
    for kind, fields in side:
        text = identity(kind, fields)
        if surplus[text] > 0:
            surplus[text] -= 1
            entity = "/".join(str(value) for name, value in fields.items() if name.endswith("_id") and value)
            told = ", ".join(f"{name}={value}" for name, value in fields.items() if not name.endswith("_id"))
            yield {"what": "action", "entity": entity, "column": kind, column: told or "emitted"}
