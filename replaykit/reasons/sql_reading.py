"""Reading a rule's SQL: its text as SELECTs whose columns say whose they are, or a word on why it can't be read so."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from replaykit.reasons.sql_bench import ROWID, CannotSplitError

if TYPE_CHECKING:
    from replaykit.reasons.sql_bench import Bench

__all__ = ["branches_of", "outer_columns", "place_of", "qualified", "text_of", "written"]


Shape: TypeAlias = "tuple[tuple[str, tuple[str, ...], bool], ...]"
"""Names and columns of what a statement may read, and whether it is a state table."""


def written(node: Any) -> str:
    """Return a node as SQL."""
    return str(node.sql("duckdb", comments=False, normalize_functions=False))


def text_of(node: Any) -> str:
    """Return a node as its author wrote it, but for white space and the spelling of functions and types."""
    return str(node.meta.get("text") or written(node))


def place_of(node: Any) -> int:
    """Return where in the text a node stands, for putting nodes in order."""
    return int(node.meta.get("place", 1 << 30))


def qualified(bench: Bench, text: str) -> Any:
    """Return a statement's tree: columns with their table, stars and aliases spelt out, simple subqueries merged.

    Raises
    ------
    CannotSplitError
        It can't be read, or doesn't mean the same when read so.
    """
    shape = tuple((name, tuple(columns), name in bench.tables) for name, columns in bench.types.items())
    return _read(text, shape).copy()


@lru_cache(maxsize=64)
def _read(text: str, shape: Shape) -> Any:
    import sqlglot
    from sqlglot import exp
    from sqlglot.optimizer.merge_subqueries import merge_subqueries
    from sqlglot.optimizer.qualify import qualify

    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
        _mark(tree)
        shadowed = [cte.alias for cte in tree.find_all(exp.CTE) if cte.alias.lower() in [name for name, _, _ in shape]]
        if shadowed:
            raise CannotSplitError(f"WITH names {shadowed[0]!r}, which is a table's name too")
        tree = qualify(tree, dialect="duckdb", schema=_schema(shape), validate_qualify_columns=False)
        tree = merge_subqueries(tree)
    except CannotSplitError:
        raise
    except Exception as exc:
        raise CannotSplitError(f"it can't be read: {(str(exc).splitlines() or [type(exc).__name__])[0]}") from exc
    _plain_using(tree)
    _check_columns(tree)
    return tree


def _schema(shape: Shape) -> Any:
    """Return tables and columns for sqlglot. State tables have a ``rowid``, which * does not stand for."""
    from sqlglot.schema import MappingSchema

    every: dict[str, object] = {
        name: dict.fromkeys([*columns, *([ROWID] if held else [])], "UNKNOWN") for name, columns, held in shape
    }
    seen: dict[str, object] = {name: list(columns) for name, columns, _ in shape}
    return MappingSchema(every, visible=seen, dialect="duckdb", normalize=False)


def _mark(tree: Any) -> None:
    """Note on each node its text and its place, which rewriting keeps."""
    from sqlglot import exp

    kinds = (exp.Condition, exp.Join, exp.Ordered, exp.Query, exp.Filter)
    for place, node in enumerate(list(tree.dfs())):
        node.meta["place"] = place
        if isinstance(node, kinds) and not isinstance(node, (exp.Column, exp.Literal)):
            node.meta["text"] = written(node)
    for node in tree.find_all(exp.Column):
        node.meta["text"] = written(node)


def _plain_using(tree: Any) -> None:
    """Put the first table's column where reading made COALESCE of the two that USING names."""
    from sqlglot import exp

    for node in list(tree.find_all(exp.Coalesce)):
        if "place" not in node.meta:
            node.replace(node.this.copy())


def _check_columns(tree: Any) -> None:
    from sqlglot import exp

    if tree.find(exp.Columns) is not None or any(
        not isinstance(one.parent, exp.Count) for one in tree.find_all(exp.Star)
    ):
        raise CannotSplitError("a * that only DuckDB can spell out")
    for column in tree.find_all(exp.Column):
        if not column.table and column.find_ancestor(exp.Lambda, exp.Order) is None and column.name != "*":
            raise CannotSplitError(f"column {column.name!r} is of no table it names")


def branches_of(tree: Any) -> list[Any]:
    """Return the SELECTs whose rows a statement puts one behind the other.

    Raises
    ------
    CannotSplitError
        Its rows are not just those of SELECTs.
    """
    from sqlglot import exp

    if isinstance(tree, exp.Subquery) and not _modified(tree):
        return branches_of(tree.this)
    if isinstance(tree, exp.Select):
        return [tree]
    if not isinstance(tree, exp.Union) or tree.args.get("by_name"):
        raise CannotSplitError(
            f"{type(tree).__name__.upper()}{' BY NAME' * isinstance(tree, exp.Union)} of whole results"
        )
    found = [*branches_of(tree.left), *branches_of(tree.right)]
    given = tree.args.get("with_")
    return [_with(branch, given) for branch in found] if given is not None else found


def _modified(tree: Any) -> bool:
    return any(value for key, value in tree.args.items() if key not in ("this", "alias"))


def _with(branch: Any, given: Any) -> Any:
    branch = branch.copy()
    if branch.args.get("with_") is None:
        branch.set("with_", given.copy())
    return branch


def outer_columns(node: Any) -> list[Any]:
    """Return the columns in a node that belong to what stands around it, in the order of the text."""
    from sqlglot import exp

    found = [column for column in node.find_all(exp.Column) if column.table and not _is_inner(column, node)]
    return sorted(found, key=place_of)


def _is_inner(column: Any, root: Any) -> bool:
    """Return whether a SELECT inside `root` has the source a column belongs to."""
    from sqlglot import exp

    node = column
    while node is not root:
        node = node.parent
        if isinstance(node, exp.Select) and column.table in _aliases(node):
            return True
    return False


def _aliases(select: Any) -> set[str]:
    clauses = [select.args.get("from_"), *(select.args.get("joins") or ())]
    return {clause.this.alias_or_name for clause in clauses if clause is not None}
