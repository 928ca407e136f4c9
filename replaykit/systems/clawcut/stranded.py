"""Which jobs were stranded, since when, and how long the app did not know what the provider had finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.systems.clawcut.policy import Policy

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.replayed import Replay

__all__ = ["stranded", "waited_minutes"]

_SILENT = """
WITH silent AS (
    SELECT j.id, j.kind, j.provider, j.status, j.updated_at,
           min(r.restarted_at) AS lost_at, any_value(p.outcome) AS outcome, any_value(p.finished_at) AS finished_at
    FROM ai_jobs AS j
    LEFT JOIN restarts AS r ON r.restarted_at > j.updated_at
    LEFT JOIN provider_jobs AS p ON p.job_id = j.id
    WHERE j.status IN ('queued', 'pending', 'processing') AND j.has_provider_id AND j.updated_at <= $at - $patience
    GROUP BY ALL
)
SELECT id AS job_id, kind, provider, status, list_contains($watched, kind) AS candidate,
       updated_at AS last_sign_at, $at - updated_at AS silent_for, lost_at,
       outcome AS provider_outcome, finished_at AS provider_finished_at,
       CASE WHEN outcome IS NOT NULL THEN 'stranded' WHEN $log THEN 'orphaned' ELSE 'suspected' END AS what,
       greatest(coalesce(lost_at, updated_at), coalesce(finished_at, updated_at)) AS since
FROM silent
ORDER BY updated_at, id
"""
_WAITED = """
SELECT coalesce(sum(epoch(least(coalesce(e.ended_at, $end), $end) - greatest(p.finished_at, $start))), 0) / 60
       AS minutes
FROM provider_jobs AS p LEFT JOIN endings AS e ON e.job_id = p.job_id
WHERE greatest(p.finished_at, $start) < least(coalesce(e.ended_at, $end), $end)
"""


def stranded(run: Replay, at: Any = None) -> pd.DataFrame:
    """Return the jobs that hung at a moment of a replay: the provider has them, the app was silent for ``stale_after``.

    Parameters
    ----------
    run
        A replay of clawcut's reconciler.
    at
        The moment, as for ``run.at``; None is the end of the replay's window.

    Returns
    -------
    DataFrame
        One row per job, the longest silent first, then by id: ``job_id``, ``kind``, ``provider``, ``status``,
        ``candidate`` (whether the policy asks about such a kind by itself), ``last_sign_at`` (the app's last write),
        ``silent_for``, ``lost_at`` (the first restart after that, at which whoever asked was lost; NaT if there was
        none), ``provider_outcome``, ``provider_finished_at``, ``what`` and ``since``.

        ``what`` is ``stranded`` where the provider's log says that it has ended, ``orphaned`` where that log was loaded
        and the provider is still at work, and ``suspected`` without such a log: then only asking tells. ``since`` is
        the moment from which on both held: nobody asked any more, and, where that is known, the provider had ended.
    """
    moment = run.at(at if at is not None else run.window.bounds()[1])
    policy = Policy.of(run.reconciler.params)
    log = bool(run.recording.sql("SELECT count(*) AS n FROM events WHERE kind = 'provider_finished'")["n"][0])
    return moment.sql(
        _SILENT,
        at=run.window.bounds()[1] if at is None else moment.at,
        patience=policy.stale_after,
        watched=list(policy.kinds),
        log=log,
    )


def waited_minutes(run: Replay) -> float:
    """Return for how many minutes of the window, over all jobs, the provider had ended and the app did not know.

    An outcome number for ``rk.compare(..., outcomes=)``. Needs the provider's log in the recording.
    """
    start, end = run.window.bounds()
    return float(run.after.sql(_WAITED, start=start, end=end)["minutes"][0])
