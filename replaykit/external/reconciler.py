"""External: a reconciler whose handlers, rules and invariants are requests to a program."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from replaykit.declarations import Action, Invariant, Rule
from replaykit.errors import ReconcilerError
from replaykit.external.child import Child
from replaykit.external.exchange import greeted
from replaykit.external.session import Session
from replaykit.reconciler import Reconciler
from replaykit.verdict import NOT_ISOLATED

if TYPE_CHECKING:
    from datetime import datetime

    from replaykit.external.program import Hello, Program
    from replaykit.problems import Problem
    from replaykit.state import State

__all__ = ["Asks", "Emits", "External", "Finds", "Sends"]


class External(Reconciler):
    """A program as reconciler: see `replaykit.external`. A value without a process, as any reconciler."""

    def __init__(self, program: Program, hello: Hello) -> None:
        super().__init__(hello.name, hello.tables, dict(hello.reply.get("params", {})))
        self.program = program
        """The command and how it is run."""
        self.hello = hello
        """What the program said about itself."""
        self.handlers = dict.fromkeys(hello.names("handles"), Sends("apply", hello.name))
        self.appliers = dict.fromkeys(hello.names("acts"), Sends("act", hello.name))
        self.ignored = set(hello.names("ignores"))
        asks = Asks(hello.name)
        self.rules = {
            name: Rule(name, key, function=Emits(name, hello.name), each=asks) for name, key in hello.declared("rules")
        }
        self.invariants = {
            name: Invariant(name, key, function=Finds(name, hello.name)) for name, key in hello.declared("invariants")
        }

    @classmethod
    def started(cls, program: Program) -> External:
        """Start the program once, to hear what it says about itself."""
        child = Child(program)
        try:
            hello, _ = greeted(child, program)
            child.end(b'{"id":2,"type":"bye"}\n')
        finally:
            child.kill()
        return cls(program, hello)

    def __repr__(self) -> str:
        told = super().__repr__().removeprefix("Reconciler(")
        name, _, rest = told.partition(", ")
        return f"External({name}, {self.program.line!r}, state={self.program.state!r}, {rest}"

    @property
    def caveat(self) -> str:
        """What verdicts say beside anything else."""
        return f"{NOT_ISOLATED}: {self.program.line} is a process of its own."

    def project(self, table: str, *_: object, **__: object) -> NoReturn:
        """Refuse: the tables are the program's."""
        raise ReconcilerError(f"project({table!r}, ...): the tables of {self.program.name} are filled by the program.")

    def digest(self) -> str:
        """Return 16 hex digits over command, options, the files it names, what hello said, and all declarations."""
        said = json.dumps(self.hello.reply, sort_keys=True)
        parts = [super().digest(), self.program.digest(), said]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @contextmanager
    def running(self, state: State, on_error: str = "raise") -> Iterator[list[Problem]]:
        """Run the program for the length of the block, on this state; then the list given holds problems of its own."""
        found: list[Problem] = []
        with Session(self.program, self.hello, state, self.params, on_error) as session:
            yield found
            found += session.problems()

    def session(self, state: State) -> Session:
        """Return the program on a state, to be entered and asked."""
        return Session(self.program, self.hello, state, self.params, asking=True)


def _session(state: State, name: str) -> Session:
    session: Session | None = state._program
    if session is None:
        raise ReconcilerError(f"The program behind {name!r} does not run; its rules are asked during a replay only.")
    return session


class _Request:
    """A function of a reconciler that is a request; its clock can't be followed."""

    unfollowed = True

    def __init__(self, name: str, program: str) -> None:
        self.name = name
        self.program = program
        self.__qualname__ = f"{program}:{name}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__qualname__})"


class Sends(_Request):
    """A handler, of events or of actions."""

    def __call__(self, state: State, given: Any) -> list[Action]:
        """Send it; return the effects of an action."""
        session = _session(state, self.program)
        if self.name == "apply":
            session.apply(given)
            return []
        return [Action(one["kind"], **one.get("fields", {})) for one in session.act(given)]


class Asks(_Request):
    """What rules have in common: the actions of one reconcile, in the program's order."""

    def __init__(self, program: str) -> None:
        super().__init__("reconcile", program)

    def __call__(self, state: State, _now: datetime) -> list[dict[str, Any]]:
        """Send it."""
        return _session(state, self.program).reconcile()


class Emits(_Request):
    """A rule: those of the actions that are its own."""

    def __call__(self, _state: State, _now: datetime, one: Mapping[str, Any]) -> Iterable[Action]:
        """Return the action, if it is this rule's."""
        return [Action(one["kind"], **one["fields"])] if one["rule"] == self.name else []


class Finds(_Request):
    """An invariant: those of the breaches that are its own."""

    def __call__(self, state: State, _now: datetime) -> Iterable[Mapping[str, Any]]:
        """Return the breaches."""
        found = _session(state, self.program).check()
        return [one["fields"] for one in found if one["invariant"] == self.name]
