"""Which clause behind the conditions left a row out: LIMIT, QUALIFY or DISTINCT ON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.reasons.sql_answers import Answer
from replaykit.reasons.sql_bench import same
from replaykit.reasons.sql_cells import shown
from replaykit.reasons.sql_reading import text_of, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replaykit.reasons.sql_bench import Bench

__all__ = ["left_out_by"]


def left_out_by(bench: Bench, tree: Any, wanted: Mapping[int, Any]) -> Answer | None:
    """Return the clause without which a statement gives a row that has these values; None if it is none of them."""
    from sqlglot import exp

    tree = tree.copy()
    limits = [tree.args.get(key) for key in ("limit", "offset")]
    if any(limits):
        for key in ("limit", "offset"):
            tree.set(key, None)
        found = _places(bench, tree, wanted)
        if found:
            text = " ".join(written(one).strip() for one in limits if one is not None)
            return Answer(
                "condition", f"{text} left it out: it is row {found[0][0]:,} of {found[0][1]:,} in that order",
                where="LIMIT", source=text,
            )  # fmt: skip
    for select in [one for one in (tree, *tree.find_all(exp.Select)) if isinstance(one, exp.Select)]:
        answer = _of_select(bench, tree, select, wanted)
        if answer is not None:
            return answer
    return None


def _of_select(bench: Bench, tree: Any, select: Any, wanted: Mapping[int, Any]) -> Answer | None:
    from sqlglot import exp

    qualify, distinct = select.args.get("qualify"), select.args.get("distinct")
    if qualify is not None:
        select.set("qualify", None)
        if _places(bench, tree, wanted):
            text = text_of(qualify.this)
            said = _windows(bench, tree, select, qualify, wanted) if tree is select else ""
            return Answer("condition", f"QUALIFY left it out{said}", where="QUALIFY", source=text)
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on") is not None:
        select.set("distinct", None)
        if _places(bench, tree, wanted):
            text = written(distinct).strip()
            return Answer("condition", f"{text} kept another row in its place", where="DISTINCT ON", source=text)
    return None


def _places(bench: Bench, tree: Any, wanted: Mapping[int, Any]) -> list[tuple[int, int]]:
    """Return which of how many rows of a statement have these values."""
    rows = bench.ask(written(tree))
    fitting = [n for n, row in enumerate(rows, 1) if all(same(row[place], value) for place, value in wanted.items())]
    return [(number, len(rows)) for number in fitting]


def _windows(bench: Bench, tree: Any, select: Any, qualify: Any, wanted: Mapping[int, Any]) -> str:
    """Return the actual values of the windows QUALIFY looks at."""
    from sqlglot import exp

    windows = list(qualify.find_all(exp.Window))
    number = len(select.expressions)
    for n, one in enumerate(windows):
        select.append("expressions", exp.alias_(one.copy(), f"replaykit_{n}"))
    rows = bench.ask(written(tree))
    row = next(row for row in rows if all(same(row[place], value) for place, value in wanted.items()))
    told = [f"{text_of(one)} is {shown(row[number + n])}" for n, one in enumerate(windows)]
    return f": {', '.join(told)}" if told else ""
