"""Jobs: the replays of one case, here or in another process."""

from __future__ import annotations

import inspect
import linecache
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaykit.comparing.cases import Case, case_of, failed_case
from replaykit.errors import QueryError, ReplayKitError, WindowError, excerpt
from replaykit.recorded_ticks import log_of_ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replaykit.reconciler import Reconciler
    from replaykit.recording import Recording
    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = ["Job", "run_here", "sent", "unpacked_and_run"]


@dataclass(frozen=True)
class Job:
    """One case to compare: everything its two replays need, without an open recording."""

    name: str
    path: Path
    window: Window | None
    old: Reconciler
    new: Reconciler
    changed: tuple[str, ...]
    """What the reconcilers differ in."""
    options: Mapping[str, Any]
    outcomes: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


def run_here(job: Job, recording: Recording) -> Case:
    """Replay with both reconcilers and compare; a replay that raises makes a case that says so.

    Raises
    ------
    QueryError
        There is nothing to compare: no event, no input and no tick.
    WindowError
        The window lies outside the recording.
    """
    from replaykit.replay import unjudged

    options = {**_defaults(recording), **job.options}
    try:
        runs = [unjudged(recording, rules, job.window, **options) for rules in (job.old, job.new)]
    except WindowError:
        raise
    except ReplayKitError as exc:
        return failed_case(job.name, job.window or recording.span or _no_window(job), str(exc))
    _check_something(job, runs)
    return case_of(runs[0], runs[1], job.changed, name=job.name, outcomes=job.outcomes)


def _defaults(recording: Recording) -> dict[str, Any]:
    """Return how to replay where nobody said: as production did where its log says how, else at every event."""
    ticks = "recorded" if log_of_ticks(recording) else "event"
    return {"ticks": ticks, "actions": "recorded" if "applications" in recording.logs else "collect"}


def _no_window(job: Job) -> Window:
    raise QueryError(f"Recording {excerpt(job.name or str(job.path))} holds no event, so there is nothing to compare.")


def _check_something(job: Job, runs: list[Replay]) -> None:
    run = runs[0]
    where = f"{excerpt(job.name or str(job.path))}, {run.window!r}"
    if not len(run.metrics):
        raise QueryError(
            f"Nothing was compared in {where}: no tick lies in it, so no rule was asked. Choose a wider window, or "
            "other ticks=."
        )
    if run.after_step <= run.before_step:
        raise QueryError(
            f"Nothing was compared in {where}: no event and no other input lies in it. Choose a wider window."
        )


def sent(job: Job) -> bytes:
    """Return a job as bytes for another process, with the source of functions that no file there holds.

    Raises
    ------
    ImportError
        cloudpickle, which sends functions that no module holds, is not installed.
    QueryError
        Something in it can't be sent.
    """
    try:
        import cloudpickle
    except ImportError as exc:
        raise ImportError("rk.compare with executor= needs cloudpickle: pip install 'replaykit[parallel]'") from exc
    try:
        data: bytes = cloudpickle.dumps((job, _typed_sources(job)))
    except Exception as exc:
        raise QueryError(
            f"Case {excerpt(job.name)} can't be sent to another process: {exc}. Leave executor= out, or define rules "
            "and outcomes at the top of a module."
        ) from exc
    return data


def unpacked_and_run(data: bytes) -> Case:
    """Run a job in the process it was sent to."""
    import cloudpickle

    from replaykit.recording import open_recording

    job, sources = cloudpickle.loads(data)
    linecache.cache.update(sources)
    with open_recording(job.path) as recording:
        return run_here(job, recording)


def _typed_sources(job: Job) -> dict[str, Any]:
    """Return what Python keeps of code typed in a notebook or a console: a rule is explained by its source."""
    found = {}
    for reconciler in (job.old, job.new):
        functions = [*reconciler.handlers.values(), *reconciler.appliers.values()]
        functions += [one.function for one in reconciler.declared() if one.function is not None]
        for function in functions:
            code = getattr(inspect.unwrap(function), "__code__", None)
            name = getattr(code, "co_filename", "")
            if name in linecache.cache and not Path(name).exists():
                found[name] = linecache.cache[name]
    return found
