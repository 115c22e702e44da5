"""What `ast` says of Python files that stand in one text, and the same files with all their names changed.

Only top-level classes and functions are told of, and of a function only what reads the same by every rule: a
call in a nested function, for one, is nobody's.
"""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import random
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rlm_bench import prose
from rlm_bench.stdlib import Source

HEAD = "=== FILE: {path} ===\n"
SIMPLE = re.compile(r"-?\d+(?:\.\d+)?|True|False|[A-Za-z][\w./-]*\w")
"""Values that are written in one way."""


@dataclass(frozen=True)
class Function:
    name: str
    defaults: dict[str, str]
    """Parameter -> default, where it is a plain value."""
    calls: frozenset[str]
    """Plain names that it calls, nested functions included."""
    own_calls: frozenset[str]
    """The same, without nested functions."""
    raises: tuple[str, ...] | None
    """Names of the exceptions of its `raise` statements, sorted; None if any raises what is no class by
    name."""


@dataclass(frozen=True)
class Module:
    path: str
    classes: tuple[tuple[str, tuple[str, ...]], ...]
    """Name and the last names of its bases."""
    functions: tuple[Function, ...]
    named: Counter[str]
    """Classes, functions and methods at any level, by name."""
    assigned: frozenset[str]
    """All names that are assigned to, at any level."""
    method_calls: frozenset[str]
    """Plain names called outside of top-level functions."""
    decorators: Counter[str]
    """Of functions and methods at any level; those that are a name or a dotted name."""
    constants: dict[str, str]
    """UPPER_CASE names that are assigned once, at top level, a plain value."""
    longest: str | None
    """The function or method with the most lines; None if that is not one alone."""
    unused: str | None
    """The one imported name that the file never uses again, in any place; None for none or several."""


def joined(files: Sequence[Source]) -> str:
    return "\n".join(HEAD.format(path=source.path) + source.text for source in files)


def split(text: str) -> list[Source]:
    """The files that `joined` put together."""
    parts = re.split(r"^=== FILE: (.+) ===\n", text, flags=re.M)
    return [Source(path, code) for path, code in zip(parts[1::2], parts[2::2], strict=True)]


def modules(text: str) -> list[Module]:
    """Of each file in the text that parses."""
    return [found for source in split(text) if (found := _module(source.path, source.text))]


@lru_cache(maxsize=2_000)  # a sample's maker and its oracle read the same files
def _module(path: str, code: str) -> Module | None:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    within = {id(node) for function in functions for node in ast.walk(function)}
    walked = list(ast.walk(tree))
    stored = Counter(
        node.id for node in walked if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    defined = [node for node in walked if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return Module(
        path,
        tuple(
            (node.name, tuple(filter(None, map(_last, node.bases))))
            for node in tree.body
            if isinstance(node, ast.ClassDef)
        ),
        tuple(map(_function, functions)),
        Counter(node.name for node in [*defined, *(n for n in walked if isinstance(n, ast.ClassDef))]),
        frozenset(stored),
        frozenset(_called(node for node in walked if id(node) not in within)),
        Counter(ast.unparse(one) for node in defined for one in node.decorator_list if _last(one)),
        _constants(tree, stored),
        _longest(defined),
        _unused(tree, walked, code),
    )


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    own, every = list(_own(node)), list(ast.walk(node))
    raised = {_last(one.exc.func if isinstance(one.exc, ast.Call) else one.exc) for one in _raises(every)}
    classes = all(name and name[0].isupper() for name in raised)
    same = len(list(_raises(own))) == len(list(_raises(every)))
    positional = [*node.args.posonlyargs, *node.args.args]
    pairs = [
        *zip(positional[len(positional) - len(node.args.defaults) :], node.args.defaults, strict=True),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    return Function(
        node.name,
        {arg.arg: value for arg, default in pairs if (value := _plain(default)) is not None},
        frozenset(_called(every)),
        frozenset(_called(own)),
        tuple(sorted(map(str, raised))) if raised and classes and same else None,
    )


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """Its nodes, without those of functions, lambdas and classes in it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield child
            yield from _own(child)


def _raises(nodes: Sequence[ast.AST]) -> Iterator[ast.Raise]:
    return (node for node in nodes if isinstance(node, ast.Raise))


def _called(nodes: Sequence[ast.AST] | Iterator[ast.AST]) -> Iterator[str]:
    return (node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))


def _last(node: ast.AST | None) -> str | None:
    """The last name of `name` or `some.dotted.name`."""
    if isinstance(node, ast.Attribute):
        return node.attr if _last(node.value) else None
    return node.id if isinstance(node, ast.Name) else None


def _plain(node: ast.AST | None) -> str | None:
    """A value that is written as it is told: an int, a float, a bool, a word."""
    value = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(value, str | int | float) or not SIMPLE.fullmatch(str(value)):
        return None
    assert isinstance(node, ast.Constant)
    quotes = 0 if not isinstance(value, str) else 2  # without prefix, and not 0x10 for 16
    return str(value) if (node.end_col_offset or 0) - node.col_offset == len(str(value)) + quotes else None


def _constants(tree: ast.Module, stored: Counter[str]) -> dict[str, str]:
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, _plain(node.value)
            if name.isupper() and len(name) > 3 and stored[name] == 1 and value is not None:
                found[name] = value
    return found


def _longest(defined: Sequence[ast.FunctionDef | ast.AsyncFunctionDef]) -> str | None:
    lines = sorted(((node.end_lineno or 0) - node.lineno, node.name) for node in defined)
    if len(lines) < 3 or lines[-1][0] == lines[-2][0]:
        return None
    name = lines[-1][1]
    return name if sum(node.name == name for node in defined) == 1 and not name.startswith("__") else None


def _unused(tree: ast.Module, walked: Sequence[ast.AST], code: str) -> str | None:
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != "__future__"):
            names += [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    used = {node.id for node in walked if isinstance(node, ast.Name)}
    used |= {node.value for node in walked if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    unused = [name for name in names if name not in used]
    if "*" in names or len(names) < 3 or len(unused) != 1:
        return None
    return unused[0] if len(re.findall(rf"\b{unused[0]}\b", code)) == 1 else None


def definition(code: str, name: str, constant: bool = False) -> str:
    """The lines of the top-level class or function of that name, its decorators too, or of the assignment to
    a constant."""
    for node in ast.parse(code).body:
        if constant:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            found = isinstance(target, ast.Name) and target.id == name
        else:
            found = isinstance(node, DEFINITIONS) and node.name == name
        if found:
            first = min(one.lineno for one in (node, *getattr(node, "decorator_list", ())))
            return "".join(list(io.StringIO(code))[first - 1 : node.end_lineno])
    raise LookupError(name)


DEFINITIONS = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


# ---- other names


KEPT = (
    frozenset(keyword.kwlist)
    | frozenset(keyword.softkwlist)
    | set(dir(builtins))
    | {"self", "cls", "__future__"}
)


def renamed(files: Sequence[Source], chance: random.Random) -> list[Source]:
    """The same files with an invented word for each name, everywhere the same: in code, and in the files'
    paths.

    Kept are keywords, built-ins and names such as __init__; what stands in strings and comments is left."""
    new: dict[str, str] = {}
    taken: set[str] = set()

    def word(name: str) -> str:
        if name in KEPT or (name.startswith("__") and name.endswith("__")):
            return name
        if name not in new:
            while (made := prose.invented(chance, 3)) in taken or made in KEPT:
                pass
            taken.add(made)
            start = re.match("_*", name)
            bare = name.lstrip("_")
            shaped = made.upper() if bare.isupper() and len(bare) > 1 else made
            shaped = made.capitalize() if bare[:1].isupper() and not bare.isupper() else shaped
            new[name] = (start[0] if start else "") + shaped
        return new[name]

    return [
        Source("/".join(map(word, path.removesuffix(".py").split("/"))) + ".py", _with_names(code, word))
        for path, code in ((source.path, source.text) for source in files)
    ]


def _with_names(code: str, word: Callable[[str], str]) -> str:
    lines = list(io.StringIO(code))  # as tokenize reads them: a form feed ends none
    made: list[str] = []
    row, column = 1, 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.NAME:
                start, end = token.start, token.end
                while row < start[0]:
                    made.append(lines[row - 1][column:])
                    row, column = row + 1, 0
                made += [lines[row - 1][column : start[1]], word(token.string)]
                column = end[1]
    except (tokenize.TokenError, SyntaxError):
        pass  # the rest as it is
    made += [lines[row - 1][column:], *lines[row:]] if row <= len(lines) else []
    return "".join(made)
