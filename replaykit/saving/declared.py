"""What a reconciler declares, as text: kept with a saved run, compared with a reconciler that is given to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from replaykit.declarations import Invariant, Projection, Rule, Table
from replaykit.errors import FormatError, ReconcilerError, ReplayKitError, excerpt
from replaykit.reconciler import Reconciler, source_of
from replaykit.saving.values import from_text, to_text
from replaykit.sql import check_query

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SavedRules", "describe", "differences"]

_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*(\(\s*\d+\s*(,\s*\d+\s*)?\))?")


class SavedRules(Reconciler):
    """What a saved run knows of its reconciler: names, keys, tables, parameters and texts, and no code to run."""

    digest_saved: str = ""
    told: Mapping[str, Any]
    """What `describe` gave when the run was saved."""

    def digest(self) -> str:
        """Return the digest of the rules that ran."""
        return self.digest_saved

    def copy(self) -> NoReturn:
        """Refuse: there is nothing that could be run.

        Raises
        ------
        ReconcilerError
            Always.
        """
        raise ReconcilerError(
            f"This is what a saved run knows of its reconciler {self.name!r}: texts, no code that runs. Use the "
            "reconciler itself; rk.open_run(path, reconciler=...) takes it too."
        )


def describe(reconciler: Reconciler) -> dict[str, Any]:
    """Return what a reconciler declares, as JSON has it: names, keys, SQL, sources of functions."""
    if isinstance(reconciler, SavedRules):
        return dict(reconciler.told)
    return {
        "name": reconciler.name,
        "rules_fail_together": reconciler.rules_fail_together,
        "params": {name: to_text(value) for name, value in reconciler.params.items()},
        "tables": {name: _table(table) for name, table in reconciler.tables.items()},
        "handlers": {kind: source_of(one) for kind, one in reconciler.handlers.items()},
        "appliers": {kind: source_of(one) for kind, one in reconciler.appliers.items()},
        "projections": [[one.table, one.delete, one.statement.text] for one in reconciler.projections],
        "rules": {name: _declared(one) for name, one in reconciler.rules.items()},
        "invariants": {name: _declared(one) for name, one in reconciler.invariants.items()},
        "ignored": sorted(reconciler.ignored),
        "measures": [source_of(one) for one in reconciler.measures],
    }


def _table(table: Table) -> dict[str, Any]:
    return {"key": list(table.key), "columns": dict(table.columns), "defaults": to_text(table.defaults)}


def _declared(one: Rule | Invariant) -> dict[str, Any]:
    each = getattr(one, "each", None)
    return {
        "key": list(one.key),
        "sql": one.statement.text if one.statement else None,
        "source": None if one.statement else source_of(one.function),
        "action": getattr(one, "action", None),
        "each": source_of(each) if each else None,
    }


def rules_from(told: Mapping[str, Any], digest: str) -> SavedRules:
    """Return what `describe` told, as a reconciler without code.

    Raises
    ------
    FormatError
        It was not told like this.
    """
    tables = {name: _table_from(one) for name, one in told["tables"].items()}
    params = {name: from_text(text) for name, text in told["params"].items()}
    made = SavedRules(str(told["name"]), tables, params, bool(told["rules_fail_together"]))
    made.told, made.digest_saved = told, digest
    made.rules = {
        name: Rule(name, tuple(one["key"]), statement=_statement(one), action=one["action"])
        for name, one in told["rules"].items()
    }
    made.invariants = {
        name: Invariant(name, tuple(one["key"]), statement=_statement(one)) for name, one in told["invariants"].items()
    }
    made.handlers = dict.fromkeys(told["handlers"], _not_here)
    made.appliers = dict.fromkeys(told["appliers"], _not_here)
    made.projections = [Projection(table, _checked(text), delete) for table, delete, text in told["projections"]]
    made.ignored = set(told["ignored"])
    return made


def _table_from(one: Mapping[str, Any]) -> Table:
    for type in one["columns"].values():
        if not _TYPE.fullmatch(type):
            raise FormatError(f"The file declares a column as {excerpt(type)}, which is no type; it was not read.")
    return Table(tuple(map(str, one["key"])), one["columns"], defaults=from_text(one["defaults"]))


def _statement(one: Mapping[str, Any]) -> Any:
    return None if one["sql"] is None else _checked(one["sql"])


def _checked(text: str) -> Any:
    try:
        return check_query(text, what="A saved rule")
    except ReplayKitError as error:
        raise FormatError(f"The file holds a rule that may not run: {excerpt(str(error))}.") from None


def _not_here(_state: Any, _input: Any) -> NoReturn:
    raise ReconcilerError("A saved run has no code of its handlers; use the reconciler itself.")


def differences(saved: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Return what was declared in another way, part by part and by name; empty if it all reads the same."""
    found = [f"{what} {saved[what]!r} is now {given[what]!r}" for what in _SINGLE if saved[what] != given[what]]
    for what, parts in _NAMED.items():
        found += _by_name(what, saved[parts], given[parts])
    listed = (("ignored kinds", "ignored"), ("projections", "projections"), ("measures", "measures"))
    return found + [f"{what} differ" for what, part in listed if saved[part] != given[part]]


_SINGLE = ("name", "rules_fail_together")
_NAMED = {
    "param": "params",
    "table": "tables",
    "rule": "rules",
    "invariant": "invariants",
    "handler": "handlers",
    "applier": "appliers",
}


def _by_name(what: str, saved: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*saved, *given]):
        if name not in given:
            yield f"{what} {name!r} is gone"
        elif name not in saved:
            yield f"{what} {name!r} is new"
        elif saved[name] != given[name]:
            values = [from_text(one[name]) for one in (saved, given)] if what == "param" else None
            yield f"{what} {name!r}" + (f": {values[0]!r} is now {values[1]!r}" if values else " differs")
    if list(saved) != list(given) and sorted(saved) == sorted(given) and what in ("rule", "invariant"):
        yield f"the order of {what}s differs"
