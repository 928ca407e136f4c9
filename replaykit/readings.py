"""What a SELECT reads of each state table: the columns, and which rows it lets in at all.

Read off its syntax tree, and never too little: a column counts as read wherever its name could mean it, and whatever
is not understood counts as everything. So an answer is still right after changes that no reading sees.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from replaykit.row_filters import RowFilter, is_plain, row_filters, sources_of
from replaykit.sql import words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from replaykit.rows import Row
    from replaykit.sql import Statement

__all__ = ["Reading", "Shape", "differs", "is_exact", "readings"]

Shape = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""Tables, each with its columns and their types."""

_WHOLE = frozenset({"columns", "natural"})  # words that read columns without naming them


@dataclass(frozen=True)
class Reading:
    """What a statement reads of one table."""

    columns: frozenset[str]
    filters: tuple[RowFilter, ...] = ()
    """One for each place in which it names the table, none if some place lets every row in."""

    def sees(self, row: Row) -> bool:
        """Return whether the statement can see a row."""
        return not self.filters or any(one(row) for one in self.filters)


def differs(columns: Iterable[str], types: Mapping[str, str]) -> Callable[[Row, Row], bool]:
    """Return what tells whether two versions of a row differ for SQL in some of these columns."""
    read = sorted(columns)
    if not read:
        return lambda _one, _other: False
    values = itemgetter(*read)
    if is_exact(read, types):
        return lambda one, other: bool(values(one) != values(other))
    return lambda one, other: bool(values(one) != values(other)) or repr(values(one)) != repr(values(other))


def is_exact(columns: Iterable[str], types: Mapping[str, str]) -> bool:
    """Return whether equal values of these columns are the same for SQL too, as 0.0 and -0.0 are not."""
    return not any(types[name].upper() in ("DOUBLE", "FLOAT", "REAL") for name in columns)


@lru_cache(maxsize=1024)
def readings(statement: Statement, tables: Shape) -> Mapping[str, Reading]:
    """Return what a checked SELECT reads, by the name of the state table."""
    import sqlglot
    from sqlglot import errors, exp

    named = {name: dict(columns) for name, columns in tables if name.lower() in statement.words}
    whole = {name: Reading(frozenset(columns)) for name, columns in named.items()}
    if not _WHOLE.isdisjoint(statement.words):
        return whole
    try:
        tree = sqlglot.parse_one(statement.text, dialect="duckdb")
    except errors.SqlglotError:
        return whole
    if not isinstance(tree, exp.Query):
        return whole
    words = Counter(words_of(statement.text))
    columns = _Columns(tree, named, words).found()
    shown = Counter(node.name.lower() for node in tree.find_all(exp.Identifier))
    return {
        name: Reading(
            frozenset(columns[name]),
            row_filters(tree, name, types, statement.text) if words[name.lower()] == shown[name.lower()] else (),
        )
        for name, types in named.items()
    }


class _Columns:
    """The columns one statement reads, found by going through every identifier in it."""

    def __init__(self, tree: Any, tables: Mapping[str, Mapping[str, str]], words: Counter[str]) -> None:
        self._tree = tree
        self._words = words
        self._names = {name.lower(): name for name in tables}
        self._columns = {name: {column.lower(): column for column in columns} for name, columns in tables.items()}
        self._read: dict[str, set[str]] = {name: set() for name in tables}
        self._sources = self._aliases()

    def _aliases(self) -> dict[str, set[str | None]]:
        """Return what each name in front of a column can mean: state tables, or None for anything else."""
        from sqlglot import exp

        found: dict[str, set[str | None]] = {}
        for node in self._tree.find_all(exp.TableAlias, exp.Table):
            source = node.parent if isinstance(node, exp.TableAlias) else node
            table = self._names.get(source.name.lower()) if isinstance(source, exp.Table) else None
            found.setdefault(node.name.lower(), set()).add(table)
        return found

    def found(self) -> dict[str, set[str]]:
        """Return the columns of each table."""
        from sqlglot import exp

        seen: Counter[str] = Counter()
        for node in self._tree.find_all(exp.Identifier):
            seen[node.name.lower()] += 1
            self._take(node)
        for node in self._tree.find_all(exp.Star):
            if not isinstance(node.parent, exp.Count):
                self._take_star(node)
        for node in self._tree.find_all(exp.TableAlias):
            if node.args.get("columns") and isinstance(node.parent, exp.Table):
                self._take_all(self._sources[node.name.lower()])
        for word, number in self._words.items():
            if number != seen[word]:  # the tree does not show it where the text has it
                self._take_anywhere(word)
        found = {name for names in self._sources.values() for name in names}
        self._take_all(name for name in self._names.values() if name not in found)
        return self._read

    def _take(self, node: Any) -> None:
        from sqlglot import exp

        parent, role = node.parent, node.arg_key
        given = {exp.Alias: ("alias",), exp.Table: ("this", "db", "catalog"), exp.TableAlias: ("this",)}
        if role in given.get(type(parent), ()):
            return  # it gives a name
        if isinstance(parent, exp.Column) and role == "table":
            self._take_named(node.name.lower(), self._names.values())  # it may be a column, and what follows a field
        elif isinstance(parent, exp.Column) and role == "this" and not parent.args.get("db"):
            self._take_column(parent)
        else:
            self._take_anywhere(node.name.lower())

    def _take_column(self, column: Any) -> None:
        name, behind = column.name.lower(), column.table.lower()
        if behind:
            owners = self._sources.get(behind)
        else:
            owners = self._owners(column)
            self._take_all(self._sources.get(name, ()))  # a whole row, if it names a table
        if owners is None:
            self._take_anywhere(name)
        else:
            self._take_named(name, owners)

    def _owners(self, column: Any) -> set[str | None] | None:
        """Return the tables a bare column can belong to; None if that can't be told."""
        from sqlglot import exp

        hidden = {cte.alias_or_name.lower() for cte in self._tree.find_all(exp.CTE)}
        select = column.find_ancestor(exp.Select)
        while select is not None:
            sources = [source for source, _ in sources_of(select)]
            tables = [self._names.get(source.name.lower()) for source in sources if is_plain(source)]
            if len(tables) < len(sources) or None in tables or not hidden.isdisjoint(s.name.lower() for s in sources):
                return None
            fits = {name for name in tables if name is not None and column.name.lower() in self._columns[name]}
            if fits:
                return {*fits}
            select = select.find_ancestor(exp.Select)
        return None

    def _take_star(self, star: Any) -> None:
        from sqlglot import exp

        table = star.parent.table.lower() if isinstance(star.parent, exp.Column) else ""
        self._take_all(self._sources.get(table) or self._names.values())

    def _take_anywhere(self, name: str) -> None:
        self._take_named(name, self._names.values())
        self._take_all(self._sources.get(name, ()))

    def _take_named(self, name: str, tables: Iterable[str | None]) -> None:
        for table in tables:
            if table is not None and name in self._columns[table]:
                self._read[table].add(self._columns[table][name])

    def _take_all(self, tables: Iterable[str | None]) -> None:
        for table in tables:
            if table is not None:
                self._read[table].update(self._columns[table].values())
