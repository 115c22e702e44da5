import math
import random

import pytest

from rlm_bench.stats import (
    cluster_bootstrap,
    effective,
    holm,
    separated,
    sign_flip,
    student,
    weighted,
    wilson,
)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(0, 1, 0, 0.79), (3, 4, 0.30, 0.95), (10, 20, 0.30, 0.70), (50, 50, 0.93, 1)]
)
def test_wilson_gives_the_published_intervals(k, n, low, high):
    assert wilson(k, n) == pytest.approx((low, high), abs=0.005)


def test_wilson_of_nothing_says_nothing_is_known_and_refuses_what_is_no_share():
    assert wilson(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


def interval(values, clusters):
    """As scores have it."""
    worth = effective(values, clusters)
    return wilson(sum(values) / len(values) * worth, worth)


def test_samples_of_their_own_contexts_are_worth_what_they_are():
    for right in range(8):
        values = [1.0] * right + [0.0] * (7 - right)
        assert interval(values, range(7)) == pytest.approx(wilson(right, 7))
    assert effective([], []) == 0
    assert effective([1.0], ["a"]) == 1


def test_a_context_is_worth_no_less_than_one_sample_and_no_more_than_its_own():
    chance = random.Random(1)
    for _ in range(300):
        clusters = [chance.randrange(6) for _ in range(chance.randint(1, 30))]
        values = [float(chance.random() < 0.8) for _ in clusters]
        sizes = [clusters.count(cluster) for cluster in set(clusters)]
        least = len(values) ** 2 / sum(size * size for size in sizes)
        assert least - 1e-9 <= effective(values, clusters) <= len(values) + 1e-9


def test_contexts_that_are_right_or_wrong_as_a_whole_count_once():
    values = [float(i // 10 < 9) for i in range(120)]
    assert effective(values, [i // 10 for i in range(120)]) == pytest.approx(12)
    assert effective([1.0] * 6, [0, 0, 1, 1, 2, 2]) == pytest.approx(3)  # nothing says that they do not
    assert effective([0.0] * 4, [0] * 4) == pytest.approx(1)


def test_many_contexts_that_are_alike_count_by_their_samples():
    values = [float(i % 10 > 0) for i in range(400)]
    worth = effective(values, [i // 10 for i in range(400)])
    assert worth == pytest.approx(400 * (1.96 / 2.023) ** 2, rel=0.01)  # t of 39


def test_equal_clusters_never_give_an_interval_without_width():
    declines = interval([1.0, 0.0] * 3, [0, 0, 1, 1, 2, 2])  # three pairs, always declined
    windows = interval(([1.0] * 18 + [0.0] * 2) * 2, [0] * 20 + [1] * 20)
    assert declines == pytest.approx(wilson(1.5, 3))
    assert windows == pytest.approx(wilson(1.8, 2))


def test_one_pair_among_samples_of_their_own_makes_no_interval_narrower():
    low, high = interval([1.0] * 2 + [0.0] * 12, [0, *range(1, 13), 12])
    assert 0 < low < wilson(2, 14)[0]
    assert high > wilson(2, 14)[1]


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("like", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("clusters", "size"), [(3, 20), (6, 5), (12, 2), (30, 10)])
def test_intervals_hold_the_true_share_about_as_often_as_they_say(clusters, size, like, share):
    """`like`: the correlation within a context; chances of contexts are of a beta distribution."""
    chance, held = random.Random(7), 0
    names = [i // size for i in range(clusters * size)]
    for _ in range(400):
        values = []
        for _ in range(clusters):
            own = share
            if like == 1:
                own = float(chance.random() < share)
            elif like:
                own = chance.betavariate(share * (1 / like - 1), (1 - share) * (1 / like - 1))
            values += [float(chance.random() < own) for _ in range(size)]
        low, high = interval(values, names)
        held += low <= share <= high
    assert held >= 0.93 * 400  # a bootstrap has 111 of 400 at the worst


def test_values_may_be_weighed():
    """A balance of two kinds, of which one has more samples: the few decide what all are worth."""
    values, weights = [1.0] * 30 + [0.0] * 2, [1 / 30] * 30 + [1 / 2] * 2
    assert weighted(values, weights) == pytest.approx(0.5)
    assert effective(values, range(32), weights) == pytest.approx(4 / (1 / 30 + 1 / 2))
    assert effective(values[:20], range(20), [3.0] * 20) == pytest.approx(20)


def test_values_want_a_cluster_each():
    for wrong in (effective, cluster_bootstrap):
        with pytest.raises(ValueError, match="2 values, but 1 clusters"):
            wrong([1, 0], ["a"])


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (19, 2.093), (120, 1.980)]
)
def test_students_t_is_that_of_the_tables(freedom, t):
    assert student(freedom) == pytest.approx(t, rel=0.01)


def test_the_bootstrap_takes_clusters_as_a_whole_and_is_the_same_each_time():
    chance = random.Random(1)
    by_context = [chance.random() for _ in range(20)]
    values = [value for value in by_context for _ in range(10)]
    low, high = cluster_bootstrap(values, list(range(200)), B=1_000)
    low_c, high_c = cluster_bootstrap(values, [i // 10 for i in range(200)], B=1_000)
    assert low_c < low < sum(values) / 200 < high < high_c
    assert (high_c - low_c) > 2 * (high - low)
    assert cluster_bootstrap(values, list(range(200)), B=1_000) == (low, high)
    assert cluster_bootstrap([1.0, 1.2], ["a", "a"]) == (-math.inf, math.inf)


def test_with_a_context_each_the_test_of_pairs_is_mcnemars():
    # 8 pairs differ, all in favour of one: 2 * 0.5 ** 8
    assert sign_flip([1] * 8 + [1, 0], [0] * 8 + [1, 0], range(10)) == pytest.approx(2 / 256)
    # 10 differ, 8 to 2: 2 * (1 + 10 + 45) / 1024
    assert sign_flip([1] * 8 + [0] * 2, [0] * 8 + [1] * 2, range(10)) == pytest.approx(112 / 1024)
    assert sign_flip([1, 0], [0, 1], range(2)) == 1.0
    assert sign_flip([1, 1], [1, 1], range(2)) == 1.0
    assert sign_flip([], [], []) == 1.0
    assert 0 <= sign_flip([1] * 2_000, [0] * 2_000, range(2_000)) < 1e-300


def test_the_test_of_pairs_takes_a_context_as_a_whole():
    forty = [1] * 40, [0] * 40
    assert sign_flip(*forty, [i // 20 for i in range(40)]) == 0.5  # two windows: their signs agree or not
    assert sign_flip(*forty, [i // 8 for i in range(40)]) == pytest.approx(2 / 2**5)
    assert sign_flip(*forty, [i % 6 for i in range(40)]) == pytest.approx(2 / 2**6)
    # by hand: sums 3, 1, -1 of three clusters; of eight choices of signs, |sum| >= 3 in six
    assert sign_flip([1, 1, 1, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 2]) == pytest.approx(6 / 8)
    with pytest.raises(ValueError, match="do not pair"):
        sign_flip([1], [0, 1], [0, 0])


def test_the_test_of_pairs_finds_no_more_than_it_says_where_there_is_nothing():
    chance, found = random.Random(3), 0
    clusters = [i // 10 for i in range(120)]
    for _ in range(400):
        better = [chance.random() for _ in range(12)]  # in a context one method has more luck
        a = [chance.random() < better[cluster] for cluster in clusters]
        b = [chance.random() < 1 - better[cluster] for cluster in clusters]
        found += sign_flip(a, b, clusters) < 0.05
    assert found <= 0.07 * 400  # McNemar's, by samples, finds a third


def test_holm_adjusts_in_the_order_given_and_keeps_it_monotone():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_intervals_that_touch_are_not_separated():
    assert separated((0, 0.2), (0.3, 0.5))
    assert separated((0.3, 0.5), (0, 0.2))
    assert not separated((0, 0.3), (0.3, 0.5))
