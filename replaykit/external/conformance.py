"""Conformance: whether a program keeps to the protocol, found by asking it what a replay asks, and worse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.declarations import Action
from replaykit.errors import ExternalError, ReconcilerError, StateError
from replaykit.external.made_up import events_for, rows_for
from replaykit.external.probe import Probe
from replaykit.external.reconciler import External
from replaykit.state import State

if TYPE_CHECKING:
    from replaykit.external.program import Program
    from replaykit.inputs import Event

__all__ = ["Check", "Conformance"]

_BEGIN = datetime(2026, 1, 1)
_LONG = 1 << 20


@dataclass(frozen=True)
class Check:
    """One thing a program should do."""

    name: str
    outcome: str
    """``passed``, ``failed`` or ``skipped``."""
    message: str = ""

    def __str__(self) -> str:
        told = f": {self.message}" if self.message else ""
        return f"{self.outcome.upper() if self.outcome == 'failed' else self.outcome:7}  {self.name}{told}"


class _Failed(Exception):  # noqa: N818 - a finding, told in the list
    """What is not as it should be."""


class _Skipped(Exception):  # noqa: N818
    """Why there is nothing to check."""


class Conformance:
    """Checks a program.

    Parameters
    ----------
    given
        Events to apply, as JSON objects with ``kind``, ``payload``, ``columns``; without any, one is made up for each
        kind, which the program may refuse.
    """

    def __init__(self, program: Program, given: Sequence[Mapping[str, Any]] = ()) -> None:
        self._program = program
        self._given = given

    def checks(self) -> Iterator[Check]:
        """Yield what came of each check, in order; if hello fails there is nothing else to ask.

        Raises
        ------
        ExternalError
            The program can't be started at all.
        """
        try:
            self._external = External.started(self._program)
        except ReconcilerError as exc:
            if "can't be started" in str(exc):
                raise
            yield Check("hello", "failed", str(exc))
            return
        self._events = events_for(self._external.hello.names("handles"), self._given, _BEGIN)
        yield Check("hello", "passed", repr(self._external))
        for name, check in self._listed():
            yield self._outcome(name, check)

    def _listed(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("load takes a state", self._loads),
            ("apply answers every kind it handles", self._applies),
            ("act answers every kind it acts on", self._acts),
            ("reconcile and check only read", self._only_reads),
            ("the same requests get the same replies", self._repeats),
            ("load replaces all there was", self._replaces),
            ("rollback returns to the state before", self._rolls_back),
            ("hard values are taken: unicode, beyond 2^53, NULL", self._hard_values),
            ("a line of a megabyte is read", self._long_line),
            ("an unknown request is refused and forgotten", self._unknown),
            ("unknown fields of a request are ignored", self._more_fields),
            ("bye ends it", lambda: self._ends(b'{"id":2,"type":"bye"}\n')),
            ("the end of stdin ends it", lambda: self._ends(b"")),
        ]

    def _outcome(self, name: str, check: Callable[[], str]) -> Check:
        try:
            return Check(name, "passed", check())
        except _Skipped as exc:
            return Check(name, "skipped", str(exc))
        except (_Failed, ReconcilerError, StateError) as exc:
            return Check(name, "failed", str(exc))

    def _session(self, rows: Mapping[str, Sequence[Mapping[str, Any]]] | None = None, *, asking: bool = False) -> Probe:
        self._state = State(self._external.tables, self._external.params)
        for name, listed in (rows or {}).items():
            self._state[name].load(listed)
        self._state.now = _BEGIN
        external = self._external
        return Probe(self._program, external.hello, self._state, external.params, "undo", asking=asking)

    def _loads(self) -> str:
        with self._session():
            return ""

    def _applies(self) -> str:
        if not self._events:
            raise _Skipped("it handles no kind")
        with self._session() as session:
            refused = [said for event in self._events if (said := self._applied(session, event)).startswith("refused")]
        return _told(refused, len(self._events), "" if self._given else "; --events gives it real ones")

    def _applied(self, session: Probe, event: Event) -> str:
        """Apply an event; return what the program said, and the state after it."""
        self._state.step += 1
        self._state.now = event.occurred_at
        try:
            session.apply(event)
        except ExternalError:
            raise
        except ReconcilerError as exc:
            return f"refused {event.kind}: {exc}"
        return repr(self._state.image())

    def _acts(self) -> str:
        kinds = self._external.hello.names("acts")
        if not kinds:
            raise _Skipped("it acts on no kind")
        refused = []
        with self._session() as session:
            for kind in kinds:
                try:
                    session.act(Action(kind))
                except ExternalError:
                    raise
                except ReconcilerError as exc:
                    refused.append(f"refused {kind}: {exc}")
        return _told(refused, len(kinds), "")

    @staticmethod
    def _asked(session: Probe) -> str:
        return f"{_answer(session.reconcile)} {_answer(session.check)}"

    def _transcript(self, session: Probe) -> list[str]:
        """Apply all events, and return all that was said on the way."""
        said = []
        for event in self._events:
            said.append(self._applied(session, event))
            said.append(self._asked(session))
        self._state.step += 1
        self._state.now = _BEGIN + timedelta(days=30)
        return [*said, self._asked(session)]

    def _only_reads(self) -> str:
        with self._session() as session:
            self._transcript(session)
        if session.wrote:
            raise _Failed(
                "it wrote to its state in " + " and ".join(f"{kind} ({n} times)" for kind, n in session.wrote.items())
                + "; a replay takes that back and counts it as a problem"
            )  # fmt: skip
        return ""

    def _repeats(self) -> str:
        with self._session() as session:
            first = self._transcript(session)
        with self._session() as session:
            second = self._transcript(session)
        _compare(first, second, "a second process")
        return f"{len(first)} compared"

    def _replaces(self) -> str:
        with self._session() as session:
            first = self._transcript(session)
            self._state.undo(0)
            self._state.step = 0
            session.reload()
            second = self._transcript(session)
        _compare(first, second, "after another load")
        return ""

    def _rolls_back(self) -> str:
        if not self._external.hello.says("rollback"):
            raise _Skipped("its hello does not say that it answers rollback")
        with self._session() as session:
            for event in self._events:
                before, image = self._asked(session), self._state.image()
                first = session.tried(event)
                self._state.step += 1  # nothing that was said before is said again without asking
                if self._asked(session) != before:
                    raise _Failed(f"after the rollback of {event.kind} it says another thing than before it")
                second = session.tried(event)
                if first != second:
                    raise _Failed(f"{event.kind} applied again after its rollback changes {second}, before {first}")
                if self._state.image() != image:
                    raise _Failed(f"the rollback of {event.kind} left another state")
                self._applied(session, event)
        return ""

    def _hard_values(self) -> str:
        rows = {name: rows_for(table) for name, table in self._state.tables.items()}
        with self._session(rows) as session:
            said = self._asked(session)
        return said[said.index("refused") :] if "refused" in said else ""

    def _long_line(self) -> str:
        text = "x" * _LONG
        kinds = self._external.hello.names("handles") or [""]
        event = events_for(kinds[:1], [{"kind": kinds[0], "payload": {"text": text}}], _BEGIN)[0]
        with self._session() as session:
            self._applied(session, event)
            self._asked(session)
        return ""

    def _unknown(self) -> str:
        with self._session(asking=True) as session:
            before = self._asked(session)
            reply = session.sent("no such request", {})
            if "error" not in reply:
                raise _Failed(f"it answered a request of unknown type with {reply}; expected an error")
            self._state.step += 1
            if self._asked(session) != before:
                raise _Failed("after an unknown request it says another thing than before it")
        return ""

    def _more_fields(self) -> str:
        with self._session(asking=True) as session:
            reply = session.sent("reconcile", {"now": "2026-01-01T00:00:00.000Z", "of a later protocol": [1]})
            if "error" in reply:
                raise _Failed(f"it refused a request with a field it does not know: {reply['error']}")
        return ""

    def _ends(self, line: bytes) -> str:
        from replaykit.external.child import Child
        from replaykit.external.exchange import greeted

        child = Child(self._program)
        try:
            greeted(child, self._program)
            code = child.end(line, self._program.timeout)
        finally:
            child.kill()
        if code is None:
            raise _Failed(f"it still ran {self._program.timeout:g} s later")
        return "" if code == 0 else f"with exit code {code}"


def _answer(ask: Callable[[], Any]) -> str:
    try:
        return repr(ask())
    except ExternalError:
        raise
    except ReconcilerError as exc:
        return f"refused: {exc}"


def _told(refused: list[str], count: int, hint: str) -> str:
    if not refused:
        return f"{count} taken"
    return f"{count - len(refused)} taken, {len(refused)} refused{hint}; the first: {refused[0][:160]}"


def _compare(first: list[str], second: list[str], where: str) -> None:
    for number, (one, other) in enumerate(zip(first, second, strict=True), 1):
        if one != other:
            raise _Failed(f"reply {number} differs {where}: {other[:160]} instead of {one[:160]}")
