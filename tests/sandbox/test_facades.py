"""What stands in for members of standard modules: as useful as the real ones, and no more."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET

import pytest

from rlm_core.sandbox import facades, xml_tree
from rlm_core.sandbox.members import IN_CELLS
from tests.sandbox.cells import Cells, output, run

# XML

BOMB = "<!DOCTYPE b [<!ENTITY a0 'ha'>" + "".join(
    f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 12)
)


@pytest.mark.parametrize(
    "document",
    [
        BOMB + "]><b>&a11;</b>",
        "<!DOCTYPE b [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><b>&f;</b>",
        "<!DOCTYPE b [<!ENTITY % p SYSTEM 'http://localhost/x'>%p;]><b/>",
        "<!DOCTYPE b [<!ENTITY % p '<!ENTITY x &#34;y&#34;>'>%p;]><b>&x;</b>",
        "<!DOCTYPE b [<!ENTITY u SYSTEM 'u' NDATA n>]><b/>",
        "<!DOCTYPE b [<!ENTITY unused 'x'>]><b/>",
    ],
)
def test_a_document_that_declares_entities_is_refused(document: str) -> None:
    began = time.monotonic()
    for parse in (xml_tree.fromstring, lambda text: list(xml_tree.fromstringlist([text]))):
        with pytest.raises(ET.ParseError, match="declares an entity"):
            parse(document)
    with pytest.raises(ET.ParseError, match="declares an entity"):
        xml_tree.fromstring(document.encode())
    assert time.monotonic() - began < 5  # seconds: a bomb that went off would take hours


@pytest.mark.parametrize(
    "document",
    [
        "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0//EN' 'http://www.w3.org/x.dtd'><html>&lt;&#65;</html>",
        "<?xml version='1.0' encoding='UTF-8'?><!-- c --><a>é</a>",
        "<!DOCTYPE a [<!ELEMENT a (#PCDATA)>]><a>x</a>",
        "<a xmlns='urn:x' xmlns:y='urn:y'><y:b y:c='1'/></a>",
    ],
)
def test_an_ordinary_document_is_read_as_the_real_parser_reads_it(document: str) -> None:
    assert ET.tostring(xml_tree.fromstring(document)) == ET.tostring(ET.fromstring(document))


@pytest.mark.parametrize("document", ["<a>", "", "<a>&undefined;</a>", "<a/><b/>", "<a>\x00</a>", "<a b=1/>"])
def test_a_broken_document_fails_as_it_does_elsewhere(document: str) -> None:
    with pytest.raises(ET.ParseError) as real:
        ET.fromstring(document)
    with pytest.raises(ET.ParseError) as ours:
        xml_tree.fromstring(document)
    assert (str(ours.value), ours.value.position) == (str(real.value), real.value.position)


def test_half_a_surrogate_pair_is_not_xml() -> None:
    with pytest.raises(ET.ParseError, match="surrogate"):
        xml_tree.fromstring("<a>\ud800</a>")


def test_deep_documents_do_not_overflow() -> None:
    deep = "<a>" * 5_000 + "</a>" * 5_000
    assert sum(1 for _ in xml_tree.iterparse(_Stream(deep))) == 5_000


class _Stream:
    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> str:
        return self._text


def test_trees_are_read_and_written_through_streams() -> None:
    cell = """
import io, xml.etree.ElementTree as ET
tree = ET.parse(io.StringIO("<a><b k='1'/><b/></a>"))
ET.indent(tree)
out = io.BytesIO()
tree.write(out, encoding="utf-8", xml_declaration=True)
print(out.getvalue().decode().splitlines()[0], len(tree.findall(".//b")), tree.find("/b").get("k"))
text = io.StringIO()
tree.write(text, encoding="unicode")
print(text.getvalue().count("\\n"), tree.findtext("c", "none"), [e.tag for e in tree.iter("b")])
"""
    assert output(cell) == "<?xml version='1.0' encoding='utf-8'?> 2 1\n3 none ['b', 'b']\n"


@pytest.mark.parametrize(
    "call", ["parse('a.xml')", "iterparse('a.xml')", "ElementTree(file='a.xml')", "parse(3)"]
)
def test_xml_is_not_read_from_files(call: str) -> None:
    with pytest.raises(TypeError, match="there are no files here"):
        run(f"import xml.etree.ElementTree as ET\nET.{call}")


# Enumerations


def test_an_enum_made_by_a_call_is_the_cells_own() -> None:
    session = run(
        "import enum\nE = enum.Enum('E', 'A B', start=5)\nS = enum.Enum('S', ['x'], type=str)\nE.A._note = 1"
    )
    assert [member.value for member in session["E"]] == [5, 6]
    assert session["S"].x.value == "1"
    assert session["E"].__module__ == session.names["__name__"]


@pytest.mark.parametrize("names", ["'_x'", "['__eq__']", "{'a b': 1}", "[('__init__', 1)]", "'a __call__'"])
def test_an_enum_has_no_members_of_special_names(names: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        run(f"import enum\nenum.Enum('E', {names})")


# Writing


def test_attributes_are_set_on_what_a_cell_made_and_on_plain_data() -> None:
    cell = """
import collections, decimal, enum, functools, textwrap, types, xml.etree.ElementTree as ET
class A: pass
class E(enum.Enum):
    X = 1
class Err(ValueError): pass
def f(): pass
for thing in A, A(), E, E.X, Err(), f, types.SimpleNamespace(), textwrap.TextWrapper():
    thing.mark = 1
    setattr(thing, "other", 1)
    del thing.mark
    delattr(thing, "other")
decimal.getcontext().prec = 28
collections.defaultdict(int).default_factory = list
ET.Element("x").text = "t"
"""
    run(cell)


@pytest.mark.parametrize(
    "thing",
    [
        "print",
        "len",
        "int",
        "json",
        "json.dumps",
        "ValueError()",
        "enum.Enum",
        "collections.Counter",
        "tool",
        "re.compile('')",
    ],
)
def test_attributes_are_not_set_on_anything_else(thing: str) -> None:
    session = Cells(tool=lambda: None)
    session.run("import collections, enum, json, re")
    for cell in (f"({thing}).mark = 1", f"setattr({thing}, 'mark', 1)", f"del ({thing}).mark"):
        with pytest.raises(TypeError, match="read-only here"):
            session.run(cell)


@pytest.mark.parametrize("name", ["__class__", "__dict__", "_x_", "gi_frame", "__eq__"])
def test_special_attributes_are_not_set(name: str) -> None:
    with pytest.raises(AttributeError, match="cannot be set"):
        run(f"class A: pass\nsetattr(A(), {name!r}, 1)")


# Types


def test_a_type_is_given_where_a_cell_can_name_it_and_stands_for_itself_elsewhere() -> None:
    cell = """
import re, types
class A: pass
m = re.match("", "")
print(type(1) is int, type(A()) is A, type(m) is re.Match, type(A) is type, type(ValueError()) is ValueError)
print(type(None), type(print), type(print) == type(len), type(re).__name__)
print(isinstance(type(print), type), type(type(print)) is type)
print(isinstance(A(), type(A())), type(x for x in "") is types.GeneratorType, type("")("q"))
"""
    assert output(cell) == (
        "True True True True True\n"
        "<class 'NoneType'> <class 'function'> False module\n"
        "True True\n"
        "True True q\n"
    )


def test_every_facade_imports_and_holds_only_what_is_listed() -> None:
    session = Cells()
    for module, members in facades.standard_members().items():
        session.run(f"import {module} as m\nnames = dir(m)")
        assert set(members) <= set(session["names"])
        assert not [name for name in session["names"] if name.startswith("_")]


def test_a_facade_is_the_same_for_each_way_of_importing_it() -> None:
    cell = "import json, json as j\nfrom json import loads\nprint(json is j, j.loads is loads)"
    assert output(cell) == "True True\n"


def test_a_star_imports_what_the_facade_names_and_nothing_else() -> None:
    session = Cells()
    before = set(session.names)
    session.run("from collections import *\nfrom math import *\nprint(Counter('aa')[chr(97)], floor(2.5))")
    bound = set(session.names) - before
    assert {"Counter", "namedtuple", "floor"} <= bound
    given = facades.standard_members()
    assert bound <= {*given["collections"], *IN_CELLS["collections"].split(), *given["math"]}
    with pytest.raises(ImportError, match="shutil is not available"):
        session.run("from shutil import *")
    with pytest.raises(SyntaxError):
        session.run("def f():\n    from math import *")


def test_statistics_take_any_iterable_once() -> None:
    cell = (
        "import statistics as s\nprint(s.mean(x for x in [1, 3]), s.median({1: 0, 5: 0}), s.fmean(range(4)))"
    )
    assert output(cell) == "2 3.0 1.5\n"
    with pytest.raises(TypeError, match="can't compute with classes"):
        run("import statistics\nstatistics.mean([int, float])")


def test_wraps_names_the_wrapper_and_nothing_of_the_hosts() -> None:
    cell = """
from functools import wraps
def log(f):
    @wraps(f)
    def inner(*a): return f(*a)
    return inner
@log
def work(x):
    "Works."
    return x
work.tries = 1
print(work.__name__, work.__doc__, work(3), log(work).tries, wraps(len)(lambda x: 1).__name__)
"""
    assert output(cell) == "work Works. 3 1 len\n"
