"""The small changes: where a module has a place for one, and the module with that one made."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_CALLED = {"any": "all", "all": "any", "min": "max", "max": "min"}


@dataclass(frozen=True)
class Mutant:
    """The change number `at` of a module: on which line, and what it does."""

    path: str
    at: int
    line: int
    change: str

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.change}"


class _Changer(ast.NodeTransformer):
    """Makes the change number `wanted`, and notes every change there could be."""

    def __init__(self, wanted: int | None) -> None:
        self.wanted = wanted
        self.found: list[tuple[int, str]] = []

    def _is_it(self, node: ast.AST, change: str) -> bool:
        self.found.append((getattr(node, "lineno", 0), change))
        return self.wanted == len(self.found) - 1

    def _changed(self, old: ast.expr, new: ast.expr) -> ast.expr:
        """`new` in the place of `old`, if it is its turn."""
        told = f"{ast.unparse(old)[:60]} becomes {ast.unparse(new)[:60]}"
        return ast.copy_location(new, old) if self._is_it(old, told) else old

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if len(node.ops) > 1:
            return node
        other = _COMPARED[type(node.ops[0])]()
        return self._changed(node, ast.Compare(node.left, [other], node.comparators))

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        return self._changed(
            node, ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        )

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return self._changed(node, node.operand) if isinstance(node.op, ast.Not) else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        other = _COUNTED.get(type(node.op))
        return self._changed(node, ast.BinOp(node.left, other(), node.right)) if other else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        other = _CALLED.get(node.func.id) if isinstance(node.func, ast.Name) else None
        return (
            self._changed(node, ast.Call(ast.Name(other, ast.Load()), node.args, node.keywords))
            if other
            else node
        )

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        return self._changed(node, ast.IfExp(node.test, node.orelse, node.body))

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        value = node.value
        if isinstance(value, bool):
            return self._changed(node, ast.Constant(not value))
        if isinstance(value, int | float):
            return self._changed(node, ast.Constant(value + 1))
        # A name is a name; what people read is looked at by people.
        if isinstance(value, str) and value and " " not in value and value.isprintable():
            return self._changed(node, ast.Constant(f"{value}_"))
        return node

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        self.generic_visit(node)
        empty = node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
        if not empty and self._is_it(node, f"{ast.unparse(node)[:60]} returns None"):
            return ast.copy_location(ast.Return(ast.Constant(None)), node)
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        return self._without(node)

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return self._without(node) if isinstance(node.value, ast.Call) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        return self._without(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        return node  # a sentence

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return node  # an annotation changes nothing

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        node.body = self._without_docstring(node.body)
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        node.body = self._without_docstring(node.body)
        self.generic_visit(node)
        return node

    def _without(self, node: ast.stmt) -> ast.stmt:
        before = ast.unparse(node).partition("\n")[0][:60]
        if self._is_it(node, f"without {before}"):
            return ast.copy_location(ast.Pass(), node)
        self.generic_visit(node)
        return node

    @staticmethod
    def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
        first = body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            return body[1:] or [ast.copy_location(ast.Pass(), first)]
        return body


def mutants_of(path: str) -> Iterator[Mutant]:
    """Every change that there is a place for."""
    changer = _Changer(None)
    changer.visit(ast.parse(Path(path).read_text(encoding="utf-8")))
    for at, (line, change) in enumerate(changer.found):
        yield Mutant(path, at, line, change)


def mutated(mutant: Mutant) -> ast.Module:
    """The module with that change."""
    tree = ast.parse(Path(mutant.path).read_text(encoding="utf-8"))
    changed: ast.Module = _Changer(mutant.at).visit(tree)
    return ast.fix_missing_locations(changed)
