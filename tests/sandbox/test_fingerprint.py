"""Values of plain data are told apart; of nothing else is any code run."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

import pytest

from rlm_core.sandbox.fingerprint import LONG, MOST, fingerprint, fingerprints

TOLD_APART: list[Any] = [
    *(None, True, 1, 1.0, "1", b"1", 1j, Decimal(1), [], (), {}, set(), frozenset()),
    *([1], [1, 1], [[1], 1], [1, [1]], ["1"], [None], ["a", "b"], ["ab"], ["b", "a"]),
    *({"a": 1}, {"a": 2}, {"b": 1}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, {1, 2}, {1, 3}, {(1, 2)}),
    *("x" * LONG, "x" * (LONG + 1), "x" * LONG + "y", datetime(2000, 1, 1), datetime(2000, 1, 1, tzinfo=UTC)),
]


def test_different_values_differ() -> None:
    for one, other in itertools.combinations(TOLD_APART, 2):
        assert fingerprint(one) != fingerprint(other), (one, other)


@pytest.mark.parametrize("value", [{"a": [1, (2, {3})]}, "\ud800", {"b", "a", "c"}])
def test_the_same_value_is_the_same(value: Any) -> None:
    assert fingerprint(value) == fingerprint(eval(repr(value))) is not None


class Odd(str):
    def __str__(self) -> str:
        raise AssertionError

    __repr__ = __len__ = __hash__ = __str__  # type: ignore[assignment]


class OddZone(tzinfo):
    def __repr__(self) -> str:
        raise AssertionError


@pytest.mark.parametrize(
    "value",
    [
        Odd("x"), [Odd("x")], datetime(2000, 1, 1, tzinfo=OddZone()), object(), len, [list],
        list(range(MOST + 1)), dict.fromkeys(range(MOST + 1)), 10**5000,
    ],
    ids=type,
)  # fmt: skip
def test_what_is_not_plain_or_large_has_none(value: Any) -> None:
    assert fingerprint(value) is None


def test_what_holds_itself_has_none() -> None:
    itself: list[Any] = []
    itself.append(itself)
    assert fingerprints({"itself": itself, "n": 1}, of={"itself": "list", "n": "int"}).keys() == {"n"}
