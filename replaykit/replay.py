"""replay(): run a reconciler over a window inside a transaction that always rolls back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from replaykit.errors import ReconcilerError, excerpt
from replaykit.inputs import make_plan
from replaykit.interrupt import told_apart
from replaykit.reconciler import reconciler_of
from replaykit.replayed import Replay
from replaykit.replaying import planned
from replaykit.schedule import schedule_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from replaykit.reconciler import Reconciler
    from replaykit.recording import Recording
    from replaykit.window import Window

__all__ = ["Replay", "replay", "unjudged"]

_HELD = 100_000  # events held in memory with the result


@told_apart
def replay(
    recording: Recording,
    reconciler: Reconciler | ModuleType,
    window: Window | None = None,
    *,
    ticks: Any = "end",
    actions: Literal["collect", "apply", "recorded"] = "collect",
    base: Any = "nearest",
    params: Mapping[str, Any] | None = None,
    on_error: Literal["raise", "undo", "keep"] = "raise",
) -> Replay:
    """Run a reconciler over one window, then undo everything it wrote.

    Inputs are applied in the recording's declared order, one step each, on a state that starts from `base`; events
    between the base and the window's start are applied first, without ticks. All writes share one transaction, which
    never commits.

    Parameters
    ----------
    reconciler
        The rules, or a module that holds them as `reconciler`, as ``replaykit.systems.gastown`` does.
    window
        Half-open ``[start, end)``, UTC, microseconds. None is the whole recording. May hold no event.
    ticks
        When rules and invariants are evaluated: ``"end"`` (once, at the window's end), ``"event"`` (after each event),
        a timedelta or text such as ``"5s"`` (multiples since the window's start; events at a tick's instant come
        first), ``"recorded"``. Stretches in which nothing can change are answered without being walked.
    actions
        ``"collect"`` only; ``"apply"`` through ``act`` handlers before the next tick; ``"recorded"``: the recorded
        actions and writes are applied at their recorded place.
    base
        ``"nearest"`` snapshot at or before the window's start, ``"empty"``, or a snapshot. One later than the start is
        allowed, and makes the verdict ``approximate``.
    params
        Parameters that differ from the reconciler's.
    on_error
        ``"raise"`` at the first handler that raises; ``"undo"`` or ``"keep"`` what that event wrote, list it in
        ``problems`` and go on.

    Returns
    -------
    Replay
        Rows are held in memory.

    Raises
    ------
    WindowError
        A bound is missing, unreadable, reversed or outside the recording.
    ReconcilerError
        The reconciler raised: ``__cause__`` is its error, ``.event`` and ``.step`` say where.
    IsolationError
        Replayed code tried to leave the transaction.

    Notes
    -----
    Source of the rollback rules: https://duckdb.org/docs/stable/sql/statements/transactions
    """
    run = unjudged(
        recording, reconciler, window, ticks=ticks, actions=actions, base=base, params=params, on_error=on_error
    )
    _ = run.verdict  # judged now, so that a repr asks nothing and a closed recording takes nothing away
    if run.plan.events <= _HELD:
        _ = run.events
    return run


def unjudged(
    recording: Recording,
    reconciler: Reconciler | ModuleType,
    window: Window | None = None,
    *,
    ticks: Any = "end",
    actions: str = "collect",
    base: Any = "nearest",
    params: Mapping[str, Any] | None = None,
    on_error: str = "raise",
) -> Replay:
    """Replay as `replay` does, for somebody who asks for no verdict: it is judged when it is first looked at."""
    given = reconciler_of(reconciler)
    twin = given.with_params(**params) if params else given.copy()
    _check_choices(actions=(actions, "collect apply recorded"), on_error=(on_error, "raise undo keep"))
    plan = make_plan(recording, window, base)
    return planned(recording, twin, plan, schedule_of(ticks, recording, plan), actions, on_error)


def _check_choices(**given: tuple[str, str]) -> None:
    for name, (value, choices) in given.items():
        if value not in choices.split():
            raise ReconcilerError(f"{name}={excerpt(value)}: expected one of {choices.split()}.")
