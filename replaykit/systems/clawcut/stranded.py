"""Which jobs were stranded, since when, and how long the app did not know what the provider had finished."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError
from replaykit.systems.clawcut.clocks import asked_time
from replaykit.systems.clawcut.policy import Policy

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.replayed import Replay

__all__ = ["need_log", "stranded", "waited_minutes"]

_SILENT = """
WITH signs AS (
    SELECT j.*, greatest(j.updated_at, coalesce(q.polled_at, j.updated_at)) AS sign
    FROM ai_jobs AS j LEFT JOIN polls AS q ON q.job_id = j.id
    WHERE j.status IN ('queued', 'pending', 'processing') AND j.has_provider_id
),
silent AS (
    SELECT s.id, s.kind, s.provider, s.status, s.sign, min(r.restarted_at) AS lost_at, count(p.job_id) > 0 AS known,
           any_value(p.outcome) AS outcome, any_value(p.finished_at) AS finished_at
    FROM signs AS s
    LEFT JOIN restarts AS r ON r.restarted_at > s.sign
    LEFT JOIN provider_jobs AS p ON p.job_id = s.id
    WHERE s.sign <= $at - $patience
    GROUP BY s.id, s.kind, s.provider, s.status, s.sign
)
SELECT id AS job_id, kind, provider, status, list_contains($watched, kind) AS candidate,
       sign AS last_sign_at, $at - sign AS silent_for, lost_at,
       outcome AS provider_outcome, finished_at AS provider_finished_at,
       CASE WHEN outcome IS NOT NULL THEN 'stranded' WHEN known THEN 'orphaned' ELSE 'suspected' END AS what,
       greatest(coalesce(lost_at, sign), coalesce(finished_at, sign)) AS since
FROM silent
ORDER BY sign, id
"""
_WAITED = """
SELECT coalesce(sum(epoch(least(coalesce(e.ended_at, $end), $end) - greatest(p.finished_at, $start))), 0) / 60
       AS minutes
FROM provider_jobs AS p LEFT JOIN endings AS e ON e.job_id = p.job_id
WHERE p.finished_at IS NOT NULL AND greatest(p.finished_at, $start) < least(coalesce(e.ended_at, $end), $end)
"""


def stranded(run: Replay, at: Any = None, *, patience: timedelta | None = None) -> pd.DataFrame:
    """Return the jobs that hung at a moment of a replay: the provider has them, and the app was silent for long.

    Parameters
    ----------
    run
        A replay of clawcut's reconciler.
    at
        The moment, as for ``run.at``; None is the end of the replay's window.
    patience
        For how long the app must have been silent about a job; None is the policy's ``stale_after``.

    Returns
    -------
    DataFrame
        One row per job, the longest silent first, then by id: ``job_id``, ``kind``, ``provider``, ``status``,
        ``candidate`` (whether the policy asks about such a kind by itself), ``last_sign_at`` (the app's last write or
        poll), ``silent_for``, ``lost_at`` (the first restart after that, at which whoever asked was lost; NaT if there
        was none), ``provider_outcome``, ``provider_finished_at``, ``what`` and ``since``.

        ``what`` is ``stranded`` where the provider's log says that it has ended, ``orphaned`` where that log knows the
        job and it is still at work, and ``suspected`` where no log tells: then only asking does. ``since`` is the
        moment from which on both held: nobody asked any more, and, where that is known, the provider had ended.
    """
    moment, policy = asked_time(run, at), Policy.of(run.reconciler.params)
    silent = patience if patience is not None else policy.stale_after
    return run.at(moment).sql(_SILENT, at=moment, patience=silent, watched=list(policy.kinds))


def waited_minutes(run: Replay) -> float:
    """Return for how many minutes of the window, over all jobs, the provider had ended and the app did not know.

    An outcome number for ``rk.compare(..., outcomes=)``.

    Raises
    ------
    QueryError
        The recording has no provider's log.
    """
    need_log(run)
    start, end = run.window.bounds()
    return float(run.after.sql(_WAITED, start=start, end=end)["minutes"][0])


def need_log(run: Replay) -> None:
    """Raise QueryError if nobody knows when jobs had ended at their provider."""
    if not run.recording.sql("SELECT 1 AS n FROM events WHERE kind = 'provider_accepted' LIMIT 1").shape[0]:
        raise QueryError(
            "When jobs had ended at their provider is only known by its log: clawcut.open(..., provider_log=...)."
        )
