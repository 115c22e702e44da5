"""Whether a cell submits what it wrote out, or what it computed."""

from __future__ import annotations

import ast


def literal_calls(source: str, names: frozenset[str]) -> bool:
    """True if every call in `source` to one of `names` has only literal arguments, and there is at least one.

    A literal is a constant, a container of literals, `-literal`, strings joined by `+` or juxtaposition, an
    f-string that shows nothing, or a name that this same source assigns just once, at its top level, from a
    literal.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    nodes = list(ast.walk(tree))
    known = _constants(tree, nodes)
    calls = [
        n for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in names
    ]
    return bool(calls) and all(
        _is_literal(value, known)
        for call in calls
        for value in [*call.args, *(k.value for k in call.keywords)]
    )


def _constants(tree: ast.Module, nodes: list[ast.AST]) -> frozenset[str]:
    """The names that are bound exactly once in the whole source, by a plain top-level `name = literal`."""
    bound: dict[str, int] = {}
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound[node.id] = bound.get(node.id, 0) + 1
        elif isinstance(node, ast.Global):  # may be rebound from within a function
            bound.update(dict.fromkeys(node.names, 2))
    known: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(target, ast.Name) and bound[target.id] == 1 and _is_literal(value, known):
            known.add(target.id)
    return frozenset(known)


def _is_literal(node: ast.expr, known: frozenset[str] | set[str]) -> bool:
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name in known
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.JoinedStr(values=parts):
            return all(_is_literal(p, known) for p in parts)
        case ast.Dict(keys=keys, values=values):
            return all(k is not None and _is_literal(k, known) for k in keys) and all(
                _is_literal(v, known) for v in values
            )
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return _is_literal(operand, known)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_literal(left, known) and _is_literal(right, known)
        case _:
            return False
