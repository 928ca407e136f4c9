"""Folding: the short way through a batch of events, where nothing but handlers happens between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replaykit.errors import IsolationError

if TYPE_CHECKING:
    from replaykit.engine import Engine
    from replaykit.inputs import Event

__all__ = ["FLUSH", "fold"]

FLUSH = 200_000
"""Changes kept in memory before they go into the history."""


def fold(engine: Engine, batch: list[Event]) -> None:
    """Hand each event to its handler: what `Engine` does one by one, with everything looked up once."""
    state, clock, step = engine.state, engine.clock, engine.state.step
    handlers, changes = engine.reconciler.handlers, engine.state.changes
    for event in batch:
        at = event["occurred_at"]
        if at > clock:  # noqa: PLR1730 - max() would be a call for each event
            clock = at
        step += 1
        state.step = step
        state.now = clock
        handler = handlers.get(event["kind"])
        if handler is None:
            engine.unhandled(event)
            continue
        mark = len(changes)
        try:
            handler(state, event)
        except IsolationError:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever a handler raises is a finding
            engine.failed(handler, event, exc, mark)
        if mark >= FLUSH:
            engine.flush()
    engine.clock = clock
    engine.ordinal += len(batch)
