"""Problems: what did not go as the reconciler's author meant, counted instead of lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from replaykit.errors import ReconcilerError, excerpt, show_time

if TYPE_CHECKING:
    from datetime import datetime

    from replaykit.inputs import Event

__all__ = ["UNHANDLED", "Problem", "Problems"]

UNHANDLED = "no handler, projection or ignore() names this kind"


@dataclass(frozen=True)
class Problem:
    """Something that did not go as the reconciler's author meant; ``count`` times in all."""

    problem: str
    kind: str | None
    handler: str | None
    step: int | None
    position: int | None
    event_id: str | None
    detail: str
    count: int = 1


class Problems:
    """The problems of one replay: one for each problem, kind and handler, the first with its place, all counted.

    With ``on_error="raise"`` the first error of the reconciler's own code is raised instead.
    """

    def __init__(self, reconciler: str, on_error: str) -> None:
        self.found: dict[tuple[str, str | None, str | None], Problem] = {}
        self._reconciler = reconciler
        self._on_error = on_error

    def add(self, one: Problem) -> None:
        """Count a problem."""
        identity = (one.problem, one.kind, one.handler)
        known = self.found.get(identity)
        self.found[identity] = one if known is None else replace(known, count=known.count + one.count)

    def unhandled(self, event: Event, step: int) -> None:
        """Count an event of a kind that nobody handles."""
        self.add(Problem("unhandled kind", event.kind, None, step, event["position"], event.id, UNHANDLED))

    def handler_raised(self, handler: Any, event: Event, step: int, exc: Exception) -> None:
        """Raise a handler's error with its place, or count it.

        Raises
        ------
        ReconcilerError
            ``on_error`` is ``"raise"``.
        """
        name = getattr(handler, "__qualname__", repr(handler))
        if self._on_error == "raise":
            raise ReconcilerError(
                f"Reconciler {self._reconciler!r}: {name} raised {excerpt(exc)} at step {step}, event "
                f"{excerpt(event.id)} of kind {excerpt(event.kind)} (position {event['position']}, "
                f"{show_time(event.occurred_at)}). Replay on with on_error='undo' or 'keep' to see it in run.problems.",
                event=event,
                step=step,
                handler=name,
            ) from exc
        what = "raised, changes undone" if self._on_error == "undo" else "raised, changes kept"
        detail = f"{type(exc).__name__}: {excerpt(str(exc))}"
        self.add(Problem(what, event.kind, name, step, event["position"], event.id, detail))

    def rule_raised(self, what: str, name: str, step: int, at: datetime, exc: Exception) -> None:
        """Raise a rule's or invariant's error with its place, or count it; errors as `handler_raised`."""
        if self._on_error == "raise":
            raise ReconcilerError(
                f"Reconciler {self._reconciler!r}: {what} raised {excerpt(exc)} at {show_time(at)}, after step {step}.",
                step=step,
                handler=name,
            ) from exc
        self.add(Problem("rule raised", None, name, step, None, None, f"{type(exc).__name__}: {excerpt(str(exc))}"))
