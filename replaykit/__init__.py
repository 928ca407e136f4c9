"""Replay an incident through the system's own rules, and ask what happened, why, and whether the answer can be trusted.

The story of one event through the house:

    files, frames, SQLite
            |  sources/       read, name the columns, check, mask; what can't be read is put aside
            v
        Recording             events, snapshots and logs in one sealed DuckDB file (recording.py, snapshot.py)
            |  findings/      unexplained, latest, as_of, rewind, check, episodes, story: no reconciler needed
            |  replay.py      a Window (window.py), a Reconciler (reconciler.py), a base (inputs.py)
            v
        rolled_back()         the one transaction, which never commits (rollback.py); guarded SQL (sql.py, audit.py)
            |  engine.py      inputs one by one; handlers write State (state.py, rows.py); projections.py in bulk
            |  ticks.py       rules and invariants at every tick; clock.py lets stretches without events cost nothing
            |  temporal/      SQL rules put off and answered for all ticks at once, where nothing depends on them
            |  external/      rules that are a program in any language, asked line by line in a process of its own
            |  retracing.py   production's own inputs and ticks in its own order (recorded.py, recorded_ticks.py)
            v
        History               every version of every row, with the step that caused it (history.py); moment.py, blame.py
            v
        Replay                actions, violations, problems, diff, at(x) (replayed.py, results.py); its verdict.py
            |  questions.py   what it is asked: first, when (whens.py); why and why not a rule acted (reasons/)
        diff/, determinism/, plots.py
            |  comparing/     two reconcilers, or two courses of a window, side by side: where they part, and why
            |  saving/        one file of all of it, open again years later; content.py is a recording's digest
            |  views/         tables of a recording or a replay; looks.py, focus.py, histogram.py
        widgets/          the explorer, which shows those, and the card of clawcut's jobs

``replaying.py`` is one replay from base to result (typed_tables.py: its tables), ``workspace.py`` its SQL side,
``connection.py`` opens DuckDB, ``verdict.py``, ``divergence.py`` and ``verification.py`` say how far to trust it,
``violations.py`` and ``measured.py`` what a tick found and counted, ``display.py`` shows tables, ``errors.py`` holds
the error tree, ``systems/`` the reconcilers that ship. ``dialects/`` translates SQL of SQLite and PostgreSQL,
``testing.py`` has assertions for users' tests (golden.py, pytest_plugin.py), ``fingerprint.py`` the digests by which
histories are told to be equal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from replaykit import testing as testing
from replaykit.comparing import Case, Comparison, compare
from replaykit.declarations import Action, Table
from replaykit.diff import Diff, GrossDiff, TablesDiff, diff
from replaykit.errors import (
    ExternalError,
    FormatError,
    GuardError,
    IsolationError,
    KeyDiffError,
    LoadError,
    OperationError,
    QueryError,
    ReconcilerError,
    ReplayKitError,
    StateError,
    VerdictError,
    WindowError,
)
from replaykit.external import external
from replaykit.findings import as_of, latest, rewind, unexplained
from replaykit.history import History
from replaykit.inputs import Event
from replaykit.moment import Moment
from replaykit.reconciler import Reconciler
from replaykit.recording import Recording
from replaykit.recording import open_recording as open
from replaykit.replay import replay
from replaykit.replayed import Replay
from replaykit.saving import open_run
from replaykit.snapshot import RecordedSnapshot, Snapshot
from replaykit.sources import Log, load, per_kind, sqlite
from replaykit.state import State
from replaykit.touched import Touched
from replaykit.verdict import Verdict
from replaykit.verification import Verification, verify
from replaykit.whens import FirstTime, Times
from replaykit.window import Window

if TYPE_CHECKING:
    from types import ModuleType

    from replaykit.widgets.explorer import Explorer

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Case",
    "Comparison",
    "Diff",
    "Event",
    "ExternalError",
    "FirstTime",
    "FormatError",
    "GrossDiff",
    "GuardError",
    "History",
    "IsolationError",
    "KeyDiffError",
    "LoadError",
    "Log",
    "Moment",
    "OperationError",
    "QueryError",
    "Reconciler",
    "ReconcilerError",
    "RecordedSnapshot",
    "Recording",
    "Replay",
    "ReplayKitError",
    "Snapshot",
    "State",
    "StateError",
    "Table",
    "TablesDiff",
    "Times",
    "Touched",
    "Verdict",
    "VerdictError",
    "Verification",
    "Window",
    "WindowError",
    "as_of",
    "compare",
    "diff",
    "explore",
    "external",
    "latest",
    "load",
    "open",
    "open_run",
    "per_kind",
    "replay",
    "rewind",
    "sqlite",
    "unexplained",
    "verify",
]


def explore(
    recording: Recording,
    reconciler: Reconciler | ModuleType | None = None,
    *,
    window: Window | None = None,
    names: tuple[str, str] | None = None,
    **options: object,
) -> Explorer:
    """Return an explorer: choose a window by hand, replay it, look at it from every side, copy what is seen as code.

    Parameters
    ----------
    reconciler
        The rules to replay, or a module that holds them. None only looks at what was recorded.
    window
        The window to begin with; None is the whole recording.
    names
        What your code calls the recording and the reconciler, for the code that the explorer shows; None looks for
        them among the caller's variables.
    options
        Further arguments of `replay`: ``ticks``, ``actions``, ``base``, ``params``, ``on_error``.

    Returns
    -------
    Explorer
        Display it as the last line of a cell. Its ``window``, ``focus``, ``view``, ``run`` and ``code`` are plain
        values; see `replaykit.widgets.explorer.Explorer`.

    Raises
    ------
    ImportError
        ipywidgets is not installed; the message says what to install.
    """
    try:
        from replaykit.widgets.calls import names_in
        from replaykit.widgets.explorer import Explorer
    except ImportError as exc:
        raise ImportError("rk.explore needs ipywidgets: pip install 'replaykit[notebook]'") from exc
    if names is None:
        caller = sys._getframe(1)
        names = names_in({**caller.f_globals, **caller.f_locals}, recording, reconciler)
    return Explorer(recording, reconciler, window=window, names=names, **options)
