"""Whether a cell submits what it wrote out, or what it computed."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Set

from .source import parse_cell


def literal_calls(source: str, names: Set[str]) -> bool:
    """True if every call in `source` to one of `names` has only literal arguments, and there is at least one.

    A literal is a constant, a container of literals, `-literal`, literals joined by `+`, an f-string that
    shows nothing, or a name that this same source binds just once, at its top level, to a literal; and if
    that can be changed in place, the name is used nowhere but in such calls.
    """
    try:
        tree = parse_cell(source)
    except SyntaxError:
        return False
    calls = [node for node in ast.walk(tree) if _is_call_of(node, names)]
    known = _literal_names(tree, calls)
    return bool(calls) and all(_is_literal(argument, known) for argument in _arguments(calls))


def _is_call_of(node: ast.AST, names: Set[str]) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def _arguments(calls: Iterable[ast.AST]) -> Iterator[ast.expr]:
    for call in calls:
        assert isinstance(call, ast.Call)
        yield from call.args
        yield from (keyword.value for keyword in call.keywords)


def _literal_names(tree: ast.Module, calls: Iterable[ast.AST]) -> set[str]:
    bound = Counter(name for node in ast.walk(tree) for name in _bound_by(node))
    submitted = {id(part) for argument in _arguments(calls) for part in ast.walk(argument)}
    used_elsewhere = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in submitted
    }
    known: set[str] = set()
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        if (
            bound[name] == 1
            and _is_literal(value, known)
            and not (_is_mutable(value) and name in used_elsewhere)
        ):
            known.add(name)
    return known


def _bound_by(node: ast.AST) -> Iterable[str | None]:
    """The names that a node binds, unbinds, or lets others bind."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
            return [name]
        case ast.MatchMapping(rest=name):
            return [name]
        case ast.alias(name=module, asname=name):
            return [name or module.partition(".")[0]]
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return names
        case _:
            return []


def _is_literal(node: ast.expr, known: Set[str]) -> bool:
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name in known
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.JoinedStr(values=parts):
            return all(_is_literal(part, known) for part in parts)
        case ast.Dict(keys=keys, values=values):
            return all(key is not None and _is_literal(key, known) for key in keys) and all(
                _is_literal(value, known) for value in values
            )
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return _is_literal(operand, known)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_literal(left, known) and _is_literal(right, known)
        case _:
            return False


def _is_mutable(value: ast.expr) -> bool:
    return any(isinstance(part, ast.List | ast.Dict | ast.Set) for part in ast.walk(value))
