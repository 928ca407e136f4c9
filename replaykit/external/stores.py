"""Stores: where a program's state lies, in a SQLite file that is watched or in its own memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from replaykit.external.edits import Readers, undoing
from replaykit.external.protocol import Misbehaved
from replaykit.external.values import json_fields

if TYPE_CHECKING:
    from replaykit.external.edits import Edit
    from replaykit.external.program import Hello, Program
    from replaykit.state import State

__all__ = ["InFile", "InMemory", "Store", "store_of"]


class Store(Protocol):
    """Where a program's state lies. What it does wrong is `Misbehaved`, what its tables can't hold a StateError."""

    undoes: bool
    """Whether `undo` itself has brought the state back."""

    def given(self) -> Mapping[str, Any]:
        """Return what a load request carries."""

    def loaded(self) -> None:
        """Look at the state after load."""

    def taken(self, reply: Mapping[str, Any]) -> list[Edit]:
        """Return what a request changed, in order."""

    def undo(self, edits: list[Edit]) -> list[dict[str, Any]]:
        """Take back what was taken last, or return the changes that would."""

    def follow(self, keys: Iterable[tuple[str, Any]]) -> bool:
        """Take over rows of the working set; return whether that was possible without loading again."""

    def differs(self) -> str:
        """Return where it differs from the working set, as far as that can be seen."""

    def anew(self) -> Store:
        """Return an empty store in place of this one, which is closed."""

    def close(self) -> None:
        """Leave nothing behind."""


class InMemory:
    """The state lies in the program's memory; it reports its changes."""

    undoes = False

    def __init__(self, state: State) -> None:
        self._state = state
        self._readers = Readers(state)

    def given(self) -> Mapping[str, Any]:
        """Return the rows of every table, in insertion order."""
        return {"tables": {name: [json_fields(row) for row in table] for name, table in self._state.tables.items()}}

    def loaded(self) -> None:
        """Take its word for it."""

    def taken(self, reply: Mapping[str, Any]) -> list[Edit]:
        """Return the changes it reports."""
        return self._readers.edits(reply.get("changes", ()))

    def undo(self, edits: list[Edit]) -> list[dict[str, Any]]:
        """Return what would undo the changes; they were not written yet."""
        return undoing(self._state, edits)

    def follow(self, keys: Iterable[tuple[str, Any]]) -> bool:  # noqa: ARG002
        """Say that it has to load again."""
        return False

    def differs(self) -> str:
        """Return nothing: nobody sees what it holds."""
        return ""

    def anew(self) -> InMemory:
        """Return itself: load replaces all."""
        return self

    def close(self) -> None:
        """Leave it to the program's end."""


class InFile:
    """The state lies in a scratch SQLite file."""

    undoes = True

    def __init__(self, state: State, schema: list[str]) -> None:
        from replaykit.external.scratch import Scratch

        self._state, self._schema = state, schema
        self._scratch = Scratch(state, schema)

    def given(self) -> Mapping[str, Any]:
        """Return the path of the file."""
        return {"path": self._scratch.path}

    def loaded(self) -> None:
        """Look whether the program left the tables as they were."""
        self._scratch.loaded()

    def taken(self, reply: Mapping[str, Any]) -> list[Edit]:
        """Return what the triggers logged."""
        if "changes" in reply:
            raise Misbehaved("reported changes, which it does with state='json'; here they are read from the file")
        return self._scratch.taken()

    def undo(self, edits: list[Edit]) -> list[dict[str, Any]]:  # noqa: ARG002
        """Take back in the file what was logged last."""
        self._scratch.undo()
        return []

    def follow(self, keys: Iterable[tuple[str, Any]]) -> bool:
        """Write the rows to the file."""
        self._scratch.follow(keys)
        return True

    def differs(self) -> str:
        """Compare the file with the working set."""
        return self._scratch.differs()

    def anew(self) -> InFile:
        """Return another file: the program may have this one open."""
        self.close()
        return InFile(self._state, self._schema)

    def close(self) -> None:
        """Remove the file."""
        self._scratch.close()


def store_of(program: Program, hello: Hello, state: State) -> Store:
    """Return where the program's state lies."""
    return InFile(state, hello.names("schema")) if program.state == "sqlite" else InMemory(state)
