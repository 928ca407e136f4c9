"""How many examples of a claim are tried: some of them, or with ``--hypothesis-profile=thorough`` all."""

from __future__ import annotations

from hypothesis import settings

__all__ = ["everything", "least", "some"]

EVERYTHING = {"thorough", "search"}


def everything() -> bool:
    """Return whether all examples are asked for, and what takes long besides."""
    return settings.get_current_profile_name() in EVERYTHING


def some(of: int, share: float = 1 / 3) -> int:
    """Return a share of a number of examples, at least 3, and all where everything is asked for.

    They are the first of the same examples, since what Hypothesis draws is repeatable here. The very first is the
    simplest there is, so that 3 are the fewest which say something.
    """
    return of if everything() else min(of, max(3, round(of * share)))


def least(of: int, share: float = 1 / 3) -> int:
    """Return a share of a number that must at least come up, and all of it where everything is asked for."""
    return of if some(of, share) == of else int(of * share)
