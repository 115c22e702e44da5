"""The language wall, at compile time: what of Python a cell may say, and what is written into it.

Theory of operation.  RestrictedPython gives the skeleton: a visitor that knows every kind of syntax node
and refuses the ones it does not know, so that new syntax is refused until somebody has thought about it.
Its stock policy is too narrow for the Python that models write and slows it down five-fold, because it
sends every attribute, item and loop through a hook.  Ours decides by *name*, at compile time, whatever can
be decided so:

    public attribute              native: no rule could differ at run time
    _private attribute            `_own_(obj)._private`, which passes only objects made in the sandbox
    __special__ attribute         an allow-list, read through `_getattr_(obj, "__special__")`
    format, copy, obj, ...        `_getattr_(obj, "format")`, judged by what comes back
    frames (tb_frame, gi_frame)   refused, always
    obj.x = v, obj.x += v, del    `_write_(obj).x = v`: only objects that the sandbox made, or plain data
    obj[k], obj[k] = v            native: what can be reached at all may be filled, as by its own methods
    import a.b as c               `c = _import_("a.b", True)`: facades of named members, never modules
    from a import *               `_import_all_("a")`: all that the facade names
    case Point(x, y)              `Point` as `_matchable_(Point)` gave it: a class of the sandbox's own
    except:                       `except _Exception_:`, so that the time limit cannot be swallowed
    a last line that is a value   `_echo_(value)`, shown as in a notebook

So nothing that names a `__special__` or a `_hook_` ever reaches the compiler unseen, and public Python runs
at native speed.  What is reachable by public names alone must therefore be harmless: that is the work of
the facades, and a test walks everything that can be reached.  This wall is one of two, and not the
boundary: see the operating-system wall.
"""

from __future__ import annotations
import __future__

import ast
import types
import warnings
from collections.abc import Iterable, Sequence

from RestrictedPython.transformer import RestrictingNodeTransformer

from .literals import literal_calls as literal_calls
from .names import (
    DEFINABLE_CLASS_NAMES,
    ENUM_ATTRIBUTES,
    ENUM_HOOKS,
    FORMATS,
    GUARDED_ATTRIBUTES,
    MODULE_NAMES,
    NAMEDTUPLE_ATTRIBUTES,
    READABLE_DUNDERS,
    REFUSED_ATTRIBUTES,
    is_dunder,
    is_reserved,
    why_not,
)
from .source import limited_nesting, parse_cell
from .templates import traverses

PARALLEL = "async is not available: llm_query_batched runs in parallel"
REFUSED_SYNTAX = {
    "AsyncFunctionDef": PARALLEL,
    "AsyncFor": PARALLEL,
    "AsyncWith": PARALLEL,
    "Await": PARALLEL,
    "TryStar": "except* is not available: use except",
    "TypeAlias": "the type statement is not available: assign the type to a name",
    "TypeVar": "type parameters are not available: leave them out",
    "ParamSpec": "type parameters are not available: leave them out",
    "TypeVarTuple": "type parameters are not available: leave them out",
}
CLASS_KEYWORDS = frozenset({"total"})  # of TypedDict
SELF_MATCHING = {
    "bool",
    "bytearray",
    "bytes",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "set",
    "str",
    "tuple",
}
"""`case str(x)` binds the subject itself: no attribute is read."""


def compile_cell(source: str, filename: str = "<cell>") -> types.CodeType:
    """Code of one cell, to be run by `exec(code, make_globals(...))`.

    Raises SyntaxError, with `lineno` where it is known, for what is not Python or not available; the text
    says what to use instead.
    """
    tree = parse_cell(source, filename)
    policy = _Policy()
    with limited_nesting():
        tree = policy.visit(tree)
    if policy.refusals:
        raise policy.as_error(source, filename)
    ast.fix_missing_locations(tree)
    flags = __future__.annotations.compiler_flag if policy.annotations_as_text else 0
    try:
        with warnings.catch_warnings(), limited_nesting():
            warnings.simplefilter("ignore")  # "is" with a literal and its like: not for the process's stderr
            # dont_inherit: else this very file's `from __future__ import annotations` would hold in the cell
            code: types.CodeType = compile(tree, filename, "exec", flags=flags, dont_inherit=True)
    except ValueError as error:
        raise SyntaxError(str(error)) from None
    return code


class _Policy(RestrictingNodeTransformer):
    """Checks and rewrites one syntax tree; collects what is refused, as (line, column, text)."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[tuple[int | None, int, str]] = []
        self.annotations_as_text = False
        self._scopes: list[str] = ["module"]
        self._classes: list[str] = []
        self._matched: list[ast.stmt] = []  # what runs before the match statement that is visited

    # What is refused

    def error(self, node: ast.AST, info: str) -> None:
        self.refusals.append((getattr(node, "lineno", None), getattr(node, "col_offset", 0), info))

    def not_allowed(self, node: ast.AST) -> None:
        kind = type(node).__name__
        self.error(node, REFUSED_SYNTAX.get(kind, f"{kind} syntax is not available"))

    def as_error(self, source: str, filename: str) -> SyntaxError:
        """The first refusal as a SyntaxError with its place; the text holds up to three of them."""
        texts: dict[str, int | None] = {}
        for line, _, text in self.refusals:
            texts.setdefault(text, line)
        (first, line), *others = list(texts.items())[:3]
        text = "; ".join([first, *(f"line {n}: {t}" for t, n in others)])
        column = self.refusals[0][1]
        lines = source.splitlines()
        shown = lines[line - 1] if line and line <= len(lines) else None
        return SyntaxError(text, (filename, line, column + 1, shown))

    # Names

    def check_name(
        self, node: ast.AST, name: str | None, allow_magic_methods: bool = False
    ) -> None:  # every identifier that is bound or read comes here
        if name is None or not name.startswith("_"):
            return
        in_class = self._scopes[-1] == "class"
        if is_dunder(name):
            if name not in (DEFINABLE_CLASS_NAMES if in_class else MODULE_NAMES):
                self._refuse_dunder(node, name)
        elif is_reserved(name) and not (in_class and name in ENUM_HOOKS):
            self.error(node, f"{name} is a reserved name: leave out the last underscore")

    def _refuse_dunder(self, node: ast.AST, name: str) -> None:
        self.error(node, why_not(name))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load):
            if node.id == "__name__":
                return ast.copy_location(ast.Constant("__main__"), node)
            if node.id == "__doc__" and self._scopes[-1] != "class":
                return ast.copy_location(ast.Constant(None), node)
        self.check_name(node, node.id)
        return self.node_contents_visit(node)

    def visit_Global(self, node: ast.Global) -> ast.AST:
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        self.check_name(node, node.arg)
        return self.node_contents_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        self.check_name(node, node.arg)
        return self.node_contents_visit(node)

    def _mangled(self, name: str) -> str:
        """A class-private `__name` as CPython spells it, so that guarded reads and native writes agree."""
        if name.startswith("__") and not name.endswith("__") and self._classes:
            owner = self._classes[-1].lstrip("_")
            return f"_{owner}{name}" if owner else name
        return name

    # Attributes and items

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        name = node.attr = self._mangled(node.attr)
        reads = isinstance(node.ctx, ast.Load)
        if is_dunder(name) and not (reads and name in READABLE_DUNDERS):
            self._refuse_dunder(node, name)
        elif name in REFUSED_ATTRIBUTES or (is_reserved(name) and name not in ENUM_ATTRIBUTES):
            self.error(node, f"{name} is not available: the sandbox cannot be inspected")
        elif name in FORMATS and isinstance(node.ctx, ast.Del):
            self.error(node, f"{name} cannot be deleted: it would uncover the real one of a base class")
        node = self.node_contents_visit(node)
        if not reads:
            node.value = _hook("_write_", node.value)
        elif name in FORMATS and _is_plain_template(node.value):
            pass  # `"{}: {}".format` reads nothing of its arguments: native
        elif name in GUARDED_ATTRIBUTES or name in NAMEDTUPLE_ATTRIBUTES or is_dunder(name):
            return ast.copy_location(_hook("_getattr_", node.value, ast.Constant(name)), node)
        elif name.startswith("_"):
            node.value = _hook("_own_", node.value)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        return self.node_contents_visit(node)

    # Statements that the stock policy rewrites and this one leaves alone

    def _plain(self, node: ast.AST) -> ast.AST:
        return self.node_contents_visit(node)

    visit_Assign = _plain
    visit_AugAssign = _plain
    visit_For = _plain
    visit_With = _plain
    visit_match_case = _plain
    visit_MatchValue = _plain
    visit_MatchSingleton = _plain
    visit_MatchSequence = _plain
    visit_MatchOr = _plain

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """`object.__setattr__(self, ...)` is how a frozen dataclass sets what it computes."""
        match node.func:
            case ast.Attribute(ast.Name("object"), "__setattr__"):
                node.func = ast.copy_location(ast.Name("_setattr_", ast.Load()), node.func)
                node.args = [self.visit(argument) for argument in node.args]
                node.keywords = [self.visit(keyword) for keyword in node.keywords]
                return node
        return self.node_contents_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        if node.is_async:
            self.error(node.iter, PARALLEL)
        return self.node_contents_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Annotations count in class bodies (dataclasses read them); elsewhere they are dropped."""
        if self._scopes[-1] == "class":
            return self.node_contents_visit(node)
        if node.value is None:
            self.visit(node.target)  # still checked
            return ast.copy_location(ast.Pass(), node)
        return self.node_contents_visit(
            ast.copy_location(ast.Assign([node.target], node.value, lineno=node.lineno), node)
        )

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self.check_name(node, node.name)
        node = self.node_contents_visit(node)
        if node.type is None:
            node.type = ast.Name("_Exception_", ast.Load())
        return node

    # Patterns

    def visit_Match(self, node: ast.Match) -> list[ast.stmt]:
        outer, self._matched = self._matched, []
        visited = self.node_contents_visit(node)
        before, self._matched = self._matched, outer
        return [*before, visited]

    def visit_MatchAs(self, node: ast.MatchAs) -> ast.AST:
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> ast.AST:
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> ast.AST:
        self.check_name(node, node.rest)
        return self.node_contents_visit(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> ast.AST:
        """`C(name=pattern)` reads `subject.name` natively, so only a name that is native anyway will do.
        `C(pattern)` reads whatever `C.__match_args__` says, unseen: so `C` is looked at before the statement
        runs, and what was looked at is kept under a name that no cell can bind; and `str(x)` and its like
        bind the subject itself."""
        for name in node.kwd_attrs:
            if name.startswith("_") or name in GUARDED_ATTRIBUTES or name in REFUSED_ATTRIBUTES:
                self.error(node, f"{name} is not available in a class pattern: test it with if")
        if not node.patterns:
            return self.node_contents_visit(node)
        [capture, *more] = node.patterns
        if (
            not more
            and not node.kwd_attrs
            and isinstance(node.cls, ast.Name)
            and node.cls.id in SELF_MATCHING
            and isinstance(capture, ast.MatchAs)
            and capture.pattern is None
        ):
            node.patterns = []
            return (
                self.visit(ast.copy_location(ast.MatchAs(node, capture.name), node)) if capture.name else node
            )
        node = self.node_contents_visit(node)
        kept = f"_class{len(self._matched)}_at{node.lineno}_"
        self._matched.append(_assign([ast.Name(kept, ast.Store())], _hook("_matchable_", node.cls), node))
        node.cls = ast.copy_location(ast.Name(kept, ast.Load()), node.cls)
        return node

    # Definitions

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.check_name(node, node.name)
        return self._visit_in_scope("function", node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._visit_in_scope("function", node)

    def _visit_in_scope(self, scope: str, node: ast.AST) -> ast.AST:
        self._scopes.append(scope)
        try:
            return self.node_contents_visit(node)
        finally:
            self._scopes.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.check_name(node, node.name)
        for keyword in node.keywords:
            if keyword.arg == "metaclass":
                self.error(node, "metaclasses are not available: use a class decorator")
            elif keyword.arg not in CLASS_KEYWORDS:
                self.error(node, "keyword arguments of a class are not available: leave them out")
        for parameter in getattr(node, "type_params", ()):  # 3.12 and later
            self.visit(parameter)
        node.bases = [self.visit(base) for base in node.bases]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        self._scopes.append("class")
        self._classes.append(node.name)
        try:
            node.body = self._visit_statements(node.body)
        finally:
            self._classes.pop()
            self._scopes.pop()
        return node

    def _visit_statements(self, statements: Iterable[ast.stmt]) -> list[ast.stmt]:
        visited: list[ast.stmt] = []
        for statement in statements:
            result = self.visit(statement)
            if isinstance(result, ast.AST):
                visited.append(result)  # type: ignore[arg-type]
            elif result is not None:
                visited.extend(result)
        return visited

    def visit_Module(self, node: ast.Module) -> ast.AST:
        node = self.node_contents_visit(node)
        if node.body and isinstance(last := node.body[-1], ast.Expr) and not _is_print(last.value):
            last.value = _hook("_echo_", last.value)
        return node

    # Imports become calls of hooks: `__import__` is then asked for by C code only, and `from m import x`
    # cannot fetch in C

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        statements: list[ast.stmt] = []
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            self.check_name(node, bound)
            whole = ast.Constant(alias.asname is not None)
            module = _hook("_import_", ast.Constant(alias.name), whole, at=node)
            statements.append(_assign([ast.Name(bound, ast.Store())], module, node))
        return statements

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:
        if node.level:
            self.error(node, "relative imports are not available: there are no files here")
        if node.module == "__future__":
            self.annotations_as_text |= any(alias.name == "annotations" for alias in node.names)
            return ast.copy_location(ast.Pass(), node)
        if any(alias.name == "*" for alias in node.names):
            if self._scopes[-1] != "module":  # as Python itself says
                self.error(node, "import * is only allowed at the top level: name what you import")
            return ast.copy_location(
                ast.Expr(_hook("_import_all_", ast.Constant(node.module or ""), at=node)), node
            )
        for alias in node.names:
            self.check_name(node, alias.asname or alias.name)
        wanted = ast.Tuple([ast.Constant(alias.name) for alias in node.names], ast.Load())
        members = _hook("_import_from_", ast.Constant(node.module or ""), wanted, at=node)
        names: Sequence[ast.expr] = [
            ast.Name(alias.asname or alias.name, ast.Store()) for alias in node.names
        ]
        return _assign([ast.Tuple(list(names), ast.Store())], members, node)


def _is_plain_template(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str) and not traverses(value.value)


def _hook(name: str, *arguments: ast.expr, at: ast.AST | None = None) -> ast.Call:
    call = ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
    return ast.copy_location(call, arguments[0] if at is None else at)


def _assign(targets: list[ast.expr], value: ast.expr, at: ast.stmt | ast.pattern) -> ast.Assign:
    return ast.copy_location(ast.Assign(targets, value, lineno=at.lineno), at)


def _is_print(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "print"
