"""The SQL conditions a plan is made of, told from any others: a file may come from anybody, and these are run."""

from __future__ import annotations

import re
from typing import Any

from replaykit.errors import FormatError, excerpt

__all__ = ["check_condition"]

_CHOSEN = frozenset(
    f"position > $first AND occurred_at < $end AND {rest}" for rest in ("occurred_at >= $start", "$start IS NOT NULL")
)
"""What `replaykit.inputs.make_plan` writes."""
_RANGE = re.compile(r"position BETWEEN \d{1,18} AND \d{1,18}")
_BY_EVENT = "event_id NOT IN (SELECT event_id FROM events WHERE "


def check_condition(text: Any) -> str:
    """Return a condition if it is one that a plan has: which events are applied, or entries of a log.

    Raises
    ------
    FormatError
        It is any other.
    """
    if isinstance(text, str) and (_chooses(text) or _of_log(text)):
        return text
    raise FormatError(f"Its inputs were chosen by {excerpt(text)}, which no replay does.")


def _chooses(text: str) -> bool:
    """Return whether a condition is that of a plan, or of one from which some events were left out, once or often."""
    while text not in _CHOSEN:
        head, left_out, tail = text.rpartition(") AND NOT (")
        if not left_out or not head.startswith("(") or not _ranges(f"({tail}"):
            return False
        text = head[1:]
    return True


def _of_log(text: str) -> bool:
    """Return whether a condition leaves out entries of a log, by their place or by their event."""
    if text.startswith(_BY_EVENT):
        return text.endswith(")") and _ranges(text[len(_BY_EVENT) : -1])
    return text.startswith("NOT ") and _ranges(text[4:])


def _ranges(text: str) -> bool:
    """Return whether a text is what `replaykit.narrowing.ranges` writes of positions."""
    inner = text[1:-1]
    return text == f"({inner})" and (inner == "false" or all(map(_RANGE.fullmatch, inner.split(" OR "))))
