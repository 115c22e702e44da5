import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import types
import typing

import pytest

from rlm_core.sandbox.plain import plain
from rlm_core.sandbox.search import Line


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Point(typing.NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Person:
    name: str
    at: Point


SAME = [
    None,
    True,
    3,
    2.5,
    1 + 2j,
    "text",
    b"bytes",
    [1, [2]],
    (1, "a"),
    {"a": {1: "b"}},
    {1, 2},
    datetime.datetime(2024, 1, 2, 3, 4, 5),
    datetime.date(2024, 1, 2),
    datetime.timedelta(days=1),
    decimal.Decimal("1.10"),
]


@pytest.mark.parametrize("value", SAME, ids=repr)
def test_plain_data_stays_what_it_is(value):
    made = plain(value, "it")
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Person("Ann", Point(1, 2)), {"name": "Ann", "at": {"x": 1, "y": 2}}),
        ([Colour.RED, Level.LOW], ["red", 1]),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.deque([1, 2]), [1, 2]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        ({"a": 1}.items(), [("a", 1)]),
        (range(3), [0, 1, 2]),
        (map(str, [1, 2]), ["1", "2"]),
        (frozenset([1]), {1}),
        (fractions.Fraction(1, 3), "1/3"),
        (types.SimpleNamespace(a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (Line("text"), "text"),
        (bytearray(b"x"), b"x"),
        ({Point(1, 2): Point(3, 4)}, {(1, 2): {"x": 3, "y": 4}}),
        ({Point(1, 2)}, {(1, 2)}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_a_plain_form_takes_it(value, expected):
    made = plain(value, "it")
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize("value", [object(), print, Person, [{"deep": object()}], ...], ids=repr)
def test_what_has_none_is_refused_by_name(value):
    with pytest.raises(TypeError, match=r"the answer holds .*plain data"):
        plain(value, "the answer")


def test_a_key_without_a_hashable_plain_form_is_refused():
    frozen = dataclasses.make_dataclass("Frozen", ["x"], frozen=True)
    with pytest.raises(TypeError, match="a Frozen as a key"):
        plain({frozen(1): 2}, "it")


def test_what_holds_itself_is_refused():
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match="holds itself"):
        plain(value, "it")


@pytest.mark.parametrize("value", [10**4300, [-(10**5000)], {10**4300: 1}, Point(1, 10**4300)], ids=type)
def test_a_number_that_python_writes_nowhere_does_not_cross(value):
    with pytest.raises(ValueError, match="it holds a number of more than 4,300 digits"):
        plain(value, "it")


def test_the_largest_number_that_is_written_crosses():
    assert len(str(plain(10**4299, "it"))) == 4300
