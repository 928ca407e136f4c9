"""clawcut's jobs: which of them hang, what to do about each, and what the automatic pass would have done."""

from __future__ import annotations

__all__: list[str] = []
