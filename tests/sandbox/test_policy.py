"""What the policy accepts, refuses and says about it; limits of size; what counts as a literal submission."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap

import pytest

from rlm_core.sandbox.policy import compile_cell, literal_calls
from tests.sandbox.cells import Cells, output, run

# Refusals name the alternative


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("async def f(): pass", "async is not available: llm_query_batched runs in parallel"),
        ("async def f():\n    await g()", "llm_query_batched runs in parallel"),
        ("def f():\n    return [x async for x in y]", "async"),
        ("try: pass\nexcept* ValueError: pass", "except* is not available: use except"),
        ("x.__subclasses__()", "__subclasses__ is not available: keep the classes in a list"),
        ("x.__globals__", "__globals__ is not available"),
        ("x.gi_frame", "gi_frame is not available: the sandbox cannot be inspected"),
        ("__builtins__", "__builtins__ is not available: call the function by its name"),
        ("__import__('os')", "__import__ is not available: use an import statement"),
        ("print(__file__)", "there are no files here, the input is in `context`"),
        ("class A(metaclass=M): pass", "metaclasses are not available: use a class decorator"),
        (
            "class A:\n    def __getattr__(self, n): pass",
            "__getattr__ is not available: define the attributes",
        ),
        ("class A:\n    __class__ = int", "__class__ is not available"),
        ("class A:\n    def __del__(self): pass", "__del__ is not available: use with, or try and finally"),
        ("class A:\n    __match_args__ = 'x',", "__match_args__ is not available: name the attributes"),
        ("class A:\n    def __odd__(self): pass", "__odd__ is not available: use an ordinary name"),
        ("def f():\n    def __len__(self): pass", "__len__ is not available"),
        ("def f(): pass\nf.__name__ = 'g'", "__name__ is not available: functools.wraps names a wrapper"),
        ("_x_ = 1", "_x_ is a reserved name: leave out the last underscore"),
        ("from . import x", "relative imports are not available"),
        ("match p:\n    case Point(__class__=c): pass", "__class__ is not available in a class pattern"),
    ],
)
def test_a_refusal_names_the_alternative(cell: str, said: str) -> None:
    with pytest.raises(SyntaxError, match=re.escape(said)):
        compile_cell(cell)


@pytest.mark.parametrize(
    ("cell", "error", "said"),
    [
        (
            "import shutil",
            ImportError,
            "shutil is not available: there are no files here, the input is in `context`",
        ),
        (
            "import os\nos.listdir('.')",
            AttributeError,
            "module 'os' has no 'listdir' here: there are no",
        ),
        ("from os import getcwd", ImportError, "there are no files here"),
        ("import os\nos.environ['HOME']", AttributeError, "there is no environment here"),
        ("import os.path\nos.path.exists('a')", AttributeError, "there are no files here"),
        ("from pathlib import Path\nPath('a').read_text()", RuntimeError, "there are no files here"),
        ("import asyncio", ImportError, "llm_query_batched runs in parallel"),
        ("import threading\nthreading.Thread", AttributeError, "llm_query_batched runs in parallel"),
        ("import sys\nsys.path.append('x')", AttributeError, "nothing can be installed here"),
        ("import ast\nast.parse('1')", AttributeError, "ast.literal_eval reads data"),
        ("getattr(int, '__mro__')", AttributeError, "use isinstance or issubclass"),
        ("import requests", ImportError, "there is no network here"),
        ("import urllib.request", ImportError, "there is no network here"),
        ("import numpy as np", ImportError, "use lists, math and statistics"),
        ("import pandas as pd", ImportError, "use csv"),
        ("import xml.dom.minidom", ImportError, "use xml.etree.ElementTree"),
        ("from openai import OpenAI", ImportError, "use llm_query"),
        ("import array", ImportError, "use a list, or a bytearray"),
        ("import re\nmatch 1:\n    case re.Match(x): pass", TypeError, "name them, as in Point(x=0, y=y)"),
        ("import pickle", ImportError, "they are kept from cell to cell"),
        ("import nonsense", ImportError, "nonsense is not available: write it in plain Python"),
        ("from re import enum", ImportError, "cannot import name 'enum' from 're' here"),
        ("import re\nre.Scanner", AttributeError, "module 're' has no 'Scanner' here"),
        ("open('x')", RuntimeError, "open() is not available: there are no files here"),
        ("input()", RuntimeError, "nobody is there to answer"),
        ("eval('1')", RuntimeError, "use ast.literal_eval or json.loads"),
        ("exit()", RuntimeError, "let the cell end"),
        ("type('X', (), {})", TypeError, "write a class statement to make a class"),
        ("class M(type): pass", TypeError, "metaclasses are not available: use a class decorator"),
        ("import json\njson.x = 1", TypeError, "attributes of module objects are read-only here"),
        ("import random\nrandom.Random()._x", AttributeError, "private attributes of Random objects"),
        ("import xml.etree.ElementTree as ET\nET.parse('a.xml')", TypeError, "there are no files here"),
        ("object.mro()", AttributeError, "mro is not available: use isinstance or issubclass"),
    ],
)
def test_an_error_names_the_alternative(cell: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        run(cell)


def test_an_unavailable_module_can_be_tried_for() -> None:
    assert output("try:\n    import numpy\nexcept ImportError:\n    print('without')") == "without\n"


def test_what_is_not_available_as_a_builtin_may_be_defined() -> None:
    assert (
        output("def open(x): return x + 1\nfrom re import compile\nprint(open(1), compile('a').pattern)")
        == "2 a\n"
    )


def test_a_refusal_has_its_place() -> None:
    with pytest.raises(SyntaxError) as caught:
        compile_cell("x = 1\ny = x.__globals__\n", "<cell 3>")
    assert (caught.value.lineno, caught.value.offset, caught.value.filename) == (2, 5, "<cell 3>")
    assert caught.value.text == "y = x.__globals__"


def test_several_refusals_come_at_once() -> None:
    with pytest.raises(SyntaxError, match=r"^__globals__ .*; line 3: __code__ is not available"):
        compile_cell("x.__globals__\nx.__globals__\nx.__code__")


def test_a_syntax_error_is_pythons_own() -> None:
    with pytest.raises(SyntaxError, match="was never closed") as caught:
        compile_cell("x = 1\ny = (1,\n")
    assert caught.value.lineno == 2


# Every identifier of the syntax is looked at

FIELDS_WITH_NAMES = {
    "FunctionDef": "def {}(): pass",
    "ClassDef": "class {}: pass",
    "Global": "def f():\n    global {}",
    "Nonlocal": "def f():\n    x = 1\n    def g():\n        nonlocal {}",
    "Attribute": "x.{}",
    "Name": "{}",
    "ExceptHandler": "try: pass\nexcept ValueError as {}: pass",
    "arg": "def f({}): pass",
    "keyword": "f({}=1)",
    "alias": "import re as {}",
    "MatchMapping": "match x:\n    case {{**{}}}: pass",
    "MatchClass": "match x:\n    case A({}=1): pass",
    "MatchStar": "match x:\n    case [*{}]: pass",
    "MatchAs": "match x:\n    case {}: pass",
    "ImportFrom": "from re import {}",
}
REFUSED_WHOLE = {"AsyncFunctionDef", "TypeVar", "ParamSpec", "TypeVarTuple"}


def nodes_with_names() -> set[str]:
    """The kinds of syntax node that hold an identifier, by the grammar that `ast` documents."""
    kinds = [kind for kind in vars(ast).values() if isinstance(kind, type) and issubclass(kind, ast.AST)]
    concrete = [kind for kind in kinds if not kind.__subclasses__()]
    return {kind.__name__ for kind in concrete if "identifier" in (kind.__doc__ or "")}


def test_every_node_that_holds_a_name_is_known() -> None:
    assert nodes_with_names() - REFUSED_WHOLE == set(FIELDS_WITH_NAMES)


@pytest.mark.parametrize("name", ["__globals__", "_getattr_", "__ｇlobals__"])
@pytest.mark.parametrize("kind", FIELDS_WITH_NAMES)
def test_a_special_name_is_refused_wherever_it_stands(kind: str, name: str) -> None:
    with pytest.raises(SyntaxError, match=r"is not available|is a reserved name"):
        compile_cell(FIELDS_WITH_NAMES[kind].format(name))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of 3.12")
@pytest.mark.parametrize(
    "cell", ["def f[T](x: T): pass", "class A[T]: pass", "type X = int", "def f[**P](): pass"]
)
def test_type_parameters_are_refused(cell: str) -> None:
    with pytest.raises(SyntaxError, match="not available"):
        compile_cell(cell)


def test_a_node_that_nobody_has_thought_about_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Novelty(ast.stmt):
        _attributes = ("lineno", "col_offset")

    tree = ast.Module([Novelty(lineno=1, col_offset=0)], [])
    monkeypatch.setattr("rlm_core.sandbox.policy.parse_cell", lambda source, filename: tree)
    with pytest.raises(SyntaxError, match="Novelty"):
        compile_cell("")


# Limits


@pytest.mark.parametrize(
    "source",
    [
        "(" * 500 + ")" * 500,
        "-" * 5_000 + "1",
        "[" * 5_000,
        "x" + ".a" * 2_000,
        "f" + "()" * 2_000,
        "+".join(["1"] * 5_000),
        "\n".join(" " * i + "if 1:" for i in range(99))
        + "\n"
        + " " * 99
        + "pass"
        + "\n"
        + "y = "
        + "not " * 900
        + "1",
        "lambda: " * 1_000 + "1",
        "x = [" + "1," * 60_000 + "]",
        "a = 1\n" * 40_000,
        "{" + "'" + "f{" * 300,
        "x = '\ud800'",
        "x = 1\0",
    ],
)
def test_source_beyond_the_limits_is_a_syntax_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        compile_cell(source)


def test_long_but_ordinary_code_runs() -> None:
    lines = [f"total += len('{i}') if {i} % 2 else 0" for i in range(3_000)]
    chain = "if total == -1: pass\n" + "".join(f"elif total == {-i}: pass\n" for i in range(2, 60))
    prompt = "prompt = " + " + ".join(f"'part {i} '" for i in range(100))
    assert (
        output("total = 0\n" + "\n".join(lines) + f"\n{chain}{prompt}\nprint(total, len(prompt))")
        == "5445 790\n"
    )


def test_compiling_writes_nothing_to_stderr(recwarn: pytest.WarningsRecorder) -> None:
    compile_cell("import re\nre.findall('\\d', 'x')\nx = 5\nx is 5\nassert (x, 'always true')")
    assert not recwarn.list


# What the rewriting must leave as it is


def test_private_names_mean_the_same_in_reads_and_writes() -> None:
    cell = """
        class Outer:
            __x = 1
            def __init__(self, __y=2):
                self.__y = __y
                self.__y += 1
            def get(self):
                def inner(): return self.__y + self.__x + Outer.__x
                return inner(), [self.__y for _ in "a"]
            class __Inner:
                __z = 5
                def z(self): return self.__z
            def inner(self): return Outer.__Inner().z()
        class _Under(Outer):
            __x = 7
            def mine(self): return self.__x
        class __:
            def f(self, o): return o.__plain
        class P: pass
        p = P()
        p.__plain = "plain"
        print(Outer().get(), Outer().inner(), _Under().mine(), __().f(p), sorted(vars(Outer())))
    """
    assert output(textwrap.dedent(cell)) == "(5, [3]) 5 7 plain ['_Outer__y']\n"


def test_a_bare_except_lets_the_stop_of_a_cell_through() -> None:
    class Stop(BaseException):
        pass

    def stop() -> None:
        raise Stop

    for clause in ("except", "except BaseException", "except Exception"):
        with pytest.raises(Stop):
            run(f"try:\n    stop()\n{clause}:\n    pass", stop=stop)


def test_tracebacks_point_at_the_line_of_the_cell() -> None:
    session = Cells()
    with pytest.raises(ZeroDivisionError) as caught:
        session.run("def f(x):\n    import re\n    return x._y / 0\nclass A:\n    _y = 1\nf(A())")
    tb = caught.value.__traceback__
    lines = []
    while tb is not None:
        lines += [tb.tb_lineno] if tb.tb_frame.f_code.co_filename == "<cell>" else []
        tb = tb.tb_next
    assert lines == [6, 3]


@pytest.mark.parametrize("statement", ["import re.", "import", "from re import", "import re as"])
def test_half_an_import_is_a_syntax_error(statement: str) -> None:
    with pytest.raises(SyntaxError):
        compile_cell(statement)


def test_imports_bind_what_they_bind_in_python() -> None:
    cell = """
        import collections.abc, urllib.parse as up, xml.etree.ElementTree
        from collections import abc, Counter as C
        from xml.etree import ElementTree as ET
        import concurrent.futures
        def f():
            import math
            from math import pi
            return math.floor(pi)
        class A:
            import json
        print(collections.abc.Mapping is abc.Mapping, up.quote(" "), xml.etree.ElementTree is ET, C("a"))
        print(f(), A.json.dumps(1))
        print("math" in globals(), concurrent.futures.ThreadPoolExecutor.__name__)
    """
    assert output(textwrap.dedent(cell)) == "True %20 True Counter({'a': 1})\n3 1\nFalse ThreadPoolExecutor\n"


# Submissions that were written out

NAMES = frozenset({"SUBMIT", "FINAL"})


@pytest.mark.parametrize(
    "source",
    [
        "SUBMIT('42')",
        "SUBMIT(answer='42', score=-1.5)",
        "SUBMIT(['a', {'k': (1, None, True)}, {1}])",
        "SUBMIT('a' 'b' + 'c')",
        "SUBMIT(f'no fields')",
        "SUBMIT(**{'answer': 'x'})",
        "answer = 'x'\nSUBMIT(answer)",
        "answer: str = 'x'\nother = answer\nSUBMIT(other)",
        "items = ['a', 'b']\nSUBMIT(items)",
        "if ok:\n    SUBMIT('yes')\nelse:\n    FINAL('no')",
        "def end():\n    SUBMIT('x')\nend()",
        "print(len(context))\nSUBMIT(\n    'long ' +\n    'text')",
        "SUBMIT()",
    ],
)
def test_literal_submissions(source: str) -> None:
    assert literal_calls(source, NAMES)


@pytest.mark.parametrize(
    "source",
    [
        "SUBMIT(answer)",
        "SUBMIT(f'{answer}')",
        "SUBMIT(str(42))",
        "SUBMIT(['a', b])",
        "SUBMIT(*['a'])",
        "SUBMIT(**fields)",
        "SUBMIT('a' if ok else 'b')",
        "SUBMIT('a'); SUBMIT(b)",
        "answer = 'x'\nanswer = find()\nSUBMIT(answer)",
        "answer = 'x'\nanswer += find()\nSUBMIT(answer)",
        "answer = ''\nfor answer in found: pass\nSUBMIT(answer)",
        "for i in range(3):\n    answer = 'x'\nSUBMIT(answer)",
        "items = []\nitems.append(find())\nSUBMIT(items)",
        "items = []\nfill(items)\nSUBMIT(items)",
        "items = {}\nitems['k'] = find()\nSUBMIT(items)",
        "items = [0]\nalias = items\nalias[0] = find()\nSUBMIT(items)",
        "answer = 'x'\ndef answer(): pass\nSUBMIT(answer)",
        "answer = 'x'\nimport re as answer\nSUBMIT(answer)",
        "answer = 'x'\nmatch y:\n    case answer: pass\nSUBMIT(answer)",
        "answer = 'x'\ntry: f()\nexcept E as answer: pass\nSUBMIT(answer)",
        "answer = 'x'\ndef f():\n    global answer\n    answer = find()\nf()\nSUBMIT(answer)",
        "def f(answer):\n    SUBMIT(answer)\nanswer = 'x'\nf(find())",
        "print('no submission')",
        "other.SUBMIT('x')",
        "not python",
        "SUBMIT(" + "(" * 400 + ")" * 400 + ")",
        "SUBMIT(" + "+".join(["'a'"] * 9_000) + ")",
        "",
    ],
)
def test_submissions_that_are_not_literal(source: str) -> None:
    assert not literal_calls(source, NAMES)


# As a worker starts it


def test_after_preload_nothing_is_imported_or_opened() -> None:
    """In a process of its own, started clean as a worker is, with a hook that reports every file."""
    paths = [path for path in sys.path if path]
    program = f"""
import sys
sys.path[:] = {paths!r}
from rlm_core.sandbox import namespace, policy
namespace.preload()
from tests.sandbox import test_everyday_code as code
session = namespace.make_globals([].append, code.names())
exec(policy.compile_cell("1"), session)
touched = []
def note(event, args):
    if event in ("open", "import", "os.listdir"):
        touched.append((event, args[0]))
sys.addaudithook(note)
for text in [*code.MODEL_CODE.values(), *code.EVERYDAY.values()]:
    for cell in text.split("%%\\n"):
        exec(policy.compile_cell(cell), session)
touched = [one for one in touched if one[0] != "import" or one[1] not in sys.builtin_module_names]
print(touched)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
