"""The table that is printed: one line for each comparison, with what was aimed at and whether it was met."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.measuring import Measured

__all__ = ["Line", "as_text", "peak_line"]

_PEAK = 1_500.0
_HEAD = ("benchmark", "size", "ours", "peer", "peer s", "ratio", "aim", "", "peak MB")


@dataclass(frozen=True)
class Line:
    """One comparison."""

    name: str
    size: str
    seconds: float | None
    peer: str
    peer_seconds: float | None
    ratio: float | None
    aim: str
    met: bool | None
    """None if it was not measured."""
    megabytes: float | None
    """Peak memory of our process, imports included."""

    @classmethod
    def faster(cls, name: str, size: str, ours: Measured, what: str, peer: Measured, aim: float) -> Line:
        """Return a line whose ratio says how many times as fast as the peer we are."""
        ratio = peer.seconds / ours.seconds
        return cls(name, size, ours.seconds, what, peer.seconds, ratio, f">= {aim:g}", ratio >= aim, ours.megabytes)

    @classmethod
    def at_most(cls, name: str, size: str, ours: Measured, what: str, peer: Measured, aim: float) -> Line:
        """Return a line whose ratio says how many times as long as the peer we take."""
        ratio = ours.seconds / peer.seconds
        return cls(name, size, ours.seconds, what, peer.seconds, ratio, f"<= {aim:g}", ratio <= aim, ours.megabytes)

    @classmethod
    def within(cls, name: str, size: str, ours: Measured, aim: float) -> Line:
        """Return a line without a peer."""
        met = ours.seconds < aim
        return cls(name, size, ours.seconds, "", None, None, f"< {aim * 1_000:g} ms", met, ours.megabytes)

    @classmethod
    def of_diff(cls, found: Mapping[str, Any], size: str, megabytes: float) -> Line:
        """Return a line of `benchmarks.bench_diff`, whose aims are text."""
        ratio = found["ratio"]
        sign, number, *rest = found["aim"].split(maxsplit=2)
        met = None if ratio is None else (ratio >= float(number) if sign == ">=" else ratio <= float(number))
        aim, note = f"{sign} {number}", "".join(rest)
        return cls(found["name"], size, found["seconds"], note, found["peer"], ratio, aim, met, megabytes)


def peak_line(lines: Iterable[Line]) -> Line:
    """Return the line about the highest peak of all."""
    peaks = [(line.megabytes, line.name) for line in lines if line.megabytes is not None]
    highest, name = max(peaks)
    return Line(f"highest peak: {name}", "", None, "", None, None, f"< {_PEAK:g} MB", highest < _PEAK, highest)


def as_text(lines: Iterable[Line]) -> str:
    """Return the table as text."""
    rows = [_HEAD, *(_cells(line) for line in lines)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    numbers = {2, 4, 5, 8}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _cells(line: Line) -> tuple[str, ...]:
    verdict = {True: "met", False: "MISSED", None: "not run"}[line.met]
    return (
        line.name, line.size, _seconds(line.seconds), line.peer, _seconds(line.peer_seconds),
        "" if line.ratio is None else f"{line.ratio:.2f}", line.aim, verdict,
        "" if line.megabytes is None else f"{line.megabytes:,.0f}",
    )  # fmt: skip


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value * 1_000:.1f} ms" if value < 0.1 else f"{value:.2f} s"
