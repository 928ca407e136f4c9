"""Syntax: the source of functions that ran, their loops, and the tests that stand around a line."""

from __future__ import annotations

import ast
import linecache
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType
from typing import Any

__all__ = ["Body", "Test", "body_of", "place_name", "source_line"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(frozen=True)
class Test:
    """A condition that decides where control goes."""

    expression: ast.expr
    wanted: bool
    """What it would have to be for control to go the other way."""
    line: int


class Body:
    """The syntax of one function, lambda or comprehension."""

    def __init__(self, node: Any, filename: str) -> None:
        self.node = node
        self.filename = filename

    @property
    def is_comprehension(self) -> bool:
        """Whether it is one: then its whole body is a loop."""
        return isinstance(self.node, _COMPREHENSIONS)

    @cached_property
    def statements(self) -> list[ast.stmt]:
        """Every statement of the function itself, in order; none of functions within."""
        return list(_own(self.node)) if isinstance(self.node, _FUNCTIONS) else []

    @cached_property
    def loops(self) -> list[Any]:
        """Its loops, outer before inner."""
        if self.is_comprehension:
            return [self.node]
        return [one for one in self.statements if isinstance(one, _LOOPS)]

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node around each node."""
        return {child: one for one in ast.walk(self.node) for child in ast.iter_child_nodes(one)}

    def around(self, node: ast.AST) -> list[ast.AST]:
        """Return the nodes around a node, nearest first, up to the function."""
        found = []
        while node is not self.node:
            node = self.parents[node]
            found.append(node)
        return found

    def statement_at(self, line: int) -> ast.stmt | None:
        """Return the innermost statement that a line belongs to."""
        fits = [one for one in self.statements if _first(one) <= line <= _head_end(one)]
        return max(fits, key=lambda one: (_first(one), one.col_offset)) if fits else None

    def header(self, loop: Any) -> int:
        """Return the line that a loop comes back to."""
        return int(loop.generators[0].target.lineno) if isinstance(loop, _COMPREHENSIONS) else int(loop.lineno)

    def inside(self, loop: Any, line: int) -> bool:
        """Return whether a line is part of a loop: its header or its body, not its ``else``."""
        if isinstance(loop, _COMPREHENSIONS):
            return True
        return bool(loop.lineno <= line <= max(one.end_lineno or one.lineno for one in loop.body))

    def iterations(self, lines: list[int]) -> list[tuple[tuple[int, int], ...]]:
        """Return for each line that was gone through the loops around it, as header line and number of the round."""
        rounds = {id(loop): -1 for loop in self.loops}
        found = []
        for line in lines:
            here = []
            for loop in self.loops:
                if self.header(loop) == line:
                    rounds[id(loop)] += 1
                if self.inside(loop, line):
                    here.append((self.header(loop), rounds[id(loop)]))
            found.append(tuple(here))
        return found


def _own(node: Any) -> Any:
    """Yield the statements of a function, in the order of the text."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for one in getattr(node, name, ()) or ():
            if isinstance(one, ast.stmt):
                yield one
            if not isinstance(one, (*_FUNCTIONS, ast.ClassDef)):
                yield from _own(one)


def _first(node: ast.stmt) -> int:
    return node.lineno


def _head_end(node: Any) -> int:
    """Return the last line of a statement's own part: of an ``if``, its test."""
    if isinstance(node, (ast.If, ast.While)):
        return int(node.test.end_lineno or node.test.lineno)
    if isinstance(node, (ast.For, ast.AsyncFor)):
        return int(node.iter.end_lineno or node.iter.lineno)
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return max(int(item.context_expr.end_lineno or node.lineno) for item in node.items)
    if isinstance(node, ast.Try):
        return int(node.lineno)
    if isinstance(node, ast.Match):
        return int(node.subject.end_lineno or node.lineno)
    return int(node.end_lineno or node.lineno)


def body_of(code: CodeType) -> Body | None:
    """Return the syntax of what a code object was made from; None if its source is gone or another by now."""
    tree = _tree("".join(linecache.getlines(code.co_filename)))
    if tree is None:
        return None
    fits: list[Any] = [node for node in ast.walk(tree) if _made(node, code)]
    if len(fits) > 1:
        fits = [node for node in fits if _spans(node, code)] or fits
        fits.sort(key=lambda node: (node.end_lineno or 0, node.end_col_offset or 0))
    return Body(fits[0], code.co_filename) if fits else None


@lru_cache(maxsize=64)
def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text) if text else None
    except (SyntaxError, ValueError):
        return None


_KINDS: dict[str, Any] = {
    "<listcomp>": ast.ListComp,
    "<setcomp>": ast.SetComp,
    "<dictcomp>": ast.DictComp,
    "<genexpr>": ast.GeneratorExp,
    "<lambda>": ast.Lambda,
}


def _made(node: Any, code: CodeType) -> bool:
    if code.co_name in _KINDS:
        return isinstance(node, _KINDS[code.co_name]) and bool(node.lineno == code.co_firstlineno)
    if not isinstance(node, _FUNCTIONS) or node.name != code.co_name:
        return False
    return min([node.lineno, *(one.lineno for one in node.decorator_list)]) == code.co_firstlineno


def _spans(node: Any, code: CodeType) -> bool:
    """Return whether all of a code object's places lie within a node."""
    begin, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
    for line, last, column, final in code.co_positions():
        if line and last and column and final and not (begin <= (line, column) and (last, final) <= end):
            return False
    return True


def source_line(filename: str, line: int) -> str:
    """Return a line of source without its indentation."""
    return linecache.getline(filename, line).strip()


def place_name(filename: str, line: int) -> str:
    """Return how answers name a line: ``bead_rules.py:41``, or ``cell:3`` in a notebook."""
    name = Path(filename).name
    known = name.endswith(".py") and not name[:-3].isdigit() and "ipykernel" not in filename
    return f"{name if known else 'cell'}:{line}"
