"""The rewriter: puts calls of a hook around every call and every iteration of a module's tree.

``iterate(site, x)`` stands for x where it is iterated, ``stir`` where its order can't matter, ``shown`` where it
becomes text; ``call(site, f, ...)`` for ``f(...)``. A site's number leads to where it is in the source.
"""

from __future__ import annotations

import ast
import itertools
from dataclasses import dataclass
from typing import Any

from replaykit.determinism.watched import Place

__all__ = ["HOOK", "Site", "rewritten"]

HOOK = "replaykit: the hook goes here"
# A frame between these and their caller would change what they do.
_NEAR = frozenset("super locals globals vars dir eval exec breakpoint currentframe _getframe stack".split())
_TRANSPARENT = frozenset({"list", "tuple", "map", "filter", "iter", "chain", "from_iterable"})
_NOBODY = -1
_SORTED_NEXT = "_sorted_next"
_COMPREHENSIONS = (ast.GeneratorExp, ast.ListComp, ast.DictComp)


@dataclass
class Site:
    """A place in the source that a hook is told of."""

    place: Place
    owner: int | None = None
    """The call that decides whether an order matters here: ``sorted(x for x in s)`` does not care. -1: it does not."""


def rewritten(tree: ast.Module, file: str, sites: list[Site]) -> ast.Module:
    """Return the tree with calls of a method of `HOOK` in it, a constant to be exchanged; adds to `sites`."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                _mark_sorted_next(statements)
    return _Rewriter(file, sites).visit(tree)  # type: ignore[no-any-return]


class _Rewriter(ast.NodeTransformer):
    """Puts calls of the hook into a module's tree."""

    def __init__(self, file: str, sites: list[Site]) -> None:
        self._file = file
        self._sites = sites
        self._name = ""
        self._prefix = ""

    def _hooked(self, node: ast.expr, method: str, arguments: list[ast.expr], owner: int | None = None) -> ast.Call:
        return self._call(node, method, self._site(node, owner), arguments, [])

    def _site(self, node: ast.expr, owner: int | None = None) -> int:
        place = Place(self._file, node.lineno, self._name or "<module>")
        self._sites.append(Site(place, owner))
        return len(self._sites) - 1

    def _call(
        self, node: ast.expr, method: str, site: int, arguments: list[ast.expr], keywords: list[ast.keyword]
    ) -> ast.Call:
        target = ast.Attribute(ast.Constant(HOOK), method, ast.Load())
        made = ast.Call(target, [ast.Constant(site), *arguments], keywords)
        return ast.fix_missing_locations(ast.copy_location(made, node))

    def _under(self, node: ast.AST, name: str, separator: str = ".<locals>.") -> ast.AST:
        outer = self._name, self._prefix
        self._name = self._prefix + name
        self._prefix = self._name + separator
        try:
            return self.generic_visit(node)
        finally:
            self._name, self._prefix = outer

    def visit_FunctionDef(self, node: Any) -> ast.AST:
        node.returns, returns = None, node.returns
        self._under(node, node.name)
        node.returns = returns
        return node  # type: ignore[no-any-return]

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self.visit_FunctionDef(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._under(node, node.name, ".")

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._under(node, "<lambda>")

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return node  # annotations may become text

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        return self._visit_call(node, None)

    def _visit_call(self, node: ast.Call, owner: int | None) -> ast.AST:
        if _called(node) in _NEAR:
            return self.generic_visit(node)
        site = self._site(node, owner)
        decides = owner if owner is not None else site
        function = self.visit(node.func)
        arguments = [self._argument(one, decides) for one in node.args]
        for keyword in node.keywords:
            keyword.value = self.visit(keyword.value)
        return self._call(node, "call", site, [function, *arguments], node.keywords)

    def _argument(self, node: ast.expr, owner: int) -> Any:
        if isinstance(node, _COMPREHENSIONS):
            return self._comprehension(node, "iterate", owner)
        if isinstance(node, ast.Call) and _called(node) in _TRANSPARENT:
            return self._visit_call(node, owner)
        if isinstance(node, ast.Starred):
            return self._starred(node, "iterate", owner)
        return self.visit(node)

    def _comprehension(self, node: Any, method: str, owner: int | None = None) -> Any:
        self.generic_visit(node)
        for one in node.generators:
            if not one.is_async:
                one.iter = self._hooked(one.iter, method, [one.iter], owner)
        return node

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return self._comprehension(node, "iterate")  # type: ignore[no-any-return]

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        return self._comprehension(node, "iterate")  # type: ignore[no-any-return]

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        return self._comprehension(node, "iterate")  # type: ignore[no-any-return]

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        return self._comprehension(node, "stir")  # type: ignore[no-any-return]

    def visit_For(self, node: ast.For) -> ast.AST:
        method = "stir" if not node.orelse and _is_order_free(node.body) else "iterate"
        self.generic_visit(node)
        node.iter = self._hooked(node.iter, method, [node.iter])
        return node

    def visit_YieldFrom(self, node: ast.YieldFrom) -> ast.AST:
        self.generic_visit(node)
        node.value = self._hooked(node.value, "iterate", [node.value])
        return node

    def visit_Starred(self, node: ast.Starred) -> ast.AST:
        return self._starred(node, "iterate")  # type: ignore[no-any-return]

    def _starred(self, node: ast.Starred, method: str, owner: int | None = None) -> Any:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            node.value = self._hooked(node.value, method, [node.value], owner)
        return node

    def visit_Set(self, node: ast.Set) -> ast.AST:
        made = [self._starred(e, "stir") if isinstance(e, ast.Starred) else self.visit(e) for e in node.elts]
        node.elts = list(made)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if hasattr(node.value, _SORTED_NEXT):
            node.value = self._argument(node.value, _NOBODY)
            return node
        self.generic_visit(node)
        taken_apart = [isinstance(one, (ast.Tuple, ast.List)) or _is_slice(one) for one in node.targets]
        if all(taken_apart):
            node.value = self._hooked(node.value, "iterate", [node.value])
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add):  # a set can't be added to anything but the end of a list
            node.value = self._hooked(node.value, "iterate", [node.value])
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Mod):
            node.right = self._hooked(node.right, "shown", [node.right])
        return node

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        self.generic_visit(node)
        node.value = self._hooked(node.value, "shown", [node.value])
        return node


def _called(node: ast.Call) -> str | None:
    """Return the last part of the name that is called."""
    name: str | None = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
    return name


def _mark_sorted_next(statements: list[Any]) -> None:
    """Mark what is made into a list that the next statement sorts: ``x = list(s); x.sort()``."""
    for one, two in itertools.pairwise(statements):
        if not (isinstance(one, ast.Assign) and isinstance(two, ast.Expr) and isinstance(two.value, ast.Call)):
            continue
        target, called = one.targets[0], two.value.func
        if not two.value.keywords and isinstance(target, ast.Name) and ast.unparse(called) == f"{target.id}.sort":
            setattr(one.value, _SORTED_NEXT, True)


def _is_order_free(body: list[ast.stmt]) -> bool:
    """Return whether a loop only fills sets and counts, or only asks whether there is a member such that."""
    found = [one for statement in body for one in _effects(statement)]
    constants = {ast.dump(one) for one in found if isinstance(one, ast.Return)}
    if constants:
        return len(constants) == 1 and all(isinstance(one, ast.Return) and _is_constant(one.value) for one in found)
    return all(_only_gathers(one) for one in found)


def _effects(statement: ast.stmt) -> list[ast.stmt]:
    if isinstance(statement, ast.If):
        return [one for inner in (*statement.body, *statement.orelse) for one in _effects(inner)]
    return [] if isinstance(statement, (ast.Pass, ast.Continue)) else [statement]


def _is_constant(value: ast.expr | None) -> bool:
    return value is None or isinstance(value, ast.Constant)


def _only_gathers(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.AugAssign):
        return isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, int)
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in ("add", "discard")


def _is_slice(target: ast.expr) -> bool:
    return isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice)
