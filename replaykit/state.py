"""State: what handlers and Python rules see. A working set in memory, the clock, the parameters, the log of changes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from replaykit.errors import StateError
from replaykit.projected_table import ProjectedTable
from replaykit.state_table import Change, StateTable

if TYPE_CHECKING:
    from replaykit.declarations import Table
    from replaykit.rows import Row

__all__ = ["Change", "ProjectedTable", "State", "StateTable"]


class State:
    """The state of every table, the clock and the parameters, as handlers and Python rules see them."""

    def __init__(
        self, tables: Mapping[str, Table], params: Mapping[str, Any], *, projected: Iterable[str] = (), seed: int = 0
    ) -> None:
        self.params = _Params(params)
        self.step = 0
        self.now: Any = None
        """The clock of the running handler or tick: naive UTC datetime."""
        self._seed = seed
        self._random: random.Random | None = None
        self.changes: list[Change] = []
        self._log = self.changes.append
        self._counters: dict[str, int] = {}
        filled = frozenset(projected)
        self._tables = {
            name: (ProjectedTable if name in filled else StateTable)(name, table, self)
            for name, table in tables.items()
        }
        self._sql: Callable[[str, Mapping[str, Any] | None], list[Row]] | None = None
        self._program: Any = None  # the session of an external program that works on this state

    def __getitem__(self, name: str) -> StateTable:
        try:
            return self._tables[name]
        except KeyError:
            raise StateError(f"There is no state table {name!r}; the tables are {list(self._tables)}.") from None

    def __getattr__(self, name: str) -> StateTable:
        if not name.startswith("_") and name in self._tables:
            return self._tables[name]
        raise AttributeError(f"no table or attribute {name!r}; the tables are {list(self._tables)}")

    def __repr__(self) -> str:
        return f"State(step {self.step}, {', '.join(f'{len(t)} {n}' for n, t in self._tables.items())})"

    @property
    def tables(self) -> Mapping[str, StateTable]:
        """State tables by name."""
        return self._tables

    def sql(self, query: str, params: Mapping[str, Any] | None = None, /, **named: Any) -> list[Row]:
        """Run one guarded SELECT, INSERT, UPDATE or DELETE on the replayed state, inside its transaction.

        Parameters come as ``$name``; ``$now`` and the reconciler's parameters are there already.

        Returns
        -------
        list of Row
            The rows of a SELECT in its order; the changed rows of a write, in key order.

        Raises
        ------
        GuardError
            The statement reads a clock, draws, reaches outside, or assigns a key column.
        """
        if self._sql is None:
            raise StateError("state.sql works while a replay runs, not on a State made by hand.")
        return self._sql(query, {**(params or {}), **named})

    @property
    def random(self) -> random.Random:
        """A generator seeded the same way in every replay."""
        if self._random is None:
            self._random = random.Random(self._seed)  # noqa: S311 - repeatable is what it is for
        return self._random

    def drawn(self) -> tuple[Any, Any]:
        """Return what `put_back` needs to make `new_id` and ``random`` give the same once more."""
        return dict(self._counters), self._random.getstate() if self._random is not None else None

    def put_back(self, drawn: tuple[Any, Any]) -> None:
        """Return to what `drawn` saw."""
        self._counters, stream = dict(drawn[0]), drawn[1]
        if stream is None:
            self._random = None
        elif self._random is not None:
            self._random.setstate(stream)

    def new_id(self, prefix: str) -> str:
        """Return ``prefix-0001``, ``prefix-0002``, ...: counted per prefix, the same in every replay.

        The count goes on behind the highest number that any key holds when the prefix is first used.
        """
        before = self._counters.get(prefix)
        number = self._counters[prefix] = (self._highest(prefix) if before is None else before) + 1
        return f"{prefix}-{number:04d}"

    def _highest(self, prefix: str) -> int:
        """Return the highest number behind ``prefix-`` in any key, 0 if there is none."""
        pattern = re.compile(re.escape(prefix) + r"-([0-9]{4,18})")
        parts = (part for table in self._tables.values() for key in table._rows for part in _parts(key))
        found = (pattern.fullmatch(part) for part in parts if isinstance(part, str))
        return max((int(match[1]) for match in found if match), default=0)

    def undo(self, mark: int) -> None:
        """Take back every change logged after the first `mark`, newest first."""
        while len(self.changes) > mark:
            _, table, key, new, old, born = self.changes.pop()
            table._restore(key, new, old, born)

    def replace(self, name: str, rows: Iterable[Row]) -> None:
        """Let a projected table hold these rows instead, in this order, without logging a change."""
        table = self._tables[name]
        if isinstance(table, ProjectedTable):
            table.replace(rows)

    def image(self) -> dict[str, list[Row]]:
        """Return every table's rows in insertion order; rows are shared, not copied."""
        return {name: table.find() for name, table in self._tables.items()}


def _parts(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


class _Params(Mapping[str, Any]):
    """The reconciler's parameters: read-only, by item or attribute."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        # Rules read these at every tick, and `__getattr__` takes twenty times as long. The class's own names stay.
        self.__dict__.update({name: value for name, value in values.items() if not hasattr(type(self), name)})
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(
                f"no parameter {name!r}; there are {sorted(self.__dict__.get('_values', {}))}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
