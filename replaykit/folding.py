"""Folding: the short way through a batch of events, where nothing but handlers happens between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replaykit.errors import STOPPING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replaykit.engine import Engine
    from replaykit.inputs import Event

__all__ = ["FLUSH", "fold"]

FLUSH = 20_000
"""Changes kept in memory before they go into the history, at most."""


def fold(engine: Engine, events: Iterable[Event]) -> None:
    """Hand each event to its handler: what `Engine` does one by one, with everything looked up once.

    An event before which something else is due, or without a handler, takes the engine's own way.
    """
    state, handlers, changes = engine.state, engine.reconciler.handlers, engine.state.changes
    for event in events:
        at = event["occurred_at"]
        handler = handlers.get(event["kind"])
        if handler is None or at < engine.clock or at > engine._next_tick or not engine._inside:
            engine.input(event)
            continue
        engine.clock = state.now = at
        state.step += 1
        mark = len(changes)
        try:
            handler(state, event)
        except STOPPING:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever a handler raises is a finding
            engine.failed(handler, event, exc, mark)
        if mark >= FLUSH:
            engine.flush()
    engine.ordinal = state.step
