"""Questions: what a replay is asked afterwards, as methods of its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replaykit.comparing.ablation import Ablation
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
