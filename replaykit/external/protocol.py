"""Protocol: the lines that are exchanged with a program, and the JSON Schema each reply is held against."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaykit.errors import excerpt
from replaykit.external.values import as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PROTOCOL", "SCHEMA", "Misbehaved", "line_of", "parsed", "shaped"]

PROTOCOL = 1
"""The version of the protocol this replaykit speaks."""
SCHEMA = Path(__file__).with_name("protocol.schema.json")
"""The JSON Schema of every request and reply."""


class Misbehaved(ValueError):  # noqa: N818 - what it did, not an error of ours
    """A program did what the protocol does not allow; the message says what, to be read after its name."""


def line_of(request: Mapping[str, Any]) -> bytes:
    """Return a request as a line of pure ASCII."""
    try:
        text = json.dumps(request, separators=(",", ":"), allow_nan=False)
    except ValueError:  # a payload may hold NaN, which JSON does not know
        text = json.dumps(as_json(request), separators=(",", ":"), allow_nan=False)
    return text.encode("ascii") + b"\n"


def parsed(line: bytes) -> dict[str, Any]:
    """Return the object in a line.

    Raises
    ------
    Misbehaved
        It is none.
    """
    try:
        found = json.loads(line)
    except ValueError as exc:
        raise Misbehaved(f"wrote {_shown(line)}, which is no JSON") from exc
    if not isinstance(found, dict):
        raise Misbehaved(f"wrote {_shown(line)}, which is no JSON object")
    return found


def _shown(line: bytes) -> str:
    return excerpt(line.decode("utf-8", "replace").rstrip("\n"))


def shaped(reply: dict[str, Any], request: str) -> dict[str, Any]:
    """Return a reply if it has the shape of replies to this type of request.

    Raises
    ------
    Misbehaved
        It has not; the message names the place.
    """
    check, failure = _check("refusal" if "error" in reply else f"{request}_reply")
    try:
        check(reply)
    except failure as exc:
        told = " ".join(str(exc).replace("data", "reply", 1).split())[:200]
        raise Misbehaved(f"gave a reply that does not fit the schema: {told}") from exc
    return reply


@lru_cache(maxsize=32)
def _check(name: str) -> tuple[Callable[[Any], Any], type[Exception]]:
    try:
        import fastjsonschema
    except ImportError as exc:
        raise ImportError("rk.external needs fastjsonschema: pip install 'replaykit[external]'") from exc
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    schema.pop("oneOf")
    return fastjsonschema.compile({**schema, "$ref": f"#/definitions/{name}"}), fastjsonschema.JsonSchemaException
