"""Exchange: the first words with a program, and what goes into a request and comes out of a reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from replaykit.errors import excerpt
from replaykit.external.program import Hello
from replaykit.external.protocol import PROTOCOL, Misbehaved, line_of, parsed, shaped
from replaykit.external.values import as_json, as_time

if TYPE_CHECKING:
    from replaykit.external.child import Child
    from replaykit.external.program import Program
    from replaykit.inputs import Event

__all__ = ["event_fields", "greeted", "reply_in", "same_id", "shortened"]

_ROLES = ("position", "occurred_at", "kind", "event_id", "payload")


def greeted(child: Child, program: Program) -> tuple[Hello, dict[str, Any]]:
    """Say hello; return what the program says about itself.

    Raises
    ------
    ExternalError
        It speaks another protocol, or not at all.
    """
    request = {"id": 1, "type": "hello", "protocol": PROTOCOL, "state": program.state}
    try:
        reply = parsed(child.ask(line_of(request), "hello"))
        spoken = reply.get("protocol")
        if "error" not in reply and spoken != PROTOCOL:
            raise Misbehaved(f"speaks protocol {excerpt(spoken)}; this replaykit speaks {PROTOCOL}")
        same_id(reply, 1)
        shaped(reply, "hello")
        if "error" in reply:
            raise Misbehaved(f"refused ({excerpt(reply['error'])})")
    except Misbehaved as exc:
        raise child.failure(str(exc), "hello") from exc
    return Hello.of(reply, program), reply


def shortened(text: str) -> str:
    """Return what a program said, of a length that an error may quote."""
    return text if len(text) <= 500 else text[:499] + "…"


def reply_in(line: bytes, kind: str, number: int) -> dict[str, Any]:
    """Return the reply in a line, of the right id and shape; otherwise it is `Misbehaved`."""
    reply = parsed(line)
    same_id(reply, number)
    return shaped(reply, kind)


def same_id(reply: Mapping[str, Any], number: int) -> None:
    """Raise `Misbehaved` if a reply is to another request."""
    if reply.get("id") != number:
        raise Misbehaved(f"answered with id {excerpt(reply.get('id'))}; the request had id {number}")


def event_fields(event: Event) -> dict[str, Any]:
    """Return an event as an apply request carries it."""
    others = {name: as_json(value) for name, value in event.items() if name not in _ROLES}
    return {
        "kind": event.kind,
        "id": event.id,
        "occurred_at": as_time(event.occurred_at),
        "position": event["position"],
        "payload": event.payload,
        "columns": others,
    }
