"""The language wall: what of Python a cell may say, and how it is compiled."""

from __future__ import annotations
import ast
from RestrictedPython import RestrictingNodeTransformer
from RestrictedPython.transformer import INSPECT_ATTRIBUTES, copy_locations
from .guards import MODNAME, DUNDER_METHODS, DUNDER_READ, DUNDER_CLASSVARS, GUARDED_PUBLIC, bad_hook_name
from .literals import literal_calls as literal_calls

MAX_SOURCE, MAX_NODES, MAX_DEPTH = 200_000, 50_000, 180

class RLMPolicy(RestrictingNodeTransformer):
    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        self._cls: list[str] = []
        self._scope: list[str] = ["module"]

    # ---- names -------------------------------------------------------------------------------------------
    def check_name(self, node, name, allow_magic_methods=False):
        if name is None or name == "_":
            return
        if name.startswith("__"):
            if allow_magic_methods and self._scope[-1] == "class" and name in DUNDER_METHODS:
                return
            if self._scope[-1] == "class" and name in DUNDER_CLASSVARS:
                return
            self.error(node, f'"{name}" is not available in this sandbox')
        elif bad_hook_name(name):
            self.error(node, f'"{name}" is a reserved name')
        elif name.endswith("__roles__"):
            self.error(node, f'"{name}" is a reserved name')

    def visit_Name(self, node):
        if node.id == "__name__" and isinstance(node.ctx, ast.Load):
            new = ast.Constant("__main__"); copy_locations(new, node); return new
        if isinstance(node.ctx, ast.Load):
            self.used_names[node.id] = True
        self.check_name(node, node.id)
        return self.node_contents_visit(node)

    def _check_names(self, node):
        for n in node.names:
            self.check_name(node, n)
        return node
    visit_Global = _check_names
    visit_Nonlocal = _check_names

    def check_import_names(self, node):
        for a in node.names:
            if any(p.startswith("_") for p in a.name.split(".")) or a.name == "*":
                self.error(node, f'import of "{a.name}" is not available in this sandbox')
            self.check_name(node, a.asname or a.name.split(".")[0])
        if isinstance(node, ast.ImportFrom) and (node.level or any(p.startswith("_") for p in (node.module or "_").split(".")) and node.module != "__future__"):
            self.error(node, "this import is not available in this sandbox")
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            new = ast.Pass(); copy_locations(new, node); return new
        return node

    # ---- attributes --------------------------------------------------------------------------------------
    def visit_Attribute(self, node):
        name = node.attr
        if name.startswith("__") and not name.endswith("__") and self._cls:      # private name mangling, as CPython
            name = node.attr = f"_{self._cls[-1].lstrip('_')}{name}"
        load = isinstance(node.ctx, ast.Load)
        if name.startswith("__"):
            if not (load and name in DUNDER_READ):
                self.error(node, f'attribute "{name}" is not available in this sandbox')
        if name in INSPECT_ATTRIBUTES or name.endswith("__roles__"):
            self.error(node, f'attribute "{name}" is not available in this sandbox')
        node = self.node_contents_visit(node)
        if load and not name.startswith("_") and name not in GUARDED_PUBLIC:
            return node                        # every rule for this name was decided here: native speed at run time
        if load:
            new = ast.Call(ast.Name("_getattr_", ast.Load()), [node.value, ast.Constant(name)], [])
            copy_locations(new, node)
            return new
        w = ast.Call(ast.Name("_write_", ast.Load()), [node.value], [])
        copy_locations(w, node.value)
        node.value = w
        return node

    def visit_Subscript(self, node):
        node = self.node_contents_visit(node)
        if not isinstance(node.ctx, ast.Load):
            w = ast.Call(ast.Name("_write_", ast.Load()), [node.value], [])
            copy_locations(w, node.value)
            node.value = w
        return node

    # ---- statements --------------------------------------------------------------------------------------
    def visit_AugAssign(self, node):          # target goes through visit_Attribute/visit_Subscript -> _write_(obj)
        return self.node_contents_visit(node)

    def visit_AnnAssign(self, node):
        in_class = self._scope[-1] == "class"
        if in_class:
            return self.node_contents_visit(node)
        if node.value is None:                # a bare declaration  `x: int`
            new = ast.Pass(); copy_locations(new, node); return new
        new = ast.Assign([node.target], node.value); copy_locations(new, node)
        return self.node_contents_visit(new)

    def _plain(self, node):
        return self.node_contents_visit(node)
    visit_Assign = visit_For = visit_comprehension = visit_With = _plain
    visit_Match = visit_match_case = visit_MatchValue = visit_MatchSingleton = visit_MatchSequence = _plain
    visit_MatchOr = _plain

    def visit_MatchMapping(self, node):
        self.check_name(node, node.rest); return self.node_contents_visit(node)

    def visit_MatchStar(self, node):
        self.check_name(node, node.name); return self.node_contents_visit(node)
    visit_MatchAs = visit_MatchStar

    def visit_MatchClass(self, node):
        if node.kwd_attrs or node.patterns:   # reads attributes in C, past _getattr_
            self.error(node, "class patterns with sub-patterns are not available in this sandbox")
        return self.node_contents_visit(node)

    def visit_Call(self, node):
        if isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval", "compile", "open", "__import__", "input"):
            self.error(node, f"{node.func.id}() is not available in this sandbox")
        return self.node_contents_visit(node)

    def visit_ExceptHandler(self, node):
        if node.type is None:
            node.type = ast.Name("_Exception_", ast.Load()); ast.copy_location(node.type, node)
            self.check_name(node, node.name)
            node.body = [x for s in node.body for x in self._flat(self.visit(s))]
            return node
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    @staticmethod
    def _flat(x):
        return x if isinstance(x, list) else [x] if x is not None else []

    # ---- definitions -------------------------------------------------------------------------------------
    def visit_FunctionDef(self, node):
        self.check_name(node, node.name, allow_magic_methods=True)
        self.check_function_argument_names(node)
        self._scope.append("def")
        try:
            return self.node_contents_visit(node)
        finally:
            self._scope.pop()

    def visit_Lambda(self, node):
        self.check_function_argument_names(node)
        self._scope.append("def")
        try:
            return self.node_contents_visit(node)
        finally:
            self._scope.pop()

    def visit_ClassDef(self, node):
        self.check_name(node, node.name)
        for k in node.keywords:
            if k.arg == "metaclass" or k.arg is None:
                self.error(node, "class keywords are not available in this sandbox")
        node.bases = [self.visit(b) for b in node.bases]
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        self._cls.append(node.name); self._scope.append("class")
        try:
            node.body = [x for s in node.body for x in self._flat(self.visit(s))]
        finally:
            self._scope.pop(); self._cls.pop()
        node.keywords = []
        if getattr(node, "type_params", None):
            self.error(node, "type parameters are not available in this sandbox")
        return node

    def visit_Module(self, node):
        return self.node_contents_visit(node)

    def not_allowed(self, node):
        what = {"AsyncFunctionDef": "async/await (llm_query_batched runs sub-calls in parallel)",
                "Await": "async/await (llm_query_batched runs sub-calls in parallel)"}.get(type(node).__name__, type(node).__name__)
        self.error(node, f"{what} is not available in this sandbox")


def check_tree(tree: ast.AST) -> None:
    """Iterative size/depth check: a deep tree must not overflow the recursive transformer or the compiler."""
    n, stack = 0, [(tree, 0)]
    while stack:
        node, d = stack.pop()
        n += 1
        if n > MAX_NODES or d > MAX_DEPTH:
            raise SyntaxError("program too large or too deeply nested for this sandbox")
        stack.extend((c, d + 1) for c in ast.iter_child_nodes(node))


def compile_cell(source: str, filename: str = "<cell>"):
    if len(source) > MAX_SOURCE:
        raise SyntaxError("program too long")
    tree = ast.parse(source, filename, "exec")
    check_tree(tree)
    # NOT compile_restricted_exec(): RestrictedPython 9.0's compile.py has `from __future__ import annotations` and calls
    # compile() without dont_inherit, so restricted code silently inherits string annotations (breaks @dataclass).
    errors: list[str] = []
    tree = RLMPolicy(errors, [], {}).visit(tree)
    if errors:
        raise SyntaxError("; ".join(errors[:3]))
    if tree.body and isinstance(last := tree.body[-1], ast.Expr):
        last.value = ast.copy_location(ast.Call(ast.Name("_echo_", ast.Load()), [last.value], []), last.value)
    ast.fix_missing_locations(tree)
    return compile(tree, filename, "exec", flags=0, dont_inherit=True)

