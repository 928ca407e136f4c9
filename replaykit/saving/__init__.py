"""Saved runs: a replay with its history, verdict, digests and versions as one DuckDB file, and open again.

``writing.py`` writes it, ``format.py`` refuses what is no such file, ``reading.py`` makes it a replay again
(``opened.py``). ``values.py`` and ``frames.py`` keep types, ``carrying.py`` tables, ``content.py`` is the digest of a
recording, ``declared.py`` what is known of the rules. Nothing in a file is ever run.
"""

from __future__ import annotations

from replaykit.content import content_digest
from replaykit.saving.reading import open_run
from replaykit.saving.writing import save_run

__all__ = ["content_digest", "open_run", "save_run"]
