"""Reconciler: a system's own rules, declared; Table and Action are the words it is written in."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from replaykit.declarations import Action, Handler, Invariant, Projection, Rule, Table
from replaykit.dialects import checked_query, translate_anew
from replaykit.errors import ReconcilerError, excerpt

if TYPE_CHECKING:
    from replaykit.problems import Problem
    from replaykit.sql import Statement
    from replaykit.state import State

__all__ = ["Action", "Handler", "Invariant", "Projection", "Reconciler", "Rule", "Table", "reconciler_of"]


_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass
class Reconciler:
    """A system's rules: how events change state, what is done about it, and what should hold.

    Parameters
    ----------
    name
        Shown in results and errors.
    tables
        State tables by name.
    params
        Thresholds and other parameters: ``state.params["patience"]`` in Python, ``$patience`` in SQL.
    rules_fail_together
        One rule that raises takes the other actions of its tick with it, as in a program whose rules are one function.

    Notes
    -----
    `replay` takes a copy, with the digest of every function's source, so that a run says which rules ran.
    """

    name: str
    tables: Mapping[str, Table] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    rules_fail_together: bool = False

    def __post_init__(self) -> None:
        self.tables = dict(self.tables)
        self.params = dict(self.params)
        self.handlers: dict[str, Handler] = {}
        self.appliers: dict[str, Handler] = {}
        self.projections: list[Projection] = []
        self.rules: dict[str, Rule] = {}
        self.invariants: dict[str, Invariant] = {}
        self.ignored: set[str] = set()
        self.measures: list[Callable[..., Any]] = []
        for name, table in self.tables.items():
            if not isinstance(table, Table):
                raise ReconcilerError(f"tables[{name!r}] is a {type(table).__name__}; expected rk.Table(key=...).")

    def __repr__(self) -> str:
        parts = [
            f"{len(self.tables)} tables",
            f"{len(self.handlers)} handlers",
            f"{len(self.projections)} projections",
            f"{len(self.rules)} rules",
            f"{len(self.invariants)} invariants",
        ]
        return f"Reconciler({self.name!r}, {', '.join(parts)})"

    def apply(self, *kinds: str) -> Callable[[_F], _F]:
        """Register a function ``(state, event)`` that folds events of these kinds into state."""
        return self._register(self.handlers, kinds, "apply")

    def act(self, *kinds: str) -> Callable[[_F], _F]:
        """Register a function ``(state, action)`` that applies actions of these kinds to state.

        It may return an `Action`, or several: what the system would start afterwards, outside its state. They are not
        carried out; ``run.effects`` lists them.
        """
        return self._register(self.appliers, kinds, "act")

    def _register(self, registry: dict[str, Handler], kinds: tuple[str, ...], what: str) -> Callable[[_F], _F]:
        if not kinds or not all(isinstance(kind, str) for kind in kinds):
            raise ReconcilerError(
                f"@{self.name}.{what}(...) needs the kinds it handles, such as @{self.name}.{what}('x')."
            )

        def register(function: _F) -> _F:
            for kind in kinds:
                registry[kind] = function
            return function

        return register

    def project(self, table: str, query: str, *, delete: bool = False, dialect: str | None = None) -> None:
        """Fill a state table from a SELECT over ``events``, set-based and fast.

        Parameters
        ----------
        query
            Gives ``step``, the table's key and any columns. A column it selects is set, also to NULL; one it does not
            select is left. Several rows for one key and step: the last in the query's own order counts.
        delete
            Rows name keys to remove instead.
        dialect
            As for `rule`.

        Raises
        ------
        ReconcilerError
            The table is not declared.
        GuardError
            The query is not one harmless SELECT.
        """
        if table not in self.tables:
            raise ReconcilerError(f"project({table!r}, ...): no such table; the tables are {list(self.tables)}.")
        statement = self._statement(query, f"Projection of {table!r}", dialect)
        self.projections.append(Projection(table, statement, delete))

    def _statement(self, query: str, what: str, dialect: str | None) -> Statement:
        return checked_query(query, what=what, dialect=dialect, tables=self.tables, params=self.params)

    def rule(
        self,
        name: str,
        query: str | None = None,
        *,
        key: str | Sequence[str],
        action: str | None = None,
        each: Callable[..., Iterable[Any]] | None = None,
        dialect: str | None = None,
    ) -> Callable[[_F], _F]:
        """Register a rule: as a decorator of ``(state, now)`` yielding `Action`, or with a SELECT as `query`.

        `key` names the fields that identify an action of this rule, so that it can be followed over ticks. A SQL rule
        emits one action for each row, with the row's columns as fields, in the query's order.

        With `each`, a function ``(state, now)`` that gives items, the rule is ``(state, now, item)``; rules declared
        one after another with the same `each` take turns at every item.

        With `dialect`, ``"sqlite"`` or ``"postgres"``, the SELECT is translated to DuckDB's SQL and its clock becomes
        ``$now``; a GuardError names a fragment that has no exact counterpart. See `replaykit.dialects.translated`.
        """
        statement = self._statement(query, f"Rule {name!r}", dialect) if query is not None else None
        keys = (key,) if isinstance(key, str) else tuple(key)
        if statement is not None:
            self.rules[name] = Rule(name, keys, statement=statement, action=action or name)

        def register(function: _F) -> _F:
            self.rules[name] = Rule(name, keys, function=function, action=action, each=each)
            return function

        return register

    def invariant(
        self, name: str, query: str | None = None, *, key: str | Sequence[str], dialect: str | None = None
    ) -> Callable[[_F], _F]:
        """Register an invariant: as a decorator of ``(state, now)`` yielding mappings, or with a SELECT as `query`.

        Every row is one breach; `key` names the columns that identify it over ticks; `dialect` is as for `rule`.
        """
        statement = self._statement(query, f"Invariant {name!r}", dialect) if query is not None else None
        keys = (key,) if isinstance(key, str) else tuple(key)
        if statement is not None:
            self.invariants[name] = Invariant(name, keys, statement=statement)

        def register(function: _F) -> _F:
            self.invariants[name] = Invariant(name, keys, function=function)
            return function

        return register

    def measure(self, function: _F) -> _F:
        """Register a function that adds columns to ``run.metrics``: given the run, it returns a frame with ``tick``."""
        self.measures.append(function)
        return function

    def ignore(self, *kinds: str) -> None:
        """Declare kinds of events that change no state, so that they are not counted as unhandled."""
        self.ignored.update(kinds)

    def without(self, *names: str) -> Reconciler:
        """Return a copy without these rules or invariants."""
        twin = self.copy()
        for name in names:
            if name not in twin.rules and name not in twin.invariants:
                raise ReconcilerError(
                    f"without({name!r}): no such rule or invariant; there are {[*twin.rules, *twin.invariants]}."
                )
            twin.rules.pop(name, None)
            twin.invariants.pop(name, None)
        return twin

    def with_params(self, **params: Any) -> Reconciler:
        """Return a copy with some parameters changed; the name must exist, so that a typo can't pass."""
        unknown = [name for name in params if name not in self.params]
        if unknown:
            raise ReconcilerError(f"with_params: no parameter {unknown}; there are {list(self.params)}.")
        twin = self.copy()
        twin.params = {**self.params, **params}
        translate_anew(twin, params)
        return twin

    @property
    def caveat(self) -> str:
        """What a verdict says beside what it found; nothing for rules that run in this process."""
        return ""

    @contextmanager
    def running(self, state: State, on_error: str) -> Iterator[list[Problem]]:  # noqa: ARG002
        """Hold what the rules need for the length of one replay on a loaded state; gives the problems it met, after."""
        yield []

    def declared(self) -> list[Rule | Invariant]:
        """Return rules, then invariants, in order of declaration: the order in which a tick evaluates them."""
        return [*self.rules.values(), *self.invariants.values()]

    def copy(self) -> Reconciler:
        """Return an independent copy; functions are shared, registrations are not."""
        twin = copy.copy(self)
        for name in (
            "tables",
            "params",
            "handlers",
            "appliers",
            "projections",
            "rules",
            "invariants",
            "ignored",
            "measures",
        ):
            setattr(twin, name, copy.copy(getattr(self, name)))
        return twin

    def digest(self) -> str:
        """Return 16 hex digits over every declaration and function source; equal rules give equal digests."""
        parts = [self.name, *(f"{k}={v!r}" for k, v in sorted(self.params.items()))]
        parts += [f"{name}:{table!r}" for name, table in self.tables.items()]
        parts += [f"{p.table}:{p.delete}:{p.statement.text}" for p in self.projections]
        for registry in (self.handlers, self.appliers):
            parts += [f"{kind}:{source_of(function)}" for kind, function in sorted(registry.items())]
        for declared in self.declared():
            text = declared.statement.text if declared.statement else source_of(declared.function)
            each = getattr(declared, "each", None)
            parts.append(f"{declared.name}:{declared.key}:{text}" + (f":{source_of(each)}" if each else ""))
        parts += sorted(self.ignored)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def check(self) -> None:
        """Raise ReconcilerError if the declarations can't work together."""
        for name, value in self.params.items():
            if not name.isidentifier() or name == "now":
                raise ReconcilerError(
                    f"Parameter {name!r} = {excerpt(value)}: expected an identifier other than 'now'."
                )
        for declared in self.declared():
            self._check_parameters(declared.statement, f"{type(declared).__name__} {declared.name!r}")
        for projection in self.projections:
            self._check_parameters(projection.statement, f"Projection of {projection.table!r}", clock=False)

    def _check_parameters(self, statement: Statement | None, what: str, *, clock: bool = True) -> None:
        known = set(self.params) | ({"now"} if clock else set())
        unknown = sorted(statement.parameters - known) if statement else []
        if unknown:
            raise ReconcilerError(f"{what} uses ${unknown[0]}, which is not declared; parameters are {sorted(known)}.")


def reconciler_of(given: Any) -> Reconciler:
    """Return a reconciler, or the one that a module such as ``replaykit.systems.gastown`` holds as `reconciler`.

    Raises
    ------
    ReconcilerError
        It is neither.
    """
    found = getattr(given, "reconciler", None) if isinstance(given, ModuleType) else given
    if not isinstance(found, Reconciler):
        raise ReconcilerError(
            f"reconciler is {excerpt(given)}; expected an rk.Reconciler, or a module that has one as `reconciler`."
        )
    return found


def source_of(function: object) -> str:
    """Return a function's source, or its qualified name where Python kept none."""
    try:
        return inspect.getsource(inspect.unwrap(function))  # type: ignore[arg-type]
    except (OSError, TypeError):
        return getattr(function, "__qualname__", repr(type(function)))
