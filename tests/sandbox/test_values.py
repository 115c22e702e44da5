"""What crosses between host and worker arrives as it was; what cannot is refused by name; hostile bytes
are refused."""

from __future__ import annotations

import bisect
import contextlib
import enum
from collections import Counter, OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from rlm_core.sandbox.inspection import MAX_DEPTH, inspect
from rlm_core.sandbox.protocol import LMError
from rlm_core.sandbox.values import Decoder, encode

hostile: Decoder[Any] = Decoder(Any, hostile=True)


def crossed(value: Any) -> Any:
    return hostile.decode(encode(lambda packer: packer.pack(value)))


def nested(levels: int, around: Any = list) -> Any:
    value: Any = around()
    for _ in range(levels - 1):
        value = around([value])
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        2**63 - 1,
        2**64 - 1,
        2**64,
        -(2**63) - 1,
        7**1000,
        -(7**1000),
        1.5,
        -0.0,
        float("inf"),
        float("nan"),
        3 + 4j,
        "",
        "plain",
        "CR\r\nLF\0",
        "中文 é 😀",
        "\ud800 lone",
        "\ud83d\ude00",  # two lone surrogates, which are not the one character that they would spell
        b"",
        b"\x00\xff",
        [],
        [1, "two", [3.0, [None]]],
        (),
        (1, (2, [3])),
        [(), ((),)],
        {},
        {"a": {"b": [1, {"c": ()}]}},
        {1: "int", "1": "str", 2.5: "float", None: "none", b"b": "bytes", False: "bool"},
        {(1, 2): "tuple", frozenset({1}): "frozenset", 2**70: "big", "\ud800": "surrogate"},
        {"\ud800": 1},
        set(),
        {1, "a", (2, 3), None},
        frozenset({frozenset()}),
        [2**70, "\udfff", 1, "a"],
        date(1, 1, 1),
        datetime(2020, 2, 29, 23, 59, 59, 999999),
        datetime(2020, 1, 1, fold=1),
        datetime(2020, 1, 1, tzinfo=UTC),
        datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=-5, seconds=3), "odd")),
        time(1, 2, 3, 4, fold=1),
        time(1, tzinfo=UTC),
        timedelta(days=-1, microseconds=1),
        Decimal("1.10"),
        Decimal("-Infinity"),
        Decimal("NaN"),
        Decimal("1e999999"),
        LMError("[ERROR] \ud800"),
        [LMError("[ERROR] a"), "b"],
    ],
    ids=lambda value: repr(value)[:40].encode("ascii", "backslashreplace").decode(),
)
def test_a_value_arrives_exactly_as_it_was(value: Any) -> None:
    arrived = crossed(value)
    assert type(arrived) is type(value)
    if isinstance(value, set | frozenset):
        assert arrived == value
    else:
        assert repr(arrived) == repr(value)  # nan, signs, and the types and order inside


def test_tuple_keys_beside_tuple_values_keep_their_order() -> None:
    value = {(i, -i): [(i,)] for i in range(100, 0, -1)}
    assert list(crossed(value).items()) == list(value.items())


def test_a_zone_crosses_as_its_offset_and_name() -> None:
    moment = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    arrived = crossed(moment)
    assert arrived == moment
    assert (arrived.utcoffset(), arrived.tzname()) == (timedelta(hours=2), "CEST")


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


Point = namedtuple("Point", "x y")


class Text(str):
    pass


class Countdown(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter(())


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (Point(1, 2), (1, 2)),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Text("t"), "t"),
        (Countdown([1, 2]), [1, 2]),
    ],
)
def test_of_a_subclass_the_builtin_it_is_made_of_crosses(value: Any, base: Any) -> None:
    assert crossed([value]) == [base]
    assert type(crossed(value)) is type(base)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (object(), "object"),
        (iter(range(0)), "range_iterator"),
        (range(3), "range"),
        ({"a": 1}.keys(), "dict_keys"),
        (print, "builtin_function_or_method"),
        (lambda: 0, "function"),
        (int, "type"),
        ([{"deep": (1, {2: enum})}], "module"),
    ],
)
def test_what_cannot_cross_is_a_type_error_that_names_the_type(value: Any, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        crossed(value)


@pytest.mark.parametrize("around", [list, tuple])
def test_nesting_is_capped_and_short_of_the_cap_it_crosses(around: Any) -> None:
    assert crossed(nested(MAX_DEPTH, around)) == nested(MAX_DEPTH, around)
    with pytest.raises(TypeError, match="nested more than"):
        crossed(nested(MAX_DEPTH + 1, around))


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append({"again": value})
    with pytest.raises(TypeError, match="holds itself"):
        crossed(value)


def test_a_value_of_too_many_parts_is_refused_before_it_is_sent() -> None:
    with pytest.raises(TypeError, match="in pieces"):
        encode(lambda packer: packer.pack([[0] * 10] * 10), max_nodes=100)


# ---- hostile bytes

NIL, EMPTY_LIST, EMPTY_MAP = b"\xc0", b"\x90", b"\x80"


def tuple_of(payload: bytes) -> bytes:
    return b"\xc9" + len(payload).to_bytes(4, "big") + b"\x0a" + payload


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"", "cut short"),
        (b"\xdd\xff\xff\xff\xff", "claims more"),
        (b"\xdf\xff\xff\xff\xff" + NIL * 10, "claims more"),
        (b"\xdb\xff\xff\xff\xff" + b"abc", "cut short"),
        (b"\xc9\xff\xff\xff\xff\x0a", "cut short"),
        (b"\x92\xc0", "cut short|claims more"),
        (b"\xcf\x00", "cut short"),
        (NIL + NIL, "after the end"),
        (b"\x91" * 100_000 + NIL, "nested"),
        (b"\x91" * 100_000, "nested"),
        (b"\x81\x90\xc0", "as a key"),
        (b"\x81" + tuple_of(EMPTY_LIST) + NIL, "as a key"),
        (tuple_of(EMPTY_LIST + NIL), "after the end"),
        (b"\x92" + tuple_of(b"\x92" + NIL) + NIL, "cut short|claims more"),
        (b"\xdd" + (2_000_000).to_bytes(4, "big") + EMPTY_MAP * 2_000_000, "more than"),
    ],
)
def test_malformed_bytes_are_refused_before_anything_is_made_of_them(message: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        inspect(message)
    with pytest.raises(ValueError, match=why):
        hostile.decode(message)


def test_tuples_inside_tuples_cannot_hide_depth() -> None:
    message = NIL
    for _ in range(1000):
        message = tuple_of(b"\x91" + message)
    with pytest.raises(ValueError, match="nested"):
        hostile.decode(message)


def test_keys_of_equal_hash_cannot_stall_the_host() -> None:
    period = 2**61 - 1  # ints that differ by it have the same hash
    with pytest.raises(ValueError, match="equal hash"):
        crossed({i * period << 70 for i in range(1, 5_000)})
    with pytest.raises(ValueError, match="equal hash"):
        crossed({i * period << 70: 0 for i in range(1, 5_000)})
    assert len(crossed({(i, i) for i in range(5_000)})) == 5_000


@pytest.mark.parametrize(
    "payload",
    [
        b"\xd4\x63\x00",  # an unknown extension
        b"\xd4\x06\x00",  # an out-of-line value, in a frame that has none beside it
        tuple_of(NIL),  # a tuple of no list
        b"\xc7\x02\x0c\x91\x90",  # a frozenset of lists
        b"\xc7\x03\x04abc",  # a decimal that is none
        b"\xc7\x02\x01\xff\xff",  # text that is none
        b"\xa2\xff\xff",
    ],
)
def test_wrong_contents_raise_and_nothing_else(payload: bytes) -> None:
    with pytest.raises((ValueError, TypeError, ArithmeticError, msgspec.MsgspecError)):
        hostile.decode(payload)


def test_a_number_that_python_writes_nowhere_is_refused_of_a_worker_alone() -> None:
    packed = encode(lambda packer: packer.pack([10**5000]))
    assert Decoder().decode(packed) == [10**5000]
    with pytest.raises(ValueError, match="too many digits"):
        Decoder(hostile=True).decode(packed)


@pytest.mark.parametrize(
    "value",
    [
        *(1, "a", (1,), (), {1}, 2**70, 1 + 2j, "\ud800", {(1,): 2}, ((1,),), [1], {"a": 1}, LMError("x")),
        *(Decimal(1), date(2000, 1, 1), timedelta(1), time(1), frozenset([(1, 2)])),
        datetime(2000, 1, 1, tzinfo=timezone(timedelta(hours=1), "zone")),
        time(1, tzinfo=timezone(timedelta(hours=1), "zone")),
    ],
    ids=repr,
)
def test_what_a_worker_may_send_its_host_takes(value: Any) -> None:
    """How much a frame holds is counted by both, and half as much is allowed the one that sends."""

    def packs(most: int) -> bool:
        with contextlib.suppress(TypeError):
            return bool(encode(lambda packer: packer.pack([value] * 50), max_nodes=most))
        return False

    counted = bisect.bisect_left(range(10_000), True, key=packs)
    assert inspect(encode(lambda packer: packer.pack([value] * 50))) <= 2 * counted
