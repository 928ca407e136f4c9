"""Questions: what a replay is asked afterwards, as methods of its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from replaykit.comparing.ablation import Ablation
    from replaykit.comparing.shrink import Shrunk
    from replaykit.comparing.what_if import WhatIf
    from replaykit.reasons import Why, WhyNot
    from replaykit.reasons.readers import Readers
    from replaykit.replayed import Replay
    from replaykit.whens import FirstTime, Times

__all__ = ["Questions"]


class Questions:
    """Asks a `Replay`, of which it is a part; only what asks for another course of things replays again."""

    def why(self, action: Any) -> Why:
        """Return why a rule emitted an action, or an invariant was broken: the cells it read, and what had set them.

        The rule is run once more on the state of that tick, which the history gives back. Of each cell it is then tried
        whether the rule would still emit the action without the write that made it so.

        Parameters
        ----------
        action
            A row of ``actions``, or its number; or a row of ``violations``, which is asked about where it was opened.

        Raises
        ------
        QueryError
            There is no such action or violation.
        """
        from replaykit.reasons import why

        return why(cast("Replay", self), action)

    def why_not(self, kind: str, /, *, at: Any = None, window: Any = None, **fields: Any) -> WhyNot:
        """Return what stopped each rule that could have emitted an action, since when, and by how much.

        A rule in SQL is taken apart into its conditions; one in Python is run once more at that tick, traced over rows
        that note what is read of them. Neither needs its author to do anything.

        Parameters
        ----------
        kind
            The kind of action.
        at
            The last tick at or before this time is asked about; the last of all by default.
        window
            A `Window`, or start and end: every tick of it at which the state had changed is asked about.
        fields
            What names the action: fields of the rule's key, or others.

        Raises
        ------
        QueryError
            No rule emits such a kind, no tick is there, or actions of that kind have no such field.
        """
        from replaykit.reasons import why_not

        return why_not(cast("Replay", self), kind, at, window, fields)

    def readers(self, *, most: int = 50, **asked: Any) -> Readers:
        """Return which decisions rested on what one event, step or action wrote: the forward slice of a write.

        What is known are the reads of rules that emitted something: they are run once more, as `why` does. Reads of
        handlers, and of rules that emitted nothing, are not recorded.

        Parameters
        ----------
        most
            So many actions are looked into: of each kind for each entity the first while what was written stood.
        asked
            ``event=``, ``step=`` or ``action=``, as for ``history.touched``.

        Raises
        ------
        QueryError
            No step applied that event or action.
        """
        from replaykit.reasons.readers import readers

        return readers(cast("Replay", self), most, asked)

    def first(self, query: str, params: Mapping[str, Any] | None = None, /, **named: Any) -> FirstTime:
        """Return the first step at which a query over the state returns rows, with what made it so.

        Parameters
        ----------
        query
            One SELECT over the state tables, as after each step, the base and steps before the window included; with
            parameters, and ``$now``, the clock at that step. Between steps nothing is asked: what becomes true only
            because time passes is found at the next step. A SELECT without GROUP BY that computes ``count(*)`` always
            returns a row; write HAVING.

        Returns
        -------
        FirstTime
            False if no step is found. Where the query picks rows of tables, alone or joined, by conditions without
            ``$now``, one query over all versions finds it; any other is asked step by step, wherever what it reads has
            changed. ``.how`` says which way was taken.

        Raises
        ------
        QueryError
            The query does not run; the message names the tables' columns.
        GuardError
            The query does more than ask.
        """
        from replaykit.whens import first_time

        return first_time(cast("Replay", self), query, {**(params or {}), **named})

    def when(self, query: str, params: Mapping[str, Any] | None = None, /, **named: Any) -> Times:
        """Return all steps at which a query over the state returns rows, as intervals with what began and ended each.

        The query is as for `first`, and found in the same two ways.
        """
        from replaykit.whens import times

        return times(cast("Replay", self), query, {**(params or {}), **named})

    def what_if(
        self,
        skip: Any = None,
        edit: Mapping[Any, Mapping[str, Any]] | None = None,
        add: Any = None,
        params: Mapping[str, Any] | None = None,
        without: Sequence[str] = (),
    ) -> WhatIf:
        """Return what would have come of other events, parameters or rules, beside what came of those there were.

        Parameters
        ----------
        skip
            Events left out: ids, rows of ``events``, or a frame of such rows.
        edit
            Event id to columns and their new values. Keys of a payload that are not named stay as they are.
        add
            A dict of columns of a new event, or several; it comes behind the last event that is not later.
        params
            Parameters that differ.
        without
            Names of rules or invariants left out.

        Returns
        -------
        WhatIf
            ``case`` compares the two; ``new`` is the other replay. Up to ``fork``, the last step before anything was
            otherwise, both histories are proved equal by their digest.

        Raises
        ------
        QueryError
            Nothing was asked for, or of an event that this replay did not apply.
        ReconcilerError
            Up to the fork the two came to different states: the rules do not repeat themselves.
        """
        from replaykit.comparing.what_if import what_if

        return what_if(cast("Replay", self), skip, edit, add, params, without)

    def ablate(self, outcome: Any, *, events: Any = None) -> Ablation:
        """Leave out each event of the window in turn, and rank the events by what an outcome comes to without them.

        Parameters
        ----------
        outcome
            ``"actions"``, ``"violations"``, ``"stuck_minutes"``, ``"without_effect"``, ``"problems"``, or a function of
            a replay that returns a number.
        events
            Only these, as in `what_if`. None is each event that was applied in the window: one replay for each.

        Returns
        -------
        Ablation
            Of those tried so far, if somebody interrupts.
        """
        from replaykit.comparing.ablation import ablate

        return ablate(cast("Replay", self), outcome, events)

    def shrink(self, shows: Any = None, *, budget: int | None = 500, rows: bool = True) -> Shrunk:
        """Return a replay of the fewest inputs that still shows something, by delta debugging.

        Left out are events, then recorded actions and writes where they are applied, then rows of the base, until none
        can go alone. The same every time.

        Parameters
        ----------
        shows
            A row of ``violations`` or ``actions``: it must be opened, or begin, at the same time; or a function of a
            replay. None is the first violation. A smaller replay in which the rules raise does not show it.
        budget
            So many replays at most; then the best so far is given, which says that fewer may do. None is no limit.
        rows
            Whether rows of the base are left out, too.

        Raises
        ------
        QueryError
            This replay does not show it, or was made of altered inputs itself.
        """
        from replaykit.comparing.shrink import shrink

        return shrink(cast("Replay", self), shows, budget=budget, rows=rows)

    def to_test(
        self,
        path: str | os.PathLike[str],
        shows: Any = None,
        *,
        reconciler: str | None = None,
        budget: int | None = 500,
    ) -> Path:
        """Write a pytest that fails as long as something shows, with the smallest fixture beside it that shows it.

        Parameters
        ----------
        path
            A new ``test_<name>.py`` in a folder that exists; the fixture, JSON with one line for each row, is
            ``test_<name>.json``.
        shows
            A row of ``violations`` or ``actions``; None is the first violation. The test passes once the rules neither
            emit such an action nor break the invariant for that entity, at any time of the window.
        reconciler
            ``"package.module:name"`` of the rules to test; None finds the module that holds them.
        budget
            Replays spent on shrinking, as in `shrink`; a replay that is a small one already is not shrunk again.

        Returns
        -------
        Path
            The test. It was tried that the fixture alone shows what is looked for.

        Raises
        ------
        QueryError
            It does not show, no module holds the rules, or `path` is no test in a folder that exists.
        """
        from replaykit.comparing.to_test import to_test

        return to_test(cast("Replay", self), path, shows, reconciler=reconciler, budget=budget)
