import random

import pytest

from rlm_bench.stats import cluster_bootstrap, holm, mcnemar, separated, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(0, 1, 0, 0.79), (3, 4, 0.30, 0.95), (10, 20, 0.30, 0.70), (50, 50, 0.93, 1)]
)
def test_wilson_gives_the_published_intervals(k, n, low, high):
    assert wilson(k, n) == pytest.approx((low, high), abs=0.005)


def test_wilson_of_nothing_says_nothing_is_known_and_refuses_what_is_no_share():
    assert wilson(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


def test_the_bootstrap_is_wider_when_samples_share_their_contexts():
    chance = random.Random(1)
    by_context = [chance.random() for _ in range(20)]
    values = [value for value in by_context for _ in range(10)]
    low, high = cluster_bootstrap(values, list(range(200)), B=1_000)
    low_c, high_c = cluster_bootstrap(values, [i // 10 for i in range(200)], B=1_000)
    assert low_c < low < sum(values) / 200 < high < high_c
    assert (high_c - low_c) > 2 * (high - low)
    assert cluster_bootstrap(values, list(range(200)), B=1_000) == (low, high)


def test_one_cluster_says_nothing_of_others():
    assert cluster_bootstrap([1.0, 1.0], ["a", "a"]) == (0, 1)


def test_bootstrap_wants_a_cluster_for_each_value():
    with pytest.raises(ValueError, match="2 values, but 1 clusters"):
        cluster_bootstrap([1, 0], ["a"])


def test_mcnemar_is_exact():
    # 8 pairs differ, all in favour of one: 2 * 0.5 ** 8
    assert mcnemar([1] * 8 + [1, 0], [0] * 8 + [1, 0]) == pytest.approx(2 / 256)
    assert mcnemar([1, 0], [0, 1]) == 1.0
    assert mcnemar([1, 1], [1, 1]) == 1.0
    assert 0 <= mcnemar([1] * 2_000, [0] * 2_000) < 1e-300


def test_holm_adjusts_in_the_order_given_and_keeps_it_monotone():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_intervals_that_touch_are_not_separated():
    assert separated((0, 0.2), (0.3, 0.5))
    assert separated((0.3, 0.5), (0, 0.2))
    assert not separated((0, 0.3), (0.3, 0.5))
