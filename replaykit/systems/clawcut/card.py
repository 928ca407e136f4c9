"""The card: how the jobs stand, in a notebook, with buttons that ask a provider after a confirmation."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

from replaykit.errors import OperationError
from replaykit.systems.clawcut.batches import check_limit
from replaykit.systems.clawcut.policy import Policy
from replaykit.systems.clawcut.provider import check_providers

if TYPE_CHECKING:
    from replaykit.systems.clawcut.provider import Providers
    from replaykit.widgets.jobs_card import Card

__all__ = ["card"]


def card(
    database: str | os.PathLike[str],
    provider: Providers,
    *,
    now: datetime | str | None = None,
    policy: Policy | None = None,
    limit: int | None = None,
    actor: str = "operator",
) -> Card:
    """Return a card to operate by: jobs that are not terminal, and what to do about each. Making it asks nobody.

    Parameters
    ----------
    database
        The app's SQLite database; the app may be writing to it.
    provider
        As for `replaykit.systems.clawcut.check`. Asked only after a question was confirmed.
    now
        The time by which ages are told and which is written: UTC, ISO text or a datetime. None is the machine's at
        each refresh and each check; a fixed time is for samples.
    policy
        The thresholds; a batch takes jobs as old as its ``min_age``.
    limit
        How many jobs a batch asks about at most; None is the policy's.
    actor
        Who asks, for audit events.

    Returns
    -------
    Card
        Display it as the last line of a cell. ``summary``, ``last`` and ``code`` are plain values; ``choose``,
        ``ask_chosen``, ``ask_shown``, ``confirm`` and ``cancel`` do what its controls do.

    Raises
    ------
    ImportError
        ipywidgets is not installed; the message says what to install.
    LoadError, OperationError
        There is no such database, it is not the app's, or an argument is none that can work.
    """
    given: object = policy
    if given is not None and not isinstance(given, Policy):
        raise OperationError("policy: expected a clawcut.Policy, or None for the usual one.")
    check_providers(provider)
    own = policy if policy is not None else Policy()
    most = check_limit(own.limit if limit is None else limit)
    try:
        from replaykit.widgets.jobs_card import Card
    except ImportError as exc:
        raise ImportError("clawcut.card needs ipywidgets: pip install 'replaykit[notebook,clawcut]'") from exc
    return Card(database, provider, now=now, policy=own, limit=most, actor=actor)
