"""The report of a load: what was read, what was put aside, and everything that was assumed on the way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """What a load did. Readable as text; it says what was assumed, not whether that was right."""

    read: int = 0
    """Rows read from the sources of events and logs, counted before they were looked at."""
    loaded: int = 0
    """Rows in ``events`` and the logs."""
    rejected: int = 0
    """Rows in ``rejects``, each with its place and reason; ``loaded + rejected = read``."""
    sources: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """For events and each log: read, loaded and rejected."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """How many rows were rejected for which reason."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Ties, steps back, truncated digits and other things that are counted."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Which source column plays which part."""
    notes: tuple[str, ...] = ()
    """Sentences about what was guessed, assumed or looked odd."""

    def __str__(self) -> str:
        lines = [f"{self.read:,} rows read = {self.loaded:,} loaded + {self.rejected:,} rejected"]
        for name, numbers in self.sources.items():
            lines.append(f"  {name}: {numbers['read']:,} = {numbers['loaded']:,} + {numbers['rejected']:,}")
        lines += [f"  rejected: {count:,} {reason}" for reason, count in self.reasons.items()]
        if self.roles:
            lines.append("columns: " + ", ".join(f"{role} = {column}" for role, column in self.roles.items()))
        lines += [f"- {note}" for note in self.notes]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return (
            f"Report({self.read:,} read, {self.loaded:,} loaded, {self.rejected:,} rejected, {len(self.notes)} notes)"
        )

    def _repr_html_(self) -> str:
        """Return the report as bounded, escaped HTML without script."""
        from html import escape

        lines = str(self).splitlines()
        shown = [line if len(line) <= 400 else line[:399] + "…" for line in lines[:60]]
        more = f"\n… {len(lines) - 60} more lines; print(report) shows all" if len(lines) > 60 else ""
        return f"<pre>{escape(chr(10).join(shown) + more)}</pre>"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, as the recording keeps it."""
        return {**asdict(self), "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """Return the report a recording keeps."""
        return cls(**{**values, "notes": tuple(values.get("notes", ()))})
