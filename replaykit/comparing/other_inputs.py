"""Other inputs: what a question "what if" leaves out, edits or adds, found among the events that a replay applied."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from replaykit.altering import OtherInputs, placed
from replaykit.errors import QueryError, excerpt, show_time

if TYPE_CHECKING:
    from replaykit.replayed import Replay

__all__ = ["other_inputs", "positions_of"]


def other_inputs(run: Replay, skip: Any, edit: Any, add: Any) -> OtherInputs:
    """Return the inputs asked for, checked.

    Raises
    ------
    QueryError
        An event is not one that the replay applied, a column is unknown, or an added event could have no effect.
    """
    if isinstance(add, Mapping):
        add = [add]
    edits = {}
    for which, values in dict(edit or {}).items():
        for position in positions_of(run, which, what="edit"):
            edits[position] = _edited(run, position, values)
    adds = tuple(_added(run, one, number) for number, one in enumerate(add or (), 1))
    retraced = run.settings["actions"] == "recorded" and "applications" in run.recording.logs
    if retraced and (adds or any("occurred_at" in values for values in edits.values())):
        raise QueryError(
            "This replay applies events where the log of applications says, which knows nothing of an event that is "
            "added or moved. Replay with actions='collect' or 'apply', or skip and edit events where they are."
        )
    return OtherInputs(frozenset(positions_of(run, skip, what="skip")), edits, adds)


def positions_of(run: Replay, which: Any, *, what: str) -> list[int]:
    """Return the positions of events by id, by row of ``run.events`` or as numbers, one or several.

    Raises
    ------
    QueryError
        The replay applied no such event.
    """
    if which is None:
        return []
    if hasattr(which, "columns"):  # a DataFrame
        return [position for one in which["position"] for position in positions_of(run, int(one), what=what)]
    if isinstance(which, str):
        return _checked(run, "event_id", which, what)
    if isinstance(which, Mapping) or hasattr(which, "to_dict"):  # an Event, or a row of a frame
        return _checked(run, "position", int(which["position"]), what)
    if isinstance(which, Iterable):
        return [position for one in which for position in positions_of(run, one, what=what)]
    return _checked(run, "position", int(which), what)


def _checked(run: Replay, column: str, value: Any, what: str) -> list[int]:
    found = run.history.fetch(
        f"SELECT DISTINCT position FROM steps WHERE input = 'event' AND {column} = $value ORDER BY 1", {"value": value}
    )
    if not found:
        from replaykit.known import nearest_events

        told = nearest_events(run.history, value) if column == "event_id" else f"there is none at position {value}"
        raise QueryError(f"{what}: this replay applied no event {excerpt(value)}; {told}. See run.events.")
    return [row[0] for row in found]


def _edited(run: Replay, position: int, values: Any) -> Mapping[str, Any]:
    """Return an edit's columns; keys that a payload's edit does not name stay as they are."""
    if not isinstance(values, Mapping):
        raise QueryError(f"edit: expected a dict of columns and their new values, not {excerpt(values)}.")
    found = placed(run.recording, values, what=f"edit of the event at position {position}")
    if isinstance(values.get("payload"), Mapping):
        ((text,),) = run.recording._fetch("SELECT payload FROM events WHERE position = $at", {"at": position})
        before = json.loads(text) if text else {}
        if isinstance(before, dict):
            found["payload"] = json.dumps({**before, **values["payload"]}, ensure_ascii=False)
    return found


def _added(run: Replay, values: Any, number: int) -> Mapping[str, Any]:
    what = f"add, event {number}"
    if not isinstance(values, Mapping):
        raise QueryError(f"{what}: expected a dict of columns, not {excerpt(values)}.")
    found = placed(run.recording, values, what=what)
    missing = [name for name in ("occurred_at", "kind") if found.get(name) is None]
    if missing:
        raise QueryError(f"{what} names no {missing[0]!r}; it has {list(values)}.")
    base, end = run.plan.base.at, run.window.bounds()[1]
    if (base is not None and found["occurred_at"] <= base) or found["occurred_at"] >= end:
        after = "" if base is None else f" after the base of {show_time(base)} and"
        raise QueryError(
            f"{what} is of {show_time(found['occurred_at'])}, when it could have no effect; it must come{after} before "
            f"the window's end, {show_time(end)}."
        )
    return found
