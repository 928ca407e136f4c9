"""clawcut's jobs: which of them hang, what to do about each, and what the automatic pass would have done.

An app hands long jobs to providers and asks about them until they are done. When it restarts, what was asking is gone,
and a job says "processing" for ever although the provider has finished: it is stranded. `summary` shows how the jobs
stand, `check` and `check_batch` ask the provider on purpose, `run_pass` does so by itself if it was enabled; `open`
makes a recording for replays, and `stranded` says what a replay found. Nothing asks a provider but those three.

- ``policy.py`` the thresholds: who is a candidate, how stale it is, when it may be asked about; ``outlook.py`` what
  will become of a job;
- ``schema.py``, ``audit.py``, ``times.py`` how the app's tables are read, without their secrets;
- ``summary.py``, ``summary_html.py`` how the jobs stand;
- ``door.py``, ``evidence.py``, ``app_events.py``, ``provider_log.py``, ``arrow.py`` how a database becomes a recording;
- ``reconciler.py``, ``tables.py``, ``events.py``, ``rules.py`` the policy as a reconciler;
- ``stranded.py`` which jobs a replay found stranded, since when; ``unchecked.py`` why one was not checked;
  ``waits.py`` how long jobs waited in several replays, as a picture;
- ``checking.py``, ``batches.py``, ``passes.py`` asking on purpose and by itself; ``candidates.py`` whom,
  ``settling.py`` what is written, ``checks.py`` what is shown, ``claims.py`` one at a time for a job;
- ``provider.py`` who may be asked; ``http_provider.py``, ``http_answers.py``, ``http_wire.py`` over HTTP,
  ``logged_provider.py`` a log;
- ``card.py`` a card for notebooks, ``asking.py`` what it would ask of whom, told before anybody is asked;
- ``database.py`` the only place that opens SQLite, ``files.py`` what lies there; ``clocks.py`` the time that
  ages are told by.
"""

from __future__ import annotations

from importlib import import_module

from replaykit.systems.clawcut.batches import Batch, check_batch
from replaykit.systems.clawcut.card import card
from replaykit.systems.clawcut.checking import check
from replaykit.systems.clawcut.checks import Check
from replaykit.systems.clawcut.door import open
from replaykit.systems.clawcut.http_provider import HTTPProvider
from replaykit.systems.clawcut.logged_provider import LoggedProvider
from replaykit.systems.clawcut.passes import Pass, run_pass
from replaykit.systems.clawcut.policy import Hints, Policy, hints
from replaykit.systems.clawcut.provider import Answer, Provider, ProviderError
from replaykit.systems.clawcut.reconciler import reconciler
from replaykit.systems.clawcut.stranded import stranded, waited_minutes
from replaykit.systems.clawcut.summary import Summary, summary
from replaykit.systems.clawcut.unchecked import jobs_at, why_not_checked
from replaykit.systems.clawcut.waits import Waits, waits

__all__ = [
    "Answer",
    "Batch",
    "Check",
    "HTTPProvider",
    "Hints",
    "LoggedProvider",
    "Pass",
    "Policy",
    "Provider",
    "ProviderError",
    "Summary",
    "Waits",
    "card",
    "check",
    "check_batch",
    "hints",
    "jobs_at",
    "open",
    "reconciler",
    "run_pass",
    "stranded",
    "summary",
    "waited_minutes",
    "waits",
    "why_not_checked",
]

# Handlers, rules and invariants register themselves.
for _module in ("events", "rules"):
    import_module(f"{__name__}.{_module}")
