"""Two runs side by side, on the samples that both have."""

from __future__ import annotations

from collections.abc import Sequence

from rlm_bench.report import plain
from rlm_bench.rows import Row
from rlm_bench.summary import adjusted, grouped, paired, quantiles, sample_of


def compared(one: Sequence[Row], other: Sequence[Row], names: tuple[str, str]) -> str:
    """The samples that both runs have, by task and method."""

    def keyed(rows: Sequence[Row]) -> dict[tuple[tuple[str, str, int], str], Row]:
        return {(sample_of(row), row.method): row for row in rows if row.score is not None}

    first, second = keyed(one), keyed(other)
    both = [key for key in first if key in second]
    lines = []
    before, after = ({row.sample: row.context_sha256 for row in rows} for rows in (one, other))
    if differ := sum(after.get(name, text) != text for name, text in before.items()):
        lines.append(f"{differ} samples have other texts in {names[1]}, and are left out.")
    if not both:
        return "\n".join([*lines, f"{names[0]} and {names[1]} have no sample and method in common."])
    lines.append(f"{len(both)} answers to the same samples by the same methods; {names[0]} → {names[1]}")
    groups = sorted(grouped(both, lambda key: (first[key].task, key[1])).items())
    cells = [([first[key] for key in keys], [second[key] for key in keys]) for _, keys in groups]
    found = [paired(task, *names, *cell) for ((task, _), _), cell in zip(groups, cells, strict=True)]
    body = []
    for ((task, method), _), (old, new), pair in zip(groups, cells, adjusted(found), strict=True):
        change = pair.shares[1].mean - pair.shares[0].mean
        body.append(
            [
                task,
                method,
                *map(str, pair.shares),
                f"{100 * change:+.0f}",
                f"-{pair.only_one} +{pair.only_other}",
                f"{pair.p:.2g}",
                ("better" if change > 0 else "worse") if pair.apart else "not told apart",
                _ratio([row.all_tokens for row in old], [row.all_tokens for row in new]),
                _ratio([row.wall_s for row in old], [row.wall_s for row in new]),
            ]
        )
    head = ["task", "method", *names, "points", "samples", "p (Holm)", "", "median tokens", "median time"]
    return "\n".join([*lines, "", plain((head, body))])


def _ratio(before: Sequence[float], after: Sequence[float]) -> str:
    old, new = (quantiles(values, (0.5,))[0] for values in (before, after))
    return f"x{new / old:.2f}" if old else ""
