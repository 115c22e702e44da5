"""Intervals and tests for small benchmarks. Every figure that is printed carries its interval.

Wilson's for shares of right and wrong answers; a bootstrap over clusters for the rest, since samples that
share a context are not independent of each other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Sequence
from fractions import Fraction
from functools import lru_cache

Interval = tuple[float, float]
Z95 = 1.959963984540054


def wilson(k: float, n: int) -> Interval:
    """The 95% interval of a share, `k` of `n` (Wilson 1927): honest at 0, at n and for small n. (0, 1) for n
    = 0."""
    if n < 0 or not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is not a share: 0 <= k <= n")
    if n == 0:
        return 0.0, 1.0
    share, z2 = k / n, Z95 * Z95
    centre = share + z2 / (2 * n)
    half = Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    # the ends are exact at none and all, where rounding would leave 1e-17
    return (0.0 if k == 0 else (centre - half) / scale, 1.0 if k == n else (centre + half) / scale)


def cluster_bootstrap(values: Sequence[float], clusters: Sequence[Hashable], B: int = 10_000) -> Interval:
    """The 95% percentile interval of the mean of `values`, resampling whole clusters `B` times.

    Deterministic: the same values give the same interval. With one cluster there is nothing to resample, and
    nothing is known of how others would differ: (0, 1) for values in that range, and an infinite interval for
    any others.
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values, but {len(clusters)} clusters: one for each")
    sums: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        total = sums.setdefault(cluster, [0.0, 0.0])
        total[0] += value
        total[1] += 1
    if len(sums) < 2:
        return (0.0, 1.0) if all(0 <= value <= 1 for value in values) else (-math.inf, math.inf)
    return _bootstrap(tuple((total, count) for total, count in sums.values()), B)


@lru_cache(maxsize=4_096)  # a report asks for the same shares in several places
def _bootstrap(cells: tuple[tuple[float, float], ...], B: int) -> Interval:
    """Of clusters, each with its sum and its count."""
    chance, n = random.Random(0), len(cells)
    if all(count == 1 for _, count in cells):
        values = [total for total, _ in cells]
        means = sorted(sum(chance.choices(values, k=n)) / n for _ in range(B))
    else:
        drawn = (chance.choices(cells, k=n) for _ in range(B))
        means = sorted(sum(cell[0] for cell in some) / sum(cell[1] for cell in some) for some in drawn)
    return means[int(0.025 * (B - 1))], means[math.ceil(0.975 * (B - 1))]


def mcnemar(a: Sequence[float], b: Sequence[float]) -> float:
    """The exact two-sided p of McNemar's test: two methods' right (1) and wrong (0) on the same samples, in
    order."""
    if len(a) != len(b):
        raise ValueError(f"McNemar's test is of pairs: {len(a)} and {len(b)} results do not pair")
    only_a = sum(bool(x) and not y for x, y in zip(a, b, strict=True))
    only_b = sum(bool(y) and not x for x, y in zip(a, b, strict=True))
    n, k = only_a + only_b, min(only_a, only_b)
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2**n)))  # exact, where floats of 2**n overflow


def fisher(k1: int, n1: int, k2: int, n2: int) -> float:
    """The two-sided p of Fisher's exact test: `k1` of `n1` against `k2` of `n2`, on different samples."""
    k, total = k1 + k2, math.comb(n1 + n2, k1 + k2)
    chances = [math.comb(n1, i) * math.comb(n2, k - i) for i in range(max(0, k - n2), min(k, n1) + 1)]
    seen = math.comb(n1, k1) * math.comb(n2, k2)
    return sum(chance for chance in chances if chance <= seen) / total


def holm(ps: Sequence[float]) -> list[float]:
    """The p values adjusted for how many there are (Holm 1979), in the order given."""
    adjusted, floor = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        floor = max(floor, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = floor
    return adjusted


def separated(one: Interval, other: Interval) -> bool:
    """Whether two intervals have no point in common. Only then may a report say that one is better."""
    return one[1] < other[0] or other[1] < one[0]
