"""Other inputs: what a question "what if" leaves out, edits or adds, found among the events that a replay applied."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

from replaykit.altering import OtherInputs, placed
from replaykit.errors import QueryError, excerpt, show_time
from replaykit.inputs import source_names

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
    skipped = frozenset(positions_of(run, skip, what="skip"))
    edits = _edits(run, edit)
    twice = skipped & edits.keys()
    if twice:
        raise QueryError(f"The event at position {min(twice)} is in skip= and in edit=; name it in one of them.")
    adds = tuple(_added(run, one, number) for number, one in enumerate(_listed(add), 1))
    retraced = run.settings["actions"] == "recorded" and "applications" in run.recording.logs
    if retraced and (adds or any("occurred_at" in values for values in edits.values())):
        raise QueryError(
            "This replay applies events where the log of applications says, which knows nothing of an event that is "
            "added or moved. Replay with actions='collect' or 'apply', or skip and edit events where they are."
        )
    return OtherInputs(skipped, edits, adds)


def _edits(run: Replay, edit: Any) -> dict[int, Mapping[str, Any]]:
    if not isinstance(edit, (Mapping, type(None))):
        raise QueryError(f"edit={excerpt(edit)}: expected a dict of events to columns and their new values.")
    found: dict[int, Mapping[str, Any]] = {}
    for which, values in (edit or {}).items():
        for position in positions_of(run, which, what="edit"):
            if position in found:
                raise QueryError(f"edit names the event at position {position} twice; put its columns together.")
            found[position] = _edited(run, position, values)
    return {position: values for position, values in found.items() if values}


def _listed(add: Any) -> list[Any]:
    if add is None:
        return []
    if hasattr(add, "columns"):  # a DataFrame
        return list(add.to_dict("records"))
    if isinstance(add, Mapping) or not isinstance(add, Iterable) or isinstance(add, (str, bytes)):
        return [add]
    return [add.to_dict()] if hasattr(add, "to_dict") else list(add)


def positions_of(run: Replay, which: Any, *, what: str) -> list[int]:
    """Return the positions of events by id, by row of ``run.events`` or as numbers, one or several.

    Raises
    ------
    QueryError
        The replay applied no such event, or it is none of these.
    """
    if which is None:
        return []
    if isinstance(which, str):
        return _checked(run, "event_id", which, what)
    if isinstance(which, bool) or not isinstance(which, (Integral, Iterable)) or isinstance(which, (bytes, bytearray)):
        raise QueryError(f"{what}={excerpt(which)}: expected ids of events, rows of run.events, or positions.")
    if isinstance(which, Integral):
        return _checked(run, "position", int(which), what)
    position = _position(which)
    if position is not None:
        return _checked(run, "position", position, what)
    frame: Any = which
    several = frame["position"] if hasattr(frame, "columns") and "position" in frame.columns else frame
    if isinstance(several, Mapping) or hasattr(several, "columns"):
        raise QueryError(f"{what}={excerpt(which)} has no position; expected a row of run.events, or an event's id.")
    return [one for each in several for one in positions_of(run, each, what=what)]


def _position(row: Any) -> int | None:
    """Return the position in an Event, or in a row of a frame; None if it is no such thing."""
    if hasattr(row, "_fields"):  # of itertuples
        return getattr(row, "position", None)
    if isinstance(row, Mapping) or (hasattr(row, "index") and hasattr(row, "to_dict") and not hasattr(row, "columns")):
        found = row.get("position")
        return None if found is None else int(found)
    return None


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
    what = f"edit of the event at position {position}"
    ((time, text),) = run.recording._fetch(
        "SELECT occurred_at, payload FROM events WHERE position = $at", {"at": position}
    )
    names = source_names(run.recording)
    own: dict[str, Any] = {names.get(str(name), str(name)): value for name, value in values.items()}
    if isinstance(own.get("payload"), Mapping):
        before = json.loads(text) if text else {}
        own["payload"] = {**before, **own["payload"]} if isinstance(before, dict) else own["payload"]
    found = placed(run.recording, own, what=what)
    missing = [name for name in ("occurred_at", "kind") if name in found and found[name] is None]
    if missing:
        raise QueryError(f"{what} takes its {missing[0]!r} away; an event has to have one. To leave it out, skip it.")
    # A sequence orders events whatever their times say.
    if found.get("occurred_at") not in (None, time) and run.recording._meta["order"] == "time":
        _check_reached(run, found["occurred_at"], what)
    return found


def _added(run: Replay, values: Any, number: int) -> Mapping[str, Any]:
    what = f"add, event {number}"
    if not isinstance(values, Mapping):
        raise QueryError(f"{what}: expected a dict of columns, not {excerpt(values)}.")
    found = placed(run.recording, values, what=what)
    missing = [name for name in ("occurred_at", "kind") if found.get(name) is None]
    if missing:
        raise QueryError(f"{what} names no {missing[0]!r}; it has {list(values)}.")
    _check_reached(run, found["occurred_at"], what)
    return found


def _check_reached(run: Replay, time: Any, what: str) -> None:
    """Raise if an event of a time could have no effect."""
    base, end = run.plan.base.at, run.window.bounds()[1]
    if (base is not None and time <= base) or time >= end:
        after = "" if base is None else f" after the base of {show_time(base)} and"
        raise QueryError(
            f"{what} is of {show_time(time)}, when it could have no effect; it must come{after} before the window's "
            f"end, {show_time(end)}."
        )
