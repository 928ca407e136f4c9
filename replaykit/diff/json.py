"""JSON compared by path: neither the order of keys nor the spelling of a number matters, and absent is not null."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final, final

from replaykit.diff.columns import canonical

__all__ = ["ABSENT", "Absent", "canonical_json", "json_changes"]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@final
class Absent:
    """The value of a JSON path that is not there, which is not null. Use the one instance, `ABSENT`."""

    def __repr__(self) -> str:
        return "absent"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


class _RepeatedKeyError(ValueError):
    """An object names a key twice, so that no path tells its values apart."""


def json_changes(before: str | None, after: str | None, root: str) -> list[tuple[str, object, object]]:
    """Return (path, before, after) of every value that differs between two JSON texts, in order of the paths.

    Text that is not JSON, or whose objects repeat a key, is compared as text, under the path `root`.
    """
    if before is None or after is None:
        return [] if before is after else [(root, before, after)]
    changes: list[tuple[str, object, object]] = []
    try:
        _compare(_parsed(before), _parsed(after), root, changes)
    except (ValueError, RecursionError):
        return [] if before == after else [(root, before, after)]
    return changes


def _parsed(text: str) -> Any:
    # Decimals keep every digit, so that a change beyond the 17th is seen.
    return json.loads(text, parse_float=Decimal, object_pairs_hook=_object, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are no JSON, and NaN would differ from itself


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _RepeatedKeyError
    return result


def _compare(left: Any, right: Any, path: str, changes: list[tuple[str, object, object]]) -> None:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted(left.keys() | right.keys()):
            _compare(left.get(key, ABSENT), right.get(key, ABSENT), path + _step(key), changes)
    elif isinstance(left, list) and isinstance(right, list):
        for place in range(max(len(left), len(right))):
            old = left[place] if place < len(left) else ABSENT
            new = right[place] if place < len(right) else ABSENT
            _compare(old, new, f"{path}[{place}]", changes)
    # Python holds True equal to 1, JSON does not.
    elif left != right or isinstance(left, bool) != isinstance(right, bool):
        changes.append((path, _shown(left), _shown(right)))


def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key)}]"


def _shown(value: Any) -> object:
    """Return a scalar as itself, a container as JSON text."""
    if isinstance(value, Decimal):
        short = float(value)
        return short if Decimal(repr(short)) == value else value
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, default=float)
    return value


def canonical_json(text: str | None) -> str | None:
    """Return a text that equal JSON values share; what is no JSON stays as it is."""
    if text is None:
        return None
    try:
        return canonical(_parsed(text))
    except (ValueError, RecursionError):
        return text
