"""What rows say: shares with their intervals, pairs of methods, distributions.  Both reports are made of
these, and nothing here is judged by anything but its interval."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, TypeVar

from rlm_bench.methods import names
from rlm_bench.rows import Row
from rlm_bench.stats import Interval, effective, fisher, holm, separated, sign_flip, weighted, wilson

T = TypeVar("T")
LEVEL = 0.05  # of a test, after Holm; a claim needs it beside separated intervals


@dataclass(frozen=True)
class Share:
    """The mean of `n` scores from 0 to 1, with its 95% interval.  `right`: how many are 1; `worth`: how many
    independent samples would say as much; `errors`: samples beside them that came to no score."""

    n: int
    right: int
    mean: float
    interval: Interval
    worth: float
    errors: int = 0

    def __str__(self) -> str:
        """Of right and wrong answers."""
        if not self.n:
            return "-"
        low, high = map(percent, self.interval)
        return f"{percent(self.mean)} [{low}, {high}] {self.right}/{self.n}"


def share(rows: Iterable[Row], value: Callable[[Row], float] = lambda row: row.strict) -> Share:
    """Of the rows that came to a score."""
    told = list(rows)
    scored = [row for row in told if row.score is not None]
    return mean(scored, [value(row) for row in scored], errors=len(told) - len(scored))


def mean(
    rows: Sequence[Row], values: Sequence[float], weights: Sequence[float] | None = None, errors: int = 0
) -> Share:
    """Of one value for each row; rows of one context are a cluster."""
    worth = effective(values, [row.cluster for row in rows], weights)
    average = weighted(values, weights) if values else 0.0
    right = sum(one == 1.0 for one in values)
    return Share(len(values), right, average, wilson(average * worth, worth), worth, errors)


def grouped(things: Iterable[T], by: Callable[[T], Hashable]) -> dict[Any, list[T]]:
    groups: dict[Any, list[T]] = {}
    for one in things:
        groups.setdefault(by(one), []).append(one)
    return groups


# ---- names


def labels(*runs: Sequence[Row]) -> Callable[[Row], str]:
    """How to call what made a row: by its method, its model where one of the runs has several, its settings
    where they differ in a run."""
    models, settings = False, set()
    for rows in runs:
        models = models or len({(row.model, row.sub_model) for row in rows if row.model}) > 1
        known: dict[tuple[str, str | None, str | None], set[str]] = {}
        for row in rows:
            known.setdefault((row.method, row.model, row.sub_model), set()).add(row.method_cfg_sha)
        settings |= {which for which, some in known.items() if len(some) > 1}

    def label(row: Row) -> str:
        told = row.method
        if models and row.model:
            told += f" {row.model}"
            if row.sub_model != row.model:
                told += f"+{row.sub_model}"
        several = (row.method, row.model, row.sub_model) in settings
        return f"{told} #{row.method_cfg_sha[:4]}" if several else told

    return label


def by_method(rows: Sequence[Row]) -> list[Row]:
    """In the order of the methods, whichever was done first."""
    label, order = labels(rows), {name: number for number, name in enumerate(names())}
    return sorted(rows, key=lambda row: (order.get(row.method, len(order)), row.method, label(row)))


def runs_of(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The runs in which those settings were used that labels tell apart by a part of their hash."""
    label = labels(rows)
    some = [row for row in rows if label(row).endswith(f" #{row.method_cfg_sha[:4]}")]
    return {name: sorted({row.run for row in used}) for name, used in grouped(some, label).items()}


def size_of(row: Row) -> int:
    """The size that a row's sample was asked in, else its characters, to two figures."""
    asked = row.params.get("size")
    if isinstance(asked, int):
        return asked
    if row.context_chars < 100:
        return row.context_chars
    step = 10 ** (len(str(row.context_chars)) - 2)
    return int(round(row.context_chars / step) * step)


def chars(size: int) -> str:
    for unit, name in ((1_000_000, "M"), (1_000, "K")):
        if size >= unit:
            return f"{size / unit:.3g}{name}"
    return str(size)


def kinds_of(rows: Sequence[Row]) -> Callable[[Row], str]:
    """How to call what was asked: by its task, and by those parameters, beside size and place, in which the
    task's rows differ."""
    values: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        for name, value in row.params.items():
            values.setdefault(row.task, {}).setdefault(name, set()).add(str(value))
    told = {
        task: [name for name, some in params.items() if len(some) > 1 and name not in ("size", "pos")]
        for task, params in values.items()
    }

    def kind(row: Row) -> str:
        return " ".join([row.task, *(f"{name}={row.params.get(name)}" for name in told.get(row.task, ()))])

    return kind


def place_of(row: Row) -> str | None:
    """The place of a needle, where it is a parameter and not left to chance."""
    place = str(row.params.get("pos", "random"))
    if place == "random" or row.params.get("question", "json_seed") != "json_seed":
        return None  # of all questions of records, one alone has a place
    return place


def place_order(place: str) -> tuple[int, float, str]:
    try:
        return 0, float(place), ""
    except ValueError:
        pass
    if place == "tail":
        return 1, 0.0, ""
    top, _, bottom = place.removeprefix("cut:").partition("/")
    if not top.isdigit() or (bottom and not bottom.isdigit()):
        return 4, 0.0, place
    return (2, int(top) / int(bottom), "") if bottom else (3, float(top), "")


def percent(value: float) -> str:
    return f"{100 * value:.0f}%"


# ---- what can be told apart


@dataclass(frozen=True)
class Pair:
    """Two methods on the same samples, or on others.  `p`: adjusted (Holm) for all pairs beside it.
    `only`: how often the one alone was right, and the other; None where samples do not pair."""

    where: str
    one: str
    other: str
    shares: tuple[Share, Share]
    p: float
    only: tuple[int, int] | None = None

    @property
    def apart(self) -> bool:
        return self.p < LEVEL and separated(self.shares[0].interval, self.shares[1].interval)

    def __str__(self) -> str:
        first, second = self.shares
        if not self.apart:
            return f"{self.one} and {self.other} are not told apart"
        better, worse = (self.one, self.other) if first.mean > second.mean else (self.other, self.one)
        return f"{better} is better than {worse}"


def sample_of(row: Row) -> tuple[str, str, int]:
    """What rows of one sample share.  By name and by text: texts of code, and of a folder, may differ from
    machine to machine."""
    return row.sample, row.context_sha256, row.epoch


def pairs(groups: Mapping[str, Sequence[Row]], label: Callable[[Row], str]) -> list[Pair]:
    """Every two methods in each group, on the samples that both have scores of."""
    found: list[Pair] = []
    for where, rows in groups.items():
        by_method = {
            name: {sample_of(row): row for row in some if row.score is not None}
            for name, some in grouped(rows, label).items()
        }
        for one, other in combinations(by_method, 2):
            both = sorted(by_method[one].keys() & by_method[other].keys())
            if not both:
                continue
            first, second = ([by_method[name][key] for key in both] for name in (one, other))
            found.append(paired(where, one, other, first, second))
    return adjusted(found)


def paired(where: str, one: str, other: str, first: Sequence[Row], second: Sequence[Row]) -> Pair:
    """Two lists of rows, sample by sample, by `sign_flip`.  Its p is not adjusted."""
    a, b = ([row.strict for row in rows] for rows in (first, second))
    only_a, only_b = (sum(x > y for x, y in zip(*both, strict=True)) for both in ((a, b), (b, a)))
    p = sign_flip(a, b, [row.cluster for row in first])
    return Pair(where, one, other, (share(first), share(second)), p, (only_a, only_b))


def unpaired(where: str, one: str, other: str, first: Sequence[Row], second: Sequence[Row]) -> Pair:
    """Two lists of rows of other samples of the same settings, by Fisher's test of what they are worth.  A
    setting counts in the second as much as in the first.  Its p is not adjusted."""
    before, after = Counter(map(setting_of, first)), Counter(map(setting_of, second))
    weights = [before[setting_of(row)] / after[setting_of(row)] for row in second]
    shares = share(first), mean(second, [row.strict for row in second], weights)
    return Pair(where, one, other, shares, fisher(*_counts(shares[0]), *_counts(shares[1])))


def setting_of(row: Row) -> tuple[str, int, str]:
    """What rows of like samples share: the task, in a version, and its parameters."""
    return row.task, row.task_version, json.dumps(row.params, sort_keys=True, default=str)


def adjusted(found: Sequence[Pair]) -> list[Pair]:
    """The same, with the p of each for how many there are (Holm)."""
    ps = holm([pair.p for pair in found])
    return [replace(pair, p=p) for pair, p in zip(found, ps, strict=True)]


def places_apart(rows: Sequence[Row]) -> list[tuple[str, Share, Share]]:
    """Places whose share is separated from that of all other places together, and would be so by chance in
    less than 5% of such tables (Fisher, Holm): of twenty places, one is soon far off.  (place, its share,
    theirs).

    The test counts samples for what they are worth in their clusters (Rao and Scott 1992)."""
    scored = [row for row in rows if row.score is not None]
    places = sorted(grouped(scored, place_of), key=lambda place: place_order(str(place)))
    told = []
    for place in places:
        here = share(row for row in scored if place_of(row) == place)
        rest = share(row for row in scored if place_of(row) != place)
        told.append((str(place), here, rest))
    ps = holm([fisher(*_counts(here), *_counts(rest)) for _, here, rest in told])
    return [
        (place, here, rest)
        for (place, here, rest), p in zip(told, ps, strict=True)
        if rest.n and p < LEVEL and separated(here.interval, rest.interval)
    ]


def _counts(told: Share) -> tuple[int, int]:
    """Right and all, for what they are worth."""
    return round(told.mean * told.worth), round(told.worth)


# ---- answering where there is no answer

SAYS_NONE = ("not_found", "declined")  # what is wrong with an answer that says there is none


@dataclass(frozen=True)
class Abstention:
    """`invented`: of the unanswerable, how many were answered; `abstained`: how many were called so as was
    asked for, and `otherwise`: how many in other words (no answer at all is none of these); `declined`: of
    their answerable twins, how many were called unanswerable, in whatever words.

    `balanced`: saying there is none where there is none, and not where there is one, in whatever words: the
    mean of both shares, so that always saying it has a half."""

    invented: Share
    abstained: Share
    otherwise: Share
    declined: Share
    balanced: Share


def abstention(rows: Sequence[Row]) -> Abstention | None:
    """None where no sample is unanswerable.  Only tasks that have both kinds count."""
    tasks = {row.task for row in rows if row.unanswerable} & {
        row.task for row in rows if not row.unanswerable
    }
    some = [row for row in rows if row.task in tasks]
    without = [row for row in some if row.unanswerable]
    twins = [row for row in some if not row.unanswerable]
    if not without:
        return None

    def says_none(row: Row) -> bool:
        return row.error_class in SAYS_NONE or (row.unanswerable and row.strict == 1.0)

    scored = [row for row in some if row.score is not None]
    counts = Counter(row.unanswerable for row in scored)
    if len(counts) < 2:
        scored = []  # of a balance, one side says nothing
    return Abstention(
        share(without, lambda row: float(row.error_class not in ("none", "empty", *SAYS_NONE))),
        share(without),
        share(without, lambda row: float(row.error_class == "declined")),
        share(twins, lambda row: float(says_none(row))),
        mean(
            scored,
            [float(says_none(row) == row.unanswerable) for row in scored],
            [1 / counts[row.unanswerable] for row in scored],
        ),
    )


# ---- distributions


def quantiles(values: Sequence[float], at: Sequence[float] = (0.25, 0.5, 0.75, 0.95)) -> list[float]:
    """Linear between neighbours."""
    ordered = sorted(values)
    found = []
    for q in at:
        where = q * (len(ordered) - 1)
        low = math.floor(where)
        high = min(low + 1, len(ordered) - 1)
        found.append(ordered[low] + (ordered[high] - ordered[low]) * (where - low))
    return found


def cost(rows: Iterable[Row]) -> float | None:
    """Dollars of all; None where any is not known."""
    costs = [row.cost_usd for row in rows]
    return None if None in costs else sum(cost or 0.0 for cost in costs)
