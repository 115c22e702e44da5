"""Intervals and tests for small benchmarks. Every score that is printed carries its interval.

Samples that share a context are not independent of each other: they are a cluster. Scores have one interval,
Wilson's, at as many samples as clusters leave them worth (`effective`); two methods on the same samples have
one test, which takes a cluster as a whole (`sign_flip`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Sequence
from fractions import Fraction

Interval = tuple[float, float]
Z95 = 1.959963984540054


def wilson(k: float, n: float) -> Interval:
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


def effective(
    values: Sequence[float], clusters: Sequence[Hashable], weights: Sequence[float] | None = None
) -> float:
    """How many independent samples are worth as much as these, for the mean of values from 0 to 1: for
    Wilson's interval of samples in clusters (Korn and Graubard 1998; Franco, Little, Louis and Slud 2019).

    It is p (1 - p) by the mean's variance between clusters, at most the samples there are, and less where
    that variance was judged from few clusters (by Student's t).  It is never less than where all of a cluster
    are right or wrong together (Kish 1965; clusters of one size: their number), which is also what it is
    where all values are 0 or all are 1, since nothing is then known of the variance.
    """
    given = [1.0] * len(values) if weights is None else weights
    if not len(values) == len(clusters) == len(given):
        raise ValueError(f"{len(values)} values, but {len(clusters)} clusters: one for each")
    if not values:
        return 0.0
    total = math.fsum(given)
    mean = weighted(values, weights)
    weight, off = dict.fromkeys(clusters, 0.0), dict.fromkeys(clusters, 0.0)
    for value, cluster, one in zip(values, clusters, given, strict=True):
        weight[cluster] += one
        off[cluster] += one * (value - mean)
    count = len(weight)
    least = total**2 / sum(one**2 for one in weight.values())
    if count == 1 or mean in (0.0, 1.0):
        return least
    most = total**2 / sum(one**2 for one in given)
    variance = count / (count - 1) * sum(one**2 for one in off.values()) / total**2
    worth = min(most, mean * (1 - mean) / variance) if variance else most
    return max(least, worth * (Z95 / student(count - 1)) ** 2)


def weighted(values: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """Their mean; exact at the ends, which rounding must not leave."""
    if weights is None or len(set(values)) == 1:
        return math.fsum(values) / len(values)
    return math.fsum(value * one for value, one in zip(values, weights, strict=True)) / math.fsum(weights)


def student(freedom: int) -> float:
    """The 97.5% point of Student's t: to 1% (Abramowitz and Stegun 26.7.5, which is too low for 1 and 2)."""
    if freedom < 3:
        return {1: 12.706, 2: 4.303}[freedom]
    z, v = Z95, freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def cluster_bootstrap(values: Sequence[float], clusters: Sequence[Hashable], B: int = 2_000) -> Interval:
    """The 95% percentile interval of the mean of `values` that have no bounds, resampling whole clusters `B`
    times; scores from 0 to 1 have `effective`, since where all clusters are alike this has no width.

    Deterministic: the same values give the same interval. With one cluster there is nothing to resample, and
    nothing is known of how others would differ: it is infinite.
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values, but {len(clusters)} clusters: one for each")
    sums: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums.setdefault(cluster, []).append(value)
    if len(sums) < 2:
        return -math.inf, math.inf
    cells = [(sum(some), len(some)) for some in sums.values()]
    chance = random.Random(0)
    drawn = (chance.choices(cells, k=len(cells)) for _ in range(B))
    means = sorted(sum(total for total, _ in some) / sum(count for _, count in some) for some in drawn)
    return means[int(0.025 * (B - 1))], means[math.ceil(0.975 * (B - 1))]


def sign_flip(a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """The exact two-sided p of two methods' right (1) and wrong (0) on the same samples, in order: how often
    the difference is as large where in each cluster chance says which result is whose (Fisher 1935).

    Where each sample is a cluster, it is McNemar's exact test.  Under six clusters that differ it is never
    below 5%."""
    if not len(a) == len(b) == len(clusters):
        raise ValueError(f"a test of pairs: {len(a)}, {len(b)} and {len(clusters)} results do not pair")
    differences = dict.fromkeys(clusters, 0)
    for x, y, cluster in zip(a, b, clusters, strict=True):
        differences[cluster] += bool(x) - bool(y)
    sizes = [abs(one) for one in differences.values() if one]
    ways = [1]  # by what the clusters that chance gives to `a` have together: in how many ways
    for size in sizes:
        ways = [x + y for x, y in zip([*ways, *[0] * size], [*[0] * size, *ways], strict=True)]
    seen, all_ = abs(sum(differences.values())), sum(sizes)
    extreme = sum(count for i, count in enumerate(ways) if abs(2 * i - all_) >= seen)
    return float(Fraction(extreme, 2 ** len(sizes)))  # exact, where floats of 2**n overflow


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
