"""Program: a command and how it is run, and what the program behind it says about itself."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replaykit.declarations import Table
from replaykit.errors import ReconcilerError, excerpt
from replaykit.external.values import as_json

__all__ = ["STATES", "Hello", "Program"]

STATES = ("sqlite", "json")
_LONGEST = 1 << 26
_MOST_OF_LINE = 76


@dataclass(frozen=True)
class Program:
    """A command, where its state lies while it is replayed, and how long it may take."""

    command: tuple[str, ...]
    state: str = "sqlite"
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables beside those of this process."""
    timeout: float = 30.0
    """Seconds a request may take."""
    files: tuple[str, ...] = ()
    """Further files whose content belongs to the digest."""
    longest: int = _LONGEST
    """Bytes a reply may have."""

    def __post_init__(self) -> None:
        if not self.command or not all(isinstance(part, str) for part in self.command):
            raise ReconcilerError(
                f'rk.external({excerpt(self.command)}): expected a command and its arguments, as ["node", "town.mjs"].'
            )
        if self.state not in STATES:
            raise ReconcilerError(f"rk.external(state={excerpt(self.state)}): expected one of {list(STATES)}.")
        if not self.timeout > 0:
            raise ReconcilerError(f"rk.external(timeout={excerpt(self.timeout)}): expected seconds, more than 0.")

    @property
    def name(self) -> str:
        """How messages call it: ``Program 'node town.mjs'``; a long line keeps its end, where the program is named."""
        line = self.line
        return f"Program {excerpt(line if len(line) <= _MOST_OF_LINE else '…' + line[1 - _MOST_OF_LINE :])}"

    @property
    def line(self) -> str:
        """The command as a shell would take it."""
        return shlex.join(self.command)

    def digest(self) -> str:
        """Return a digest of command, options and the content of the files that the command names."""
        parts = [repr(self.command), self.state, repr(self.cwd), repr(sorted(self.env.items()))]
        found = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass"))
        for name in [*self._named(), *self.files]:
            path = Path(self.cwd or ".", name)
            found.update(name.encode("utf-8", "surrogatepass"))
            found.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"missing")
        return found.hexdigest()

    def _named(self) -> list[str]:
        """Return the arguments that are files; an interpreter found by PATH is none of the program's own."""
        arguments = [one for one in self.command[1:] if not one.startswith("-")]
        own = [one for one in self.command[:1] if "/" in one and not _is_interpreter(one, arguments)]
        return [one for one in [*own, *arguments] if Path(self.cwd or ".", one).is_file()]


def _is_interpreter(command: str, arguments: list[str]) -> bool:
    return bool(arguments) and Path(command).name.startswith(("python", "node", "deno", "bun", "ruby", "java"))


@dataclass(frozen=True)
class Hello:
    """What a program says about itself."""

    reply: Mapping[str, Any]
    """The reply to hello, without its id."""

    @classmethod
    def of(cls, reply: Mapping[str, Any], program: Program) -> Hello:
        """Return what a reply says, checked beyond its shape.

        Raises
        ------
        ReconcilerError
            It names a rule twice, or gives a key no column.
        """
        found = cls({name: value for name, value in reply.items() if name != "id"})
        for what in ("rules", "invariants"):
            names = [one["name"] for one in found.reply.get(what, ())]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ReconcilerError(f"{program.name} says hello with two {what} named {excerpt(twice)}.")
        for name, table in found.reply["tables"].items():
            missing = [one for one in table["key"] if one not in table["columns"]]
            if missing:
                raise ReconcilerError(
                    f"{program.name} says hello with a table {name!r} whose key {missing[0]!r} is no column of it; its "
                    f"columns are {list(table['columns'])}."
                )
        return found

    @property
    def name(self) -> str:
        """The program's name for itself."""
        return str(self.reply["name"])

    @property
    def tables(self) -> dict[str, Table]:
        """Its state tables."""
        return {name: Table(one["key"], one["columns"]) for name, one in self.reply["tables"].items()}

    def names(self, what: str) -> list[str]:
        """Return what it lists: ``handles``, ``ignores``, ``acts``, ``schema``."""
        return list(self.reply.get(what, ()))

    def declared(self, what: str) -> list[tuple[str, tuple[str, ...]]]:
        """Return names and keys of ``rules`` or ``invariants``."""
        return [(one["name"], tuple(one["key"])) for one in self.reply.get(what, ())]

    def says(self, what: str) -> bool:
        """Return whether it says yes to ``rollback`` or ``reads``."""
        return bool(self.reply.get(what))

    def params_of(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameters as the program is given them."""
        return {name: as_json(value) for name, value in params.items()}
