"""Probe: a session that also sends what no replay sends, for the conformance check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from replaykit.errors import excerpt
from replaykit.external.exchange import event_fields, same_id
from replaykit.external.protocol import line_of, parsed
from replaykit.external.session import Session
from replaykit.external.values import as_time

if TYPE_CHECKING:
    from replaykit.external.edits import Edit
    from replaykit.inputs import Event

__all__ = ["Probe"]


class Probe(Session):
    """A program that is being checked."""

    def tried(self, event: Event) -> tuple[list[Edit], str]:
        """Apply an event and let the program roll it back; return what it changed, or said against it."""
        what = f"apply of event {excerpt(event.id)} ({event.kind}), to be rolled back"
        self._known.clear()
        self._state.now = event.occurred_at
        reply = self._ask("apply", {"now": as_time(event.occurred_at), "event": event_fields(event)}, what)
        edits = self._told(what, lambda: self._store.taken(reply))
        self._back(edits, what)
        return edits, str(reply.get("error", ""))

    def sent(self, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request of any kind, and return the reply as it is."""
        self._number += 1
        line = self._child.ask(line_of({"id": self._number, "type": kind, **given}), kind)

        def read() -> dict[str, Any]:
            reply = parsed(line)
            same_id(reply, self._number)
            return reply

        found: dict[str, Any] = self._told(kind, read)
        return found
