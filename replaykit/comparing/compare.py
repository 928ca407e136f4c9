"""compare(): two reconcilers over one or many recordings and windows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaykit.comparing.changed_rules import changed_rules
from replaykit.comparing.comparison import Comparison
from replaykit.comparing.jobs import Job, run_here, sent, unpacked_and_run
from replaykit.comparing.outcomes import checked_outcomes
from replaykit.errors import QueryError, excerpt, show_time
from replaykit.progress import Progress
from replaykit.reconciler import reconciler_of
from replaykit.recording import Recording, open_recording
from replaykit.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor
    from types import ModuleType

    from replaykit.comparing.cases import Case
    from replaykit.reconciler import Reconciler

__all__ = ["compare"]

_OPTIONS = ("ticks", "actions", "base", "params", "on_error")

Recordings = "Recording | str | Path | Sequence[Recording | str | Path] | Mapping[str, Recording | str | Path]"


def compare(
    recordings: Any,
    old: Reconciler | ModuleType,
    new: Reconciler | ModuleType,
    window: Window | Sequence[Window] | None = None,
    *,
    outcomes: Mapping[str, Callable[[Any], Any]] | None = None,
    executor: Executor | None = None,
    **options: Any,
) -> Comparison:
    """Replay recordings with two reconcilers, and say where what they do differs.

    Actions are aligned by rule, kind and key, not by row number; an action that stands over neighbouring ticks is one.
    States are compared at all times, violations as episodes.

    Parameters
    ----------
    recordings
        A recording, the path of a saved one, a list of those, or a dict that names them.
    old, new
        The two reconcilers, or modules that hold them: other rules, other parameters, ``old.without("a rule")``.
    window
        One window, or several: each is a case of its own. None is the whole of each recording.
    outcomes
        Further outcome numbers: name to a function of a replay.
    executor
        Any `concurrent.futures.Executor`: the cases run in it. Results are the same for every number of workers.
    options
        ``ticks``, ``actions``, ``base``, ``params`` and ``on_error`` of `replaykit.replay`, for both. Without them
        production is retraced where its log says how, else rules are asked after every event.

    Returns
    -------
    Comparison
        A value without replays: it can be kept, sent and pickled.

    Raises
    ------
    QueryError
        There is nothing to compare: no recording, no event or no tick.
    WindowError
        A window lies outside a recording.
    """
    sides = reconciler_of(old), reconciler_of(new)
    _check(sides, executor, options)
    changed = changed_rules(*sides)
    jobs = [
        Job(name, path, one, sides[0].copy(), sides[1].copy(), changed, options, checked_outcomes(outcomes or {}))
        for name, path in _named(recordings)
        for one in _windows(window)
    ]
    if not jobs:
        raise QueryError("There is nothing to compare: recordings= or window= is empty.")
    jobs = _told_apart(jobs)
    cases = _in_processes(jobs, executor) if executor is not None else _one_by_one(jobs, recordings)
    return Comparison(tuple(cases), _told(sides[0]), _told(sides[1]), changed)


def _check(sides: tuple[Reconciler, Reconciler], executor: Any, options: Mapping[str, Any]) -> None:
    """Raise for what would be an error of every case."""
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise QueryError(f"compare() takes no {unknown[0]}=; its options are {list(_OPTIONS)}.")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise QueryError(f"executor={excerpt(executor)}: expected a concurrent.futures.Executor.")
    for side in sides:
        side.with_params(**(options.get("params") or {}))


def _told(reconciler: Reconciler) -> str:
    return f"{reconciler.name} {reconciler.digest()}"


def _named(recordings: Any) -> list[tuple[str, Path]]:
    """Return name and path of each recording."""
    if isinstance(recordings, Mapping):
        return [(str(name), _path_of(one)) for name, one in recordings.items()]
    if isinstance(recordings, (Recording, str, os.PathLike)):
        single = _path_of(recordings)
        return [("" if isinstance(recordings, Recording) else single.stem, single)]
    if not isinstance(recordings, Sequence):
        raise QueryError(
            f"recordings is {excerpt(recordings)}; expected a recording, a path, a list of those, or a dict by name."
        )
    paths = [_path_of(one) for one in recordings]
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [f"{number} {stem}" for number, stem in enumerate(stems, 1)]
    return list(zip(names, paths, strict=True))


def _path_of(recording: Any) -> Path:
    if isinstance(recording, Recording):
        recording._cursor().close()  # says so if it is closed
        return recording.path
    if isinstance(recording, (str, os.PathLike)):
        return Path(recording).expanduser()
    raise QueryError(f"A recording is {excerpt(recording)}; expected an rk.Recording or the path of a saved one.")


def _windows(window: Any) -> list[Window | None]:
    if window is None or isinstance(window, Window):
        return [window]
    if not isinstance(window, Sequence) or not all(isinstance(one, Window) for one in window):
        raise QueryError(f"window is {excerpt(window)}; expected an rk.Window, a list of those, or None.")
    return list(window)


def _told_apart(jobs: list[Job]) -> list[Job]:
    """Return the jobs with their windows in their names, where one recording has several."""
    from dataclasses import replace

    names = [job.name for job in jobs]
    if len(set(names)) == len(names):
        return jobs
    return [replace(job, name=" ".join(filter(None, [job.name, _span(job.window)]))) for job in jobs]


def _span(window: Window | None) -> str:
    return "" if window is None else " to ".join(show_time(one) for one in window.bounds())


def _one_by_one(jobs: list[Job], recordings: Any) -> Iterator[Case]:
    given = [*recordings.values()] if isinstance(recordings, Mapping) else recordings
    listed = given if isinstance(given, Sequence) else [given]
    opened = {one.path: one for one in listed if isinstance(one, Recording)}
    progress = Progress("Comparing", noun="case")
    try:
        for number, job in enumerate(jobs, 1):
            if job.path in opened:
                yield run_here(job, opened[job.path])
            else:
                with open_recording(job.path) as recording:
                    yield run_here(job, recording)
            progress.advance(number, len(jobs))
    finally:
        progress.close()


def _in_processes(jobs: list[Job], executor: Executor) -> list[Case]:
    context = getattr(executor, "_mp_context", None)  # of a ProcessPoolExecutor
    if context is not None and context.get_start_method() == "fork":
        raise QueryError(
            "executor= forks this process while DuckDB's threads run in it, which may hang. Start fresh ones: "
            "ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn'))."
        )
    futures = [executor.submit(unpacked_and_run, sent(job)) for job in jobs]
    try:
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()
