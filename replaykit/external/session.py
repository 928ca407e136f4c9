"""Session: one program during one replay. Requests in order, its changes into the working set, goodbye at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from replaykit.audit import unguarded
from replaykit.errors import ExternalError, ReconcilerError, StateError, excerpt, show_time
from replaykit.external.child import Child
from replaykit.external.edits import Readers, write
from replaykit.external.exchange import event_fields, greeted, reply_in, shortened
from replaykit.external.protocol import Misbehaved, line_of
from replaykit.external.stores import store_of
from replaykit.external.values import as_time, json_fields
from replaykit.problems import Problem

if TYPE_CHECKING:
    from replaykit.declarations import Action
    from replaykit.external.edits import Edit
    from replaykit.external.program import Hello, Program
    from replaykit.inputs import Event
    from replaykit.state import State
    from replaykit.state_table import Change

__all__ = ["Session"]


class Session:
    """A program that runs and holds a state; a context manager.

    Parameters
    ----------
    hello
        What the program said when the reconciler was made; it must say the same again.
    asking
        Whether it is only asked about states that are put before it; then nothing is compared at the end.
    """

    def __init__(
        self,
        program: Program,
        hello: Hello,
        state: State,
        params: Mapping[str, Any],
        on_error: str = "raise",
        *,
        asking: bool = False,
    ) -> None:
        self._program = program
        self._hello = hello
        self._state = state
        self._params = params
        self._undoing = on_error == "undo"
        self._asking = asking
        self._number = 0
        self._own = False
        self._foreign: dict[tuple[str, Any], None] = {}
        self._known: dict[str, tuple[Any, Any]] = {}
        self.wrote: dict[str, int] = {}
        """How often it wrote where only reading counts, by request."""

    def __enter__(self) -> Self:
        with unguarded():
            self._child = Child(self._program)
            try:
                self._greet()
                self._store = store_of(self._program, self._hello, self._state)
                try:
                    self._load()
                except BaseException:
                    self._store.close()
                    raise
            except Misbehaved as exc:
                raise self._child.failure(str(exc), "load") from exc
            except BaseException:
                self._child.kill()
                raise
        self._log = self._state._log
        self._state._log = self._logged
        self._state._program = self
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._state._program = None
        self._state._log = self._log
        with unguarded():
            try:
                if kind is None and not self._asking:
                    self._settle()
                if kind is None or issubclass(kind, Exception):  # whoever interrupts does not want to wait
                    self._child.end(line_of({"id": self._number + 1, "type": "bye"}))
            finally:
                self._child.kill()
                self._store.close()

    def _settle(self) -> None:
        """Hold the program's state against the working set once more: nothing may have come in between unseen."""
        self._follow()
        differs = self._told("bye", self._store.differs)
        if differs:
            raise self._child.failure(f"holds another state than its changes make, first at {differs}", "bye")

    def _greet(self) -> None:
        hello, _ = greeted(self._child, self._program)
        self._number = 1
        if hello != self._hello:
            raise ExternalError(
                f"{self._program.name} says hello in another way than when rk.external was called; call it again."
            )

    def _load(self) -> None:
        given = {"params": self._hello.params_of(self._params), **self._store.given()}
        reply = self._ask("load", given, "load")
        self._sure(reply, "load")
        self._store.loaded()

    def _sure(self, reply: Mapping[str, Any], request: str) -> None:
        if "error" in reply:
            raise self._child.failure(f"refused ({excerpt(reply['error'])})", request)

    @contextmanager
    def _outside(self, event: Event | None = None) -> Iterator[None]:
        """Let a handler's thread reach the program for the length of the block; errors say at which step."""
        with unguarded():
            try:
                yield
            except ExternalError as exc:
                exc.step, exc.event = self._state.step, event
                raise

    # Requests

    def _ask(self, kind: str, given: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Send one request and return the reply to it, of the right shape."""
        self._number += 1
        line = self._child.ask(line_of({"id": self._number, "type": kind, **given}), what)
        reply: dict[str, Any] = self._told(what, lambda: reply_in(line, kind, self._number))
        return reply

    def _told(self, what: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except (Misbehaved, StateError) as exc:
            raise self._child.failure(str(exc).rstrip("."), what) from exc

    def apply(self, event: Event) -> None:
        """Hand an event to the program, and write what it changed to the working set.

        Raises
        ------
        ReconcilerError
            It refused: an error of the program's own.
        ExternalError
            It broke.
        """
        what = f"apply of event {excerpt(event.id)} ({event.kind}) at {show_time(self._state.now)}"
        self._fold("apply", {"event": event_fields(event)}, what, event)

    def act(self, action: Action) -> list[dict[str, Any]]:
        """Let the program apply an action, as `apply`; return the effects it named."""
        what = f"act on {action.kind} at {show_time(self._state.now)}"
        given = {"action": {"kind": action.kind, "fields": json_fields(action.fields)}}
        return list(self._fold("act", given, what).get("effects", ()))

    def _fold(self, kind: str, given: Mapping[str, Any], what: str, event: Event | None = None) -> dict[str, Any]:
        with self._outside(event):
            self._follow()
            self._known.clear()
            reply = self._ask(kind, {"now": as_time(self._state.now), **given}, what)
            edits = self._told(what, lambda: self._store.taken(reply))
            refused = "error" in reply
            if refused and self._undoing:
                self._back(edits, what)
            elif edits:
                self._told(what, lambda: self._write(edits))
        if refused:
            raise ReconcilerError(f"{shortened(reply['error'])} (said by {self._program.name} to {what})")
        return reply

    def _write(self, edits: list[Edit]) -> None:
        self._own = True
        try:
            write(self._state, edits)
        finally:
            self._own = False

    def _back(self, edits: list[Edit], what: str) -> None:
        """Let the program return to the state before the last request."""
        changes = self._told(what, lambda: self._store.undo(edits))
        if self._hello.says("rollback"):
            self._sure(self._ask("rollback", {"changes": changes}, f"rollback after {what}"), "rollback")
        elif not self._store.undoes:
            self._load()

    def reconcile(self) -> list[dict[str, Any]]:
        """Return the actions the program asks for now; asked once for each step and clock."""
        return self._asked("reconcile", "actions", "rule", {name for name, _ in self._hello.declared("rules")})

    def check(self) -> list[dict[str, Any]]:
        """Return the breaches the program finds now; asked once for each step and clock."""
        names = {name for name, _ in self._hello.declared("invariants")}
        return self._asked("check", "violations", "invariant", names)

    def _asked(self, kind: str, part: str, says: str, names: set[str]) -> list[dict[str, Any]]:
        with self._outside():
            self._follow()
            place = (self._state.now, self._state.step)
            if kind not in self._known or self._known[kind][0] != place:
                self._known[kind] = place, self._answer(kind, names, part, says)
        found = self._known[kind][1]
        if isinstance(found, str):
            raise ReconcilerError(f"{shortened(found)} (said by {self._program.name} to {kind})")
        return list(found)

    def _answer(self, kind: str, names: set[str], part: str, says: str) -> Any:
        now: datetime = self._state.now
        what = f"{kind} at {show_time(now)}"
        reply = self._ask(kind, {"now": as_time(now)}, what)
        edits = self._told(what, lambda: self._store.taken(reply))
        if edits:
            self.wrote[kind] = self.wrote.get(kind, 0) + 1
            self._back(edits, what)
        if "error" in reply:
            return str(reply["error"])
        unknown = next((one[says] for one in reply[part] if one[says] not in names), None)
        if unknown is not None:
            raise self._child.failure(
                f"named the {says} {excerpt(unknown)}, which its hello does not declare ({sorted(names)})", what
            )
        return reply[part]

    # The working set

    def _logged(self, change: Change) -> None:
        self._log(change)
        if not self._own:
            self._foreign[change[1].name, change[2]] = None

    def _follow(self) -> None:
        """Tell the program what somebody else has written to the working set since the last request."""
        if self._foreign:
            keys, self._foreign = list(self._foreign), {}
            self._known.clear()
            if not self._told("a write of somebody else", lambda: self._store.follow(keys)):
                self._load()

    def key_in(self, table: str, parts: list[Any]) -> Any:
        """Return the key of a table in a list of its parts, as the program writes them."""
        return self._told("reconcile", lambda: Readers(self._state).key(self._state[table], parts))

    def reload(self) -> None:
        """Hand the whole state over once more."""
        with unguarded():
            self._foreign, self._known = {}, {}
            self._store = self._store.anew()
            self._load()

    def problems(self) -> Iterable[Problem]:
        """Return what the replay should list among its problems."""
        for kind, times in sorted(self.wrote.items()):
            told = f"the program wrote to its state in {kind}, which only reads; that was taken back"
            yield Problem(f"wrote in {kind}, undone", None, self._program.line, None, None, None, told, times)
