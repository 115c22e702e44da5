"""The holes that were found in RestrictedPython itself, each tried on our policy: it replaces much of it."""

from __future__ import annotations

import re

import pytest

from tests.sandbox.cells import Cells, output, run


def refused(cell: str, said: str = "", **names: object) -> None:
    """Runs a cell that must fail, before or while it runs, with `said` in the error."""
    with pytest.raises((SyntaxError, AttributeError, TypeError, NameError), match=re.escape(said) or None):
        run(cell, **names)


# CVE-2023-37271: attributes that the `inspect` module documents (`gi_frame`, `tb_frame`, `f_back`, ...)
# led from a generator to its caller's frame, and through the stack out of the sandbox. Fixed in 6.1 and
# 7.0a1.


@pytest.mark.parametrize(
    "name",
    [
        *("tb_frame", "tb_next", "f_back", "f_builtins", "f_code", "f_globals", "f_locals", "f_trace"),
        *("co_code", "gi_frame", "gi_code", "gi_yieldfrom", "cr_await", "cr_frame", "cr_code", "cr_origin"),
        *("ag_frame", "ag_code", "ag_await"),
    ],
)
def test_cve_2023_37271_no_way_to_name_it(name: str) -> None:
    for cell in (
        f"x = (i for i in [1])\nx.{name}",
        f"x = (i for i in [1])\ngetattr(x, '{name}')",
        f"import operator\noperator.attrgetter('{name}')((i for i in [1]))",
        f"'{{0.{name}}}'.format((i for i in [1]))",
        f"match (i for i in [1]):\n    case object({name}=f): pass",
        f"x = (i for i in [1])\nx.{name} = 1",
        f"x = (i for i in [1])\ndel x.{name}",
    ):
        refused(cell, f"{name} is not available")


def test_cve_2023_37271_the_published_exploit() -> None:
    refused(
        """
def generate():
    yield (g.gi_frame.f_back.f_back for _ in [1])
g = generate()
[x for x in next(g)][0].f_builtins
""",
        "gi_frame is not available",
    )


# CVE-2023-41039: `str.format`, `str.format_map` and `string.Formatter` read attributes and items by a
# path in the template, past every guard. Fixed in 5.4, 6.2 and 7.0a2.


class Holder:
    secret = "canary"

    def method(self) -> None: ...


@pytest.mark.parametrize(
    "cell",
    [
        "'{0.__self__.secret}'.format(tool)",
        "'{t.__self__.secret}'.format_map({'t': tool})",
        "str.format('{0.__self__.secret}', tool)",
        "str.format_map('{t.__self__.secret}', {'t': tool})",
        "getattr('{0.__self__.secret}', 'format')(tool)",
        "(lambda f: f(tool))('{0.__self__.secret}'.format)",
        "class S(str): pass\nS('{0.__self__.secret}').format(tool)",
        "class S(str):\n    def f(self): return super().format(tool)\nS('{0.__self__.secret}').f()",
        "'{0:{1.__self__.secret}}'.format('', tool)",
        "'{0!r:{1.__self__.secret}}'.format('', tool)",
    ],
)
def test_cve_2023_41039_a_template_reads_no_further_than_code_may(cell: str) -> None:
    refused(cell, tool=Holder().method)


def test_cve_2023_41039_formatter_is_not_there() -> None:
    refused("import string\nstring.Formatter", "no 'Formatter'")


def test_cve_2023_41039_what_code_may_read_a_template_may_read() -> None:
    cell = "class A:\n    x = 1\n    _y = [2]\nprint('{0.x} {0._y[0]} {a[k].real}'.format(A, a={'k': 3}))"
    assert output(cell) == "1 2 3\n"


# CVE-2024-47532: `AttributeError.obj` (Python 3.10) gave the object that had lacked an attribute, such as
# a module; and the `string` module was at hand with everything that it imports. Fixed in 7.3.


@pytest.mark.parametrize(
    "read",
    [
        "e.obj",
        "getattr(e, 'obj')",
        "'{0.obj}'.format(e)",
        "operator.attrgetter('obj')(e)",
        "vars(e)['obj']",
    ],
)
def test_cve_2024_47532_an_error_does_not_give_its_object(read: str) -> None:
    refused(f"import re, operator\ntry:\n    re.nothing\nexcept AttributeError as e:\n    print({read})")


def test_cve_2024_47532_an_object_of_the_cells_own_may_have_one() -> None:
    assert output("class A:\n    obj = 1\nprint(A().obj, getattr(A, 'obj'))") == "1 1\n"


def test_cve_2024_47532_the_string_module_has_only_its_members() -> None:
    for name in ("_re", "_sre", "_string", "_ChainMap", "Formatter"):
        refused(f"import string\ngetattr(string, '{name}')")


# CVE-2025-22153: `try`/`except*` believed any return value of `ExceptionGroup.split` to be a tuple: a
# type confusion in CPython 3.11 to 3.13, that a cell could reach. Fixed in 8.0 by refusing the statement.


def test_cve_2025_22153_except_star_is_refused() -> None:
    refused("try:\n    pass\nexcept* ValueError:\n    pass", "except* is not available")


@pytest.mark.parametrize("name", ["ExceptionGroup", "BaseExceptionGroup"])
def test_cve_2025_22153_there_are_no_groups(name: str) -> None:
    refused(name, f"name '{name}' is not defined")


# CVE-2026-55830: the names of positional-only parameters were not looked at, so that one could stand in
# for a hook (`_getattr_`, `_write_`, ...) inside its function. Fixed in 8.3.


@pytest.mark.parametrize("hook", ["_getattr_", "_own_", "_write_", "_echo_", "_import_", "_import_from_"])
@pytest.mark.parametrize(
    "definition", ["def f({0}, /): return 1", "def f(a, {0}, /, b): return 1", "f = lambda {0}, /: 1"]
)
def test_cve_2026_55830_no_parameter_is_named_like_a_hook(hook: str, definition: str) -> None:
    refused(definition.format(hook), f"{hook} is a reserved name")


# CVE-2026-76825: `string.Formatter`, and the methods of it that follow a path (`format`, `vformat`,
# `get_field`, `get_value`), could be had through `getattr`. Fixed in 8.4.


def test_cve_2026_76825_no_formatter_by_getattr() -> None:
    refused("import string\ngetattr(string, 'Formatter')", "no 'Formatter'")


def test_cve_2026_76825_no_formatter_by_import() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Formatter'"):
        run("from string import Formatter")


def test_cve_2026_76825_no_formatter_by_a_templates_way() -> None:
    refused("import string\n'{0.Formatter}'.format(string)", "no 'Formatter'")


def test_cve_2026_76825_our_own_formatter_is_out_of_reach() -> None:
    session = Cells()
    session.run("f = '{0.real}'.format\nnames = [n for n in dir(f)]\ngot = f(1)")
    assert session["got"] == "1"
    for name in ("__closure__", "__globals__", "__wrapped__", "__self__", "__func__"):
        refused(f"'{{0.real}}'.format.{name}", f"{name} is not available")


# Fixed without a CVE: from the change log: an attribute's name must be an exact `str` (7.2), and what is
# known of later Pythons (8.5).


def test_without_a_cve_a_name_that_lies_about_itself() -> None:
    refused(
        "class N(str):\n    def startswith(*a): return False\ngetattr(print, N('__globals__'))",
        "attribute name must be string",
    )


def test_without_a_cve_async_generators_are_not_there() -> None:
    refused("async def f():\n    yield 1", "async is not available")
