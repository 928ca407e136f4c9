"""Whether a row that a rule did not find was there before or came later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.errors import show_time
from replaykit.rows import plain
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from replaykit.reasons.scene import Scene

__all__ = ["around", "was_there"]


def around(scene: Scene, table: str, values: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the last step before a tick that ended a row with these values, and the first after it that begins one."""
    history = scene.run.history
    conditions = " AND ".join(f"v.{quote(name)} = $v{number}" for number, name in enumerate(values))
    parameters = {f"v{number}": plain(value) for number, value in enumerate(values.values())}
    query = (
        "SELECT max(v.valid_to) FILTER (v.valid_to <= $step), min(v.valid_from) FILTER (v.valid_from > $step) "
        f"FROM history.{quote(table)} v WHERE {conditions} AND v.valid_from IS DISTINCT FROM v.valid_to"
    )
    try:
        ended, begins = history.fetch(query, {**parameters, "step": scene.step})[0]
    except (duckdb.Error, UnicodeEncodeError):  # a value no column of that type compares with
        return None, None
    return ended, begins


def was_there(scene: Scene, table: str, values: Mapping[str, Any]) -> tuple[str, datetime | None]:
    """Return what to say of rows with these values at other times, and since when there has been none."""
    ended, begins = around(scene, table, values)
    asked = {"ended": ended, "begins": begins}
    steps = scene.run.history.fetch("SELECT step, applied_at FROM steps WHERE step IN ($ended, $begins)", asked)
    clocks = dict(steps)
    if ended is not None:
        return f"; until step {ended:,}, {show_time(clocks.get(ended))}, one had", clocks.get(ended)
    if begins is not None:
        return f"; from step {begins:,}, {show_time(clocks.get(begins))}, one has", None
    return "", None
