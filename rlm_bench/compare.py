"""Two runs side by side: on the samples that both have, and where they share none, on samples of the same
settings."""

from __future__ import annotations

from collections.abc import Sequence

from rlm_bench.report import Table, figure, plain
from rlm_bench.rows import Row, RowsError
from rlm_bench.summary import (
    Pair,
    adjusted,
    by_method,
    grouped,
    labels,
    paired,
    quantiles,
    sample_of,
    setting_of,
    unpaired,
)

Cell = tuple[list[Row], list[Row]]  # of a task and method, in the first run and in the second


def compared(one: Sequence[Row], other: Sequence[Row], names: Sequence[str], width: int | None = None) -> str:
    """By task and method; `width`: of the terminal.  Raises RowsError where there is nothing to compare."""
    label = labels(one, other)
    first, second = (
        grouped((row for row in by_method(rows) if row.score is not None), lambda row: (row.task, label(row)))
        for rows in (one, other)
    )
    cells = {key: _common(first[key], second[key]) for key in first if key in second}
    cells = {key: cell for key, cell in sorted(cells.items(), key=lambda pair: pair[0][0]) if cell[0]}
    if not cells:
        raise RowsError(
            f"nothing to compare: no task with the same parameters was answered by the same method in "
            f"{names[0]} ({_what(first)}) and in {names[1]} ({_what(second)})"
        )
    found = [
        (paired if _same(*cell) else unpaired)(task, name, name, *cell)
        for (task, name), cell in cells.items()
    ]
    told = list(zip(adjusted(found), cells.values(), strict=True))
    lines = [
        _about(number, title, rows, [row for cell in cells.values() for row in cell[side]])
        for side, (number, title, rows) in enumerate(
            zip(("first", "second"), names, (one, other), strict=True)
        )
    ]
    before, after = ({row.sample: row.context_sha256 for row in rows} for rows in (one, other))
    if differ := sum(after.get(name, text) != text for name, text in before.items()):
        lines.append(f"{differ} samples have other texts in {names[1]}: they are no pairs.")
    parts = ["\n".join(lines)]
    if same := [one for one in told if one[0].only]:
        parts += ["Paired: the same samples (McNemar's test, by context):", plain(_table(same), width, 2)]
    if others := [one for one in told if not one[0].only]:
        parts += [
            "Unpaired: other samples of the same tasks and parameters (Fisher's test, which finds less):",
            plain(_table(others), width, 2),
        ]
    return "\n\n".join(parts)


def _common(first: Sequence[Row], second: Sequence[Row]) -> Cell:
    """The rows to compare: those of the same samples, in one order; else those of settings that both have."""
    before, after = ({sample_of(row): row for row in rows} for rows in (first, second))
    if both := [key for key in before if key in after]:
        return [before[key] for key in both], [after[key] for key in both]
    shared = set(map(setting_of, first)) & set(map(setting_of, second))
    kept = [[row for row in rows if setting_of(row) in shared] for rows in (first, second)]
    return kept[0], kept[1]


def _same(first: Sequence[Row], second: Sequence[Row]) -> bool:
    return [*map(sample_of, first)] == [*map(sample_of, second)]


def _what(found: dict[tuple[str, str], list[Row]]) -> str:
    tasks, methods = (sorted({key[of] for key in found}) for of in (0, 1))
    return f"{', '.join(methods) or 'no answers'} on {', '.join(tasks) or 'no task'}"


def _about(number: str, title: str, rows: Sequence[Row], used: Sequence[Row]) -> str:
    models = sorted({" + ".join(dict.fromkeys((row.model, str(row.sub_model)))) for row in rows if row.model})
    errors = sum(row.score is None for row in rows)
    alone = len(rows) - errors - len(used)
    return (
        f"{number}: {title}; models: {', '.join(models) or 'none'}\n"
        f"  {len(used):,} answers compared; left out: {alone:,} without a counterpart, {errors:,} errors"
    )


def _table(told: Sequence[tuple[Pair, Cell]]) -> Table:
    body = []
    for pair, (old, new) in told:
        change = pair.shares[1].mean - pair.shares[0].mean
        body.append(
            [
                pair.where,
                pair.one,
                *(f"{figure(share)} of {share.n}" for share in pair.shares),
                f"{100 * change:+.0f}",
                *([f"-{pair.only[0]} +{pair.only[1]}"] if pair.only else []),
                f"{pair.p:.2g}",
                ("better" if change > 0 else "worse") if pair.apart else "not told apart",
                _ratio([row.all_tokens for row in old], [row.all_tokens for row in new]),
                _ratio([row.wall_s for row in old], [row.wall_s for row in new]),
            ]
        )
    head = ["task", "method", "first", "second", "points", *(["samples"] if told[0][0].only else [])]
    return [*head, "p (Holm)", "the second is", "median tokens", "median time"], body


def _ratio(before: Sequence[float], after: Sequence[float]) -> str:
    old, new = (quantiles(values, (0.5,))[0] for values in (before, after))
    return f"x{new / old:.2f}" if old else ""
