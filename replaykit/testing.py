"""Assertions for users' own tests: the same actions, no violations, and golden files with an approve step.

Golden files are approved by ``pytest --rk-approve``, and in no other way: a missing one fails too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, ReconcilerError, VerdictError, excerpt, show_time

if TYPE_CHECKING:
    from types import ModuleType

    from replaykit.comparing import Comparison
    from replaykit.reconciler import Reconciler
    from replaykit.recording import Recording
    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = ["assert_absent", "assert_golden", "assert_no_violations", "assert_same_actions", "fixture"]

_SHOWN = 10


def fixture(path: str | os.PathLike[str]) -> Recording:
    """Return the recording in a JSON file that ``run.to_test()`` wrote; see `replaykit.fixtures.fixture`."""
    from replaykit.fixtures import fixture as read

    return read(path)


def assert_absent(run: Replay, **shown: str) -> None:
    """Assert that a replay does not show something, at any time of its window.

    Parameters
    ----------
    shown
        ``invariant`` and ``entity`` of a violation; or ``rule``, ``kind`` and ``entity`` of an action.

    Raises
    ------
    VerdictError
        An AssertionError: it does. The message says where first.
    """
    __tracebackhide__ = True
    from replaykit.comparing.symptoms import rows_of

    if "entity" not in shown:
        raise QueryError(
            f"assert_absent(run, {excerpt(shown)}): expected invariant= and entity=, or rule=, kind= and entity=."
        )
    found = rows_of(run, shown)
    if len(found):
        told = ", ".join(f"{name} {value}" for name, value in shown.items())
        first = show_time(found["opened_at" if "invariant" in shown else "at"].iloc[0])
        raise VerdictError(f"The replay still shows it: {told}, {len(found)} times, first at {first}.")


def assert_same_actions(
    old: Reconciler | ModuleType, new: Reconciler | ModuleType, recordings: Any, **options: Any
) -> Comparison:
    """Assert that two reconcilers emit the same actions at the same ticks over one or many recordings.

    Parameters
    ----------
    recordings, options
        As for `replaykit.compare`: ``window``, ``ticks``, ``params``, ``executor``, ...

    Returns
    -------
    Comparison
        For further questions. States and violations may differ: its ``raise_for_differences()`` asserts them too.

    Raises
    ------
    VerdictError
        An AssertionError: some action differs, or a replay raised. The message has the comparison in one sentence, the
        first divergence, and a table of at most 10 differences.
    QueryError
        There is nothing to compare: no recording, no event or no tick.
    """
    __tracebackhide__ = True
    from replaykit.comparing import compare

    found = compare(recordings, old, new, **options)
    astray = [one for one in found if one.error or len(one.actions)]
    if astray:
        parts = [found.sentence, *([astray[0].error] if astray[0].error else [])]
        first = min((one for one in astray if one.first), key=lambda one: one.first.at, default=None)  # type: ignore[union-attr]
        parts += [str(first.first), _differing(first)] if first is not None else []
        raise VerdictError("\n\n".join(part for part in parts if part))
    return found


def _differing(case: Any) -> str:
    from replaykit.display import table_text

    columns = ["difference", "at", "ticks", "rule", "kind", "entity", "fields"]
    return table_text(case.actions, _SHOWN, columns=columns, more="rk.compare(...) has them all")


def assert_no_violations(
    recording_or_run: Recording | Replay,
    reconciler: Reconciler | ModuleType | None = None,
    window: Window | None = None,
    *,
    ticks: Any = "event",
    except_: Iterable[str] = (),
    **options: Any,
) -> Replay:
    """Assert that invariants hold at every tick, of a replay or of a recording that is replayed for it.

    Parameters
    ----------
    reconciler, window, ticks, options
        As for `replaykit.replay`, where a recording is given; a replay has its own.
    except_
        Names of invariants that may be broken.

    Returns
    -------
    Replay
        The replay, for further questions.

    Raises
    ------
    VerdictError
        An AssertionError that names the first violation; or an invariant raised, or none was asked at any tick.
    QueryError
        `except_` names no invariant.
    """
    __tracebackhide__ = True
    run = _run_of(recording_or_run, reconciler, window, {"ticks": ticks, **options})
    names = run.evaluation.loc[run.evaluation["declared"] == "invariant", "name"].tolist()
    spared = [except_] if isinstance(except_, str) else list(except_)
    unknown = [name for name in spared if name not in names]
    if unknown:
        raise QueryError(f"except_ names {unknown[0]!r}, which is no invariant; there are {names}.")
    asked = [name for name in names if name not in spared]
    if not asked or run.metrics.empty:
        why = "no tick was evaluated" if asked else "the reconciler has no other invariant"
        raise VerdictError(f"No invariant was asked: {why}, so that none could be broken. Check window= and ticks=.")
    broken = run.violations[run.violations["invariant"].isin(asked)]
    blind = run.problems[run.problems["handler"].isin(asked)]
    if len(broken):
        raise VerdictError(_violated(broken))
    if len(blind):
        first = blind.iloc[0]
        raise VerdictError(f"Invariant {first['handler']!r} raised {int(first['count']):,} times: {first['detail']}.")
    return run


def _run_of(given: Any, reconciler: Any, window: Any, options: dict[str, Any]) -> Replay:
    from replaykit.recording import Recording
    from replaykit.replay import replay
    from replaykit.replayed import Replay

    if isinstance(given, Replay):
        if reconciler is not None or window is not None or options != {"ticks": "event"}:
            raise ReconcilerError("A replay has its own reconciler, window and ticks; give the recording instead.")
        return given
    if not isinstance(given, Recording) or reconciler is None:
        raise ReconcilerError(f"Given {excerpt(given)}; expected a replay, or a recording and a reconciler.")
    return replay(given, reconciler, window, **options)


def _violated(broken: Any) -> str:
    from replaykit.display import count, table_text

    first = broken.iloc[0]
    lasted = f"at {count(int(first['ticks']), 'tick')}"
    told = f"{first['invariant']} for {first['entity']}, opened {show_time(first['opened_at'])}, {lasted}"
    columns = ["invariant", "entity", "opened_at", "ticks", "detail"]
    table = table_text(broken, _SHOWN, columns=columns, more="run.violations has them all")
    return f"{count(len(broken), 'violation')}; the first: {told}.\n\n{table}"


def assert_golden(run: Replay, path: str | os.PathLike[str]) -> None:
    """Assert that a replay gives what its golden file says: digests and counts by table, rule and invariant.

    The file is small JSON text for the repository; it holds no payload, no id and no entity. Who can guess a whole
    table can check the guess against its digest.

    Parameters
    ----------
    path
        The golden file, ``.json``. Relative to the working directory; ``Path(__file__).with_name(...)`` is not.

    Raises
    ------
    VerdictError
        An AssertionError that says which table, rule or invariant differs, and how to approve; or there is no file.
    FormatError
        The file is no golden file, or one of another version.
    """
    __tracebackhide__ = True
    from replaykit.golden import differences, golden_of, read_golden, write_golden

    place = Path(path).expanduser().absolute()
    found, approved = golden_of(run), _approved()
    try:
        differing = differences(read_golden(place), found) if place.exists() else ["there is no such file yet"]
    except ValueError as exc:  # FormatError: to approve is the way out of it
        if approved is None:
            raise
        differing = [str(exc)]
    if not differing:
        return
    if approved is None:
        listed = "\n".join(f"  {one}" for one in differing[: 2 * _SHOWN])
        more = f"\n  and {len(differing) - 2 * _SHOWN} more" if len(differing) > 2 * _SHOWN else ""
        raise VerdictError(
            f"The replay is not what {str(path)!r} says:\n{listed}{more}\nIf that is meant, approve it with "
            "pytest --rk-approve, and commit the file."
        )
    write_golden(place, found)
    approved.append(str(place))


def _approved() -> list[str] | None:
    """Return the list that approved files are added to; None unless pytest runs with ``--rk-approve``."""
    plugin = sys.modules.get("replaykit.pytest_plugin")
    found: list[str] | None = getattr(plugin, "approved", None)
    return found
