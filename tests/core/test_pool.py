"""Work done many at once: `rlm_core.pool`."""

from __future__ import annotations

import math
import threading
import time

import pytest

from rlm_core.lms import LMCallError, pause
from rlm_core.pool import CLOSE, CostReached, Purse, Threads, performed


def free(result: object) -> float:
    return 0.0


def test_what_came_of_an_item_is_taken_before_the_next_is_begun():
    told = []

    def items():
        for item in range(4):
            told.append(("begun", item))
            yield item

    for item, _ in performed(items(), Threads(lambda item, share: item), 1, Purse(None, 1), free):
        told.append(("taken", item))
    assert told == [(what, item) for item in range(4) for what in ("begun", "taken")]


def test_items_share_what_is_left_and_give_back_what_they_did_not_spend():
    shares = []

    def work(item, share):
        shares.append(share)
        return 0.25

    done = performed(range(3), Threads(work), 1, Purse(1.0, 1, limit=0.6), lambda cost: cost)
    assert len(list(done)) == 3
    assert shares == [0.6, 0.6, 0.5]


def test_money_that_comes_back_begins_what_is_left():
    """Two take all there is; the one that spends nothing lets the third begin."""
    both = threading.Barrier(2, timeout=60)

    def work(item, share):
        if item < 2:
            both.wait()
        return share if item == 0 else 0.0

    done = performed(range(3), Threads(work), 2, Purse(1.0, 2), lambda cost: cost)
    assert sorted(item for item, _ in done) == [0, 1, 2]


def test_no_more_is_begun_at_once_than_what_is_left_covers_of_the_costliest_item_so_far():
    """Whose costs are above the even share, and known only afterwards."""
    purse, begun = Purse(10.0, 4, first_alone=True), []

    def work(item, share):
        begun.append(item)
        return 2.0

    with pytest.raises(CostReached):
        list(performed(range(9), Threads(work), 4, purse, float))
    assert (len(begun), purse.left) == (5, 0.0)


def test_the_first_item_alone_tells_what_one_costs():
    shares, out = [], []

    def work(item, share):
        out.append(item)
        shares.append(share)
        assert item or len(out) == 1
        return 0.1

    assert len(list(performed(range(5), Threads(work), 5, Purse(1.0, 5, first_alone=True), float))) == 5
    assert shares[0] == 1.0
    assert max(shares[1:]) < 0.5


def test_an_empty_purse_is_told_only_where_something_is_left():
    assert list(performed([], Threads(lambda item, share: 1.0), 1, Purse(0.0, 1), float)) == []
    exact = performed([1], Threads(lambda item, share: share), 1, Purse(1.0, 1), float)
    assert [item for item, _ in exact] == [1]
    with pytest.raises(CostReached):
        list(performed([1, 2], Threads(lambda item, share: share), 1, Purse(1.0, 1), float))


@pytest.mark.parametrize("whole", [math.nan, math.inf, -1.0])
def test_what_is_no_amount_of_money_is_refused(whole: float):
    with pytest.raises(ValueError, match="max_cost"):
        Purse(whole, 1)


def test_what_waits_ends_when_the_iterator_is_closed():
    begun, ended = threading.Event(), threading.Event()

    def work(item, share):
        if item == 0:
            begun.wait(60)
            return
        begun.set()
        try:
            pause(600)
        except LMCallError:
            ended.set()
        return "so far"

    left = []
    done = performed(range(2), Threads(work), 2, Purse(None, 2), free, broken_off=left.append)
    next(done)
    done.close()
    assert ended.wait(10)
    assert left == ["so far"]


def test_threads_that_hang_are_not_waited_for_one_by_one():
    hang = threading.Event()
    done = performed(
        range(50), Threads(lambda item, share: item and hang.wait(99)), 50, Purse(None, 50), free
    )
    next(done)
    begun = time.monotonic()
    done.close()
    assert time.monotonic() - begun < 30 * CLOSE  # one by one it would be forty-nine
    hang.set()


def test_ticks_come_while_nothing_ends():
    ticks = []
    enough = threading.Event()

    def tick():
        ticks.append(1)
        if len(ticks) == 2:
            enough.set()

    list(performed([1], Threads(lambda item, share: enough.wait(60)), 1, Purse(None, 1), free, tick))
    assert len(ticks) >= 2
