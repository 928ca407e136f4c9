"""Times as apps write them: read whatever the form, and written again in the form that is already there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from replaykit.display import is_empty

__all__ = ["read_time", "written_like"]

_EPOCH = datetime(1970, 1, 1)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?P<apart>[T ])\d{2}:\d{2}(:\d{2}([.,](?P<digits>\d+))?)?\s?(?P<zone>Z|z|UTC|[+-]\d{2}:?\d{2})?"
)
_UNITS = ((1e14, 1e-6), (1e11, 1e-3), (1e8, 1.0))
"""From which size on a number counts microseconds, milliseconds, seconds: each from 1973 on; below is no time."""
_DIGITS = 6


def read_time(value: Any) -> datetime | None:
    """Return what an app wrote as naive UTC; None if it is missing or no time. A datetime without a zone is UTC.

    Parameters
    ----------
    value
        ISO 8601 with ``T`` or a space, any number of digits, with Z, an offset or no zone (then UTC), or an epoch in
        seconds, milliseconds or microseconds, as a number or as text.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value):
            return _read_text(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return _naive(value) if isinstance(value, datetime) and not is_empty(value) else None
    try:
        number = float(value) if isinstance(value, float) or "." in str(value) else int(value)
        unit = _unit(number)
        return None if unit is None else _EPOCH + timedelta(microseconds=round(number * (unit * 1e6)))
    except (OverflowError, ValueError):
        return None


def _unit(number: float) -> float | None:
    return next((unit for least, unit in _UNITS if number >= least), None)


def _read_text(text: str) -> datetime | None:
    found = _ISO.fullmatch(text)
    try:
        moment = datetime.fromisoformat(_plain(text, found) if found else text)
        return _naive(moment)
    except (OverflowError, ValueError):
        return None


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment


def _plain(text: str, found: re.Match[str]) -> str:
    """Return ISO text with at most six digits, as `datetime.fromisoformat` reads it; digits beyond are cut."""
    digits, zone = found["digits"] or "", found["zone"] or ""
    body = text[: found.start("zone")].rstrip() if zone else text
    body = body[: len(body) - len(digits) + _DIGITS] if len(digits) > _DIGITS else body
    return body.replace(",", ".") + ("+00:00" if zone in ("Z", "z", "UTC") else zone)


def written_like(moment: datetime, sample: Any) -> Any:
    """Return a time in the form of another value of its column, so that the app can read it.

    Parameters
    ----------
    moment
        Naive UTC.
    sample
        What stands in the column: a number, text with a number, or ISO text. Anything else, None too, means ISO text
        with milliseconds and Z.
    """
    if isinstance(sample, bytes):
        sample = sample.decode("utf-8", "replace")
    text = sample.strip() if isinstance(sample, str) else None
    if isinstance(sample, (int, float)) and not isinstance(sample, bool):
        return _number_like(moment, sample)
    if text is not None and _NUMBER.fullmatch(text):
        return str(_number_like(moment, float(text) if "." in text else int(text)))
    return _text_like(moment, _ISO.fullmatch(text) if text is not None else None)


def _number_like(moment: datetime, sample: float) -> float:
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    per_unit = round((_unit(sample) or 1.0) * 1e6)
    return micros // per_unit if isinstance(sample, int) else micros / per_unit


def _text_like(moment: datetime, found: re.Match[str] | None) -> str:
    if found is None:
        return moment.isoformat(timespec="milliseconds") + "Z"
    digits, zone = found["digits"] or "", found["zone"] or ""
    fraction = f".{moment.microsecond:06d}"[: len(digits) + 1] if digits else ""
    zone = zone if zone in ("", "Z", "z", "UTC") else "+00:00" if ":" in zone else "+0000"
    apart = " " if zone == "UTC" else ""
    return moment.replace(microsecond=0).isoformat(found["apart"]) + fraction + apart + zone
