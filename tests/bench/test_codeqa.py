import ast
import random
import re

import pytest

from rlm_bench import code, tasks
from rlm_bench.answers import said
from rlm_bench.scorers import score
from rlm_bench.stdlib import Source
from rlm_bench.tasks.codeqa import QUESTIONS, Asked, Code, is_true

codeqa = tasks.get("codeqa")

SHAPES = '''
"""Shapes, and their areas."""

import math
import json
import warnings
from abc import ABC, abstractmethod

SCALE = 25
HEX_VALUE = 0x10  # is not asked for: it can be written in two ways
MODE = "strict"
MODE_TWICE = "a"
MODE_TWICE = "b"


class Shape(ABC):
    @abstractmethod
    def area(self):
        """The @property in this text is no decorator."""

    @property
    def name(self):
        return json.dumps(type(self).__name__)


class Round(Shape):
    @property
    def area(self):
        return math.pi


class Circle(Round):
    @property
    def diameter(self):
        return checked(2)  # a caller that is no top-level function


def scaled(value, factor=3, mode="exact", deep=None):
    if value < 0:
        raise ValueError("negative")
    if factor == 0:
        raise ZeroDivisionError
    return value * factor


def checked(value):
    return scaled(value)


def twice(value):
    return scaled(scaled(value))


def odd(value):
    def inner():
        raise KeyError(value)

    return inner
'''
OTHER = """
class Sphere(Round):
    pass


class Lonely:
    pass
"""


METHOD = """
SCALE = sum([1, 2])


class Other:
    def scaled(self, mode="loose"):
        pass
"""


@pytest.fixture
def known():
    return Code(code.modules(code.joined([Source("shapes.py", SHAPES), Source("more/other.py", OTHER)])))


def candidates(known, kind):
    return {tuple(one) for one in QUESTIONS[kind].candidates(known)}


@pytest.mark.parametrize(
    ("kind", "asked", "answer"),
    [
        ("define_where", Asked("Sphere"), "more/other.py"),
        ("base_of", Asked("Circle"), "Round"),
        ("subclasses", Asked("Shape"), ["Circle", "Round", "Sphere"]),
        ("default_value", Asked("scaled", part="mode"), "exact"),
        ("constant_value", Asked("SCALE"), "25"),
        ("callers_of", Asked("scaled", "shapes.py"), ["checked", "twice"]),
        ("raises_in", Asked("scaled"), ["ValueError", "ZeroDivisionError"]),
        ("longest_function_in", Asked("shapes.py", "shapes.py"), "scaled"),
        ("count_decorated", Asked("property"), 3),
        ("unused_import", Asked("shapes.py", "shapes.py"), "warnings"),
    ],
)
def test_each_question_is_asked_and_answered_as_the_code_has_it(known, kind, asked, answer):
    assert tuple(asked) in candidates(known, kind)
    assert QUESTIONS[kind].answer(known, asked) == answer


def test_what_two_rules_would_answer_differently_is_not_asked(known):
    assert ("HEX_VALUE", "", "") not in candidates(known, "constant_value")  # 16, or 0x10
    assert ("MODE_TWICE", "", "") not in candidates(known, "constant_value")
    assert ("scaled", "", "deep") not in candidates(known, "default_value")
    assert ("checked", "shapes.py", "") not in candidates(known, "callers_of")  # by a method
    assert ("odd", "", "") not in candidates(known, "raises_in")  # who raises: odd, or the one inside?
    methods = Code(code.modules(code.joined([Source("a.py", SHAPES), Source("b.py", METHOD)])))
    assert ("scaled", "", "mode") not in candidates(methods, "default_value")  # of which?
    assert ("SCALE", "", "") not in candidates(methods, "constant_value")
    twice = Code(code.modules(code.joined([Source("a.py", OTHER), Source("b.py", OTHER)])))
    assert candidates(twice, "define_where") == set()


@pytest.mark.parametrize(
    ("statement", "true"),
    [
        ("The class Sphere is defined in more/other.py.", True),
        ("The class Sphere is defined in shapes.py.", False),
        ("The base class of Circle is Round.", True),
        ("The parameter factor of the function scaled is 3 by default.", True),
        ("The parameter factor of the function scaled is 4 by default.", False),
        ("The constant MODE is strict.", True),
    ],
)
def test_statements_are_true_or_not(known, statement, true):
    assert is_true(known, statement) is true


def test_four_statements_have_one_that_is_true_and_it_may_be_told_by_letter():
    sample = codeqa.sample(question="choice", seed=2)
    assert len(re.findall(r"^\d: ", sample.query, re.M)) == 4
    for answer in (str(sample.answer), f"Statement {'ABCD'[sample.answer]}.", sample.answer):
        assert score(sample, answer).strict == 1
    assert score(sample, str((sample.answer + 1) % 4)).strict == 0
    assert score(sample, "0, 1, 2 and 3").strict == 0
    assert len({codeqa.sample(question="choice", seed=seed).answer for seed in range(12)}) == 4


def test_new_names_are_the_same_everywhere_and_leave_the_code_as_it_was():
    files = [Source("shapes.py", SHAPES), Source("more/other.py", OTHER)]
    new = code.renamed(files, random.Random(1))
    for old, made in zip(files, new, strict=True):
        one, other = ast.parse(old.text), ast.parse(made.text)
        assert [type(node) for node in ast.walk(one)] == [type(node) for node in ast.walk(other)]
        names = {node.id for node in ast.walk(other) if isinstance(node, ast.Name)}
        assert not names & {"Shape", "Round", "scaled", "value", "math"}
    assert "# is not asked for" in new[0].text
    assert '"""Shapes, and their areas."""' in new[0].text
    assert re.search(r"def __init__|property|ValueError", new[0].text)
    round_ = re.search(r"class (\w+)\(\w+\):\n    @property", new[0].text)[1]
    assert re.search(rf"class \w+\({round_}\):", new[1].text)
    assert new[0].path.endswith(".py")
    assert new[0].path != "shapes.py"


def test_a_form_feed_between_two_functions_ends_no_line_of_renamed_code():
    text = "def one():\n    pass\n\x0c\ndef two():\n    return one()  # \x0c here too\n\n\nthree = two()\n"
    (made,) = code.renamed([Source("a.py", text)], random.Random(1))
    one, two, three = re.findall(r"(?:def )?(\w+)(?=\(\):| =)", made.text)
    assert made.text == text.replace("one", one).replace("two", two).replace("three", three)
    assert len({one, two, three, "one", "two", "three"}) == 6


def test_of_renamed_code_the_same_is_true_under_new_names():
    text = code.joined(code.renamed([Source("a.py", SHAPES), Source("b.py", OTHER)], random.Random(1)))
    known = Code(code.modules(text))
    assert sorted(len(known.descendants(name)) for name in known.classes) == [0, 0, 0, 2, 3]
    assert known.decorators["property"] == 3
    assert [len(module.classes) for module in known.modules] == [3, 2]


@pytest.mark.parametrize("renamed", [False, True])
def test_every_kind_can_be_asked_of_the_library_in_small_and_larger_texts(renamed):
    for index in range(11):
        sample = codeqa.sample(size=10_000, index=index, renamed=renamed)
        assert 5_000 < sample.chars < 12_000  # new names have lengths of their own
        assert score(sample, f"The answer is {said(sample.answer)}.").strict == 1
    assert {codeqa.sample(index=i, seed=1).meta["kind"] for i in range(11)} == {*QUESTIONS, "choice"}


def test_a_folder_of_ones_own_may_be_asked_about(tmp_path):
    (tmp_path / "shapes.py").write_text(SHAPES)
    sample = codeqa.sample(question="unused_import", src=str(tmp_path), size=5_000)
    assert (sample.answer, sample.chars) == ("warnings", len(SHAPES) + len("=== FILE: shapes.py ===\n"))
    with pytest.raises(ValueError, match="holds no Python files"):
        codeqa.sample(src=str(tmp_path / "none"))
