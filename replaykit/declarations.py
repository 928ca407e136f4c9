"""The words a reconciler is written in: Table, Action, and what a projection, a rule and an invariant consist of."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from replaykit.errors import ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from replaykit.sql import Statement

__all__ = ["Action", "Handler", "Invariant", "Projection", "Rule", "Table"]


class Handler(Protocol):
    """A function that folds one event (or applies one action) into state."""

    def __call__(self, state: Any, event: Any, /) -> object:
        """Read and write `state`; what is returned is not looked at."""


class Table:
    """A state table: its key and its typed columns.

    Parameters
    ----------
    key
        One column name or several. Keys never change: a new key is a delete and an insert.
    columns
        Column name to DuckDB type, for names that are no Python identifiers; `typed` says the same as keywords.
        ``"jobs.id"`` is the type that column ``id`` of table ``jobs`` has in the recording.
        Without any the columns are taken from the recording's snapshot of this table.
    defaults
        Values an `insert` puts where it is given none; NULL otherwise.
    """

    def __init__(
        self,
        key: str | Sequence[str],
        columns: Mapping[str, str] | None = None,
        *,
        defaults: Mapping[str, Any] | None = None,
        **typed: str,
    ) -> None:
        self.key: tuple[str, ...] = (key,) if isinstance(key, str) else tuple(key)
        self.columns: dict[str, str] = {**(columns or {}), **typed}
        self.defaults: dict[str, Any] = dict(defaults or {})
        if not self.key:
            raise ReconcilerError("A Table needs a key; name the column or columns that identify a row.")
        if self.columns:
            for name in self.key:
                self.columns.setdefault(name, "VARCHAR")
            self.columns = {name: self.columns[name] for name in (*self.key, *self._rest())}
        unknown = [name for name in self.defaults if self.columns and name not in self.columns]
        if unknown:
            raise ReconcilerError(f"Table defaults name {unknown}; its columns are {list(self.columns)}.")

    def _rest(self) -> list[str]:
        return [name for name in self.columns if name not in self.key]

    def __repr__(self) -> str:
        return f"Table(key={list(self.key)!r}, columns={list(self.columns)!r})"


class Action:
    """What a rule asked for: a kind and its fields. Captured in order, not carried out.

    ``action["job_id"]`` is a field. Two actions are equal if kind and fields are.
    """

    __slots__ = ("fields", "kind")

    def __init__(self, kind: str, /, **fields: Any) -> None:
        self.kind = kind
        self.fields: Mapping[str, Any] = MappingProxyType(fields)

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, or `default` if the action has none of that name."""
        return self.fields.get(name, default)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Action) and (self.kind, self.fields) == (other.kind, other.fields)

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.fields)))

    def __repr__(self) -> str:
        return f"Action({', '.join([repr(self.kind), *(f'{k}={v!r}' for k, v in self.fields.items())])})"


@dataclass(frozen=True)
class Projection:
    """A SELECT over ``events`` that gives ``step``, the key and columns of one state table."""

    table: str
    statement: Statement
    delete: bool = False


@dataclass(frozen=True)
class Rule:
    """Decides what is missing, at every tick: a Python generator over ``(state, now)``, or a SELECT."""

    name: str
    key: tuple[str, ...]
    function: Callable[..., Iterable[Action] | None] | None = None
    statement: Statement | None = None
    action: str | None = None
    """Kind of the actions of a SQL rule; its name if not given."""
    each: Callable[..., Iterable[Any]] | None = None
    """Gives ``(state, now)`` the items for each of which the function is called as ``(state, now, item)``."""


@dataclass(frozen=True)
class Invariant:
    """A condition that should hold at every tick: each row it returns is one breach."""

    name: str
    key: tuple[str, ...]
    function: Callable[..., Iterable[Mapping[str, Any]] | None] | None = None
    statement: Statement | None = None
