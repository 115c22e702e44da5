"""A run told in words and tables: Markdown for a file, and short tables for the terminal.

No word claims more than its numbers: that one method is better, or a place worse, is said where the 95%
intervals have no point in common, and nowhere else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rlm_bench.rows import SAMPLES, Row
from rlm_bench.scorers import pair_rates
from rlm_bench.stats import cluster_bootstrap, weighted
from rlm_bench.summary import (
    Pair,
    Share,
    abstention,
    by_method,
    chars,
    cost,
    grouped,
    kinds_of,
    labels,
    mean,
    pairs,
    percent,
    place_of,
    place_order,
    places_apart,
    quantiles,
    runs_of,
    sample_of,
    share,
    size_of,
)

ALL = "all tasks"

HOW = (
    "Scores are `strict`: the final answer, normalised. Each score carries its 95% interval: Wilson's, where "
    "samples of one context count for what they are worth together. Errors (a call or a sandbox that "
    "failed) are in no score; they are counted apart. That one is better is said only where intervals have "
    "no point in common, and a test, adjusted for how many there are, agrees."
)

Table = tuple[list[str], list[list[str]]]


# ---- tables


def overview(rows: Sequence[Row]) -> Table:
    head = [
        "method",
        "strict",
        "n",
        "partial",
        "compat",
        "differ",
        "errors",
        "errors as 0",
        "unverified",
        "saw",
        "median tokens",
        "all tokens",
        "cached",
        "median s",
        "$",
    ]
    body = []
    for name, some in grouped(rows, labels(rows)).items():
        told = share(some)
        near = [row for row in some if _other(row, "partial") is not None]
        partial = share(near, lambda row: _other(row, "partial") or 0.0)
        compat = share(some, lambda row: _other(row, "compat") or 0.0)
        differ = sum(row.strict != (_other(row, "compat") or 0.0) for row in some if row.score is not None)
        shown = [row.coverage for row in some if row.coverage is not None]
        spent = cost(some)
        body.append(
            [
                name,
                figure(told),
                str(told.n),
                f"{figure(partial)} of {partial.n}" if partial.n else "",
                figure(compat),
                str(differ),
                str(told.errors),
                figure(mean(some, [row.strict for row in some])) if told.errors else "",
                str(sum(bool(row.unverified) for row in some)),
                percent(sum(shown) / len(shown)) if shown else "",
                f"{quantiles([row.all_tokens for row in some], (0.5,))[0]:,.0f}",
                f"{sum(row.all_tokens for row in some):,}",
                _cached(some),
                f"{quantiles([row.wall_s for row in some], (0.5,))[0]:,.1f}",
                "?" if spent is None else f"{spent:.2f}",
            ]
        )
    return head, body


def _other(row: Row, kind: str) -> float | None:
    return (row.score or {}).get(kind)


def _cached(rows: Sequence[Row]) -> str:
    """The share of all tokens that was read from a cache."""
    every = sum(row.all_tokens for row in rows)
    cached = sum(used["cached"] for row in rows for used in row.tokens.values())
    return percent(cached / every) if every else ""


def by_size(rows: Sequence[Row]) -> Table:
    """Tasks, by their kinds where there are several, and sizes down; methods across."""
    label, kind = labels(rows), kinds_of(rows)
    names = list(grouped(rows, label))
    body = []
    for (asked, size), some in sorted(grouped(rows, lambda row: (kind(row), size_of(row))).items()):
        cells = grouped(some, label)
        body.append([asked, chars(size), *(_cell(cells.get(name, [])) for name in names)])
    return ["task", "chars", *names], body


def by_place(rows: Sequence[Row]) -> Table:
    """Places down, of each kind of task that has several; sizes and methods across."""
    placed = judged([row for row in rows if place_of(row) is not None])
    label, kind = labels(rows), kinds_of(placed)
    several = {
        asked: some for asked, some in grouped(placed, kind).items() if len(set(map(place_of, some))) > 1
    }
    columns = sorted({(label(row), size_of(row)) for some in several.values() for row in some})
    body = []
    for asked, some in several.items():
        for place, here in sorted(grouped(some, place_of).items(), key=lambda pair: place_order(pair[0])):
            cells = grouped(here, lambda row: (label(row), size_of(row)))
            name = place if len(several) == 1 else f"{asked}, {place}"
            body.append([name, *(_cell(cells.get(column, [])) for column in columns)])
    return ["place", *(f"{name} {chars(size)}" for name, size in columns)], body


def spread(rows: Sequence[Row]) -> Table:
    head = ["method", *(f"{what} {q}" for what in ("tokens", "s") for q in ("p25", "p50", "p75", "p95"))]
    head.append("calls p50")
    body = []
    for name, some in _calling(rows):
        tokens = quantiles([row.all_tokens for row in some])
        seconds = quantiles([row.wall_s for row in some])
        calls = quantiles([sum(row.calls.values()) for row in some], (0.5,))
        body.append([name, *(f"{x:,.0f}" for x in tokens), *(f"{x:,.1f}" for x in seconds), f"{calls[0]:g}"])
    return head, body


def steps(rows: Sequence[Row]) -> Table:
    """What methods that run code did, and when the first reply was there."""
    head = ["method", "steps p50", "steps", "of these failed", "by a syntax error", "first reply s p50"]
    body = []
    for name, some in _calling(rows):
        if not any(row.iterations for row in some):
            continue
        first = [row.ttfa_s for row in some if row.ttfa_s is not None]
        body.append(
            [
                name,
                f"{quantiles([row.iterations for row in some], (0.5,))[0]:g}",
                *(
                    f"{sum(told):,}"
                    for told in (
                        [row.iterations for row in some],
                        [row.exec_errors for row in some],
                        [row.syntax_errors for row in some],
                    )
                ),
                f"{quantiles(first, (0.5,))[0]:,.1f}" if first else "",
            ]
        )
    return head, body


def _calling(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The methods that call a model, and their rows."""
    groups = grouped(rows, labels(rows))
    return [(name, some) for name, some in groups.items() if any(row.calls for row in some)]


def abstentions(rows: Sequence[Row]) -> Table:
    body = []
    for name, some in grouped(rows, labels(rows)).items():
        told = abstention(some)
        if told:
            shares = (told.invented, told.abstained, told.otherwise, told.declined)
            body.append([name, *map(str, shares), figure(told.balanced)])
    head = [
        "method",
        "invented an answer",
        "said there is none",
        "in other words than asked for",
        "declined an answerable twin",
        "balanced accuracy",
    ]
    return head, body


def pair_lists(rows: Sequence[Row]) -> Table:
    """Of answers that are lists of pairs: what they hold of the true ones, and what naming all would have."""
    body = []
    asked = [row for row in rows if row.task == "pairs" and row.score is not None and "users" in row.meta]
    for name, some in grouped(asked, labels(rows)).items():
        rates = [pair_rates(row.gold, row.meta["users"], row.answer) for row in some]
        shares = [figure(mean(some, [one[of] for one in rates])) for of in ("precision", "recall", "f1")]
        lifts = [one["lift"] for one in rates]
        low, high = cluster_bootstrap(lifts, [row.cluster for row in some])
        lift = f"{weighted(lifts):.2f} [{max(0.0, low):.2f}, {high:.2f}]"
        body.append([name, str(len(some)), *shares, lift])
    return ["method", "n", "precision", "recall", "F1", "lift over all pairs"], body


def endings(rows: Sequence[Row]) -> Table:
    """How answers ended, whether their text was cut, and what wrong ones were."""
    body = []
    for name, some in grouped(rows, labels(rows)).items():
        wrong = Counter(row.error_class for row in some if row.score is not None and row.strict < 1.0)
        status = Counter(row.status for row in some)
        told = ", ".join(f"{kind} {count}" for kind, count in wrong.most_common())
        ended = ", ".join(f"{kind} {count}" for kind, count in status.most_common())
        body.append([name, ended, str(sum(bool(row.truncated) for row in some) or ""), told or "-"])
    return ["method", "ended", "text cut", "wrong answers"], body


def errors(rows: Sequence[Row]) -> Table:
    """Those that differ in their numbers alone are one, told as the first was."""
    label, failed = labels(rows), [row for row in rows if row.status == "error"]
    found = grouped(failed, lambda row: (label(row), re.sub(r"\d+", "0", row.reason[:160])))
    most = sorted(found.items(), key=lambda pair: -len(pair[1]))[:20]
    return ["method", "error", "count"], [
        [name, some[0].reason[:160], str(len(some))] for (name, _), some in most
    ]


def judged(rows: Sequence[Row]) -> list[Row]:
    """Without what only checks the suite: nobody asks whether the oracle is better."""
    return [row for row in rows if row.method not in ("oracle", "empty")]


def told_apart(rows: Sequence[Row]) -> tuple[list[Pair], str]:
    """The pairs of methods that are, over all tasks and in each, and what is to be said of the others."""
    rows = judged(rows)
    label, groups = labels(rows), grouped(sorted(rows, key=lambda row: row.task), lambda row: row.task)
    over_all = pairs({ALL: rows}, label) if len(groups) > 1 else []
    found = over_all + pairs(groups, label)
    apart = [pair for pair in found if pair.apart]
    rest, every = len(found) - len(apart), len(found)
    return apart, f"Not told apart: {rest:,} of {every:,} pairs of methods." if rest else ""


def apart_table(found: Sequence[Pair]) -> Table:
    head = ["task", "", "the first", "the second", "only one right", "p (by context, Holm)"]
    return head, [
        [
            pair.where,
            str(pair),
            *map(str, pair.shares),
            ":".join(map(str, pair.only or ())),
            f"{pair.p:.2g}",
        ]
        for pair in found
    ]


def places(rows: Sequence[Row]) -> list[str]:
    """What is to be said of places."""
    placed = judged([row for row in rows if place_of(row) is not None and row.score is not None])
    label, kind = labels(rows), kinds_of(placed)
    lines = []
    alike: dict[str, list[str]] = {}
    kinds = {kind(row) for row in placed}
    for (asked, name, size), some in sorted(
        grouped(placed, lambda row: (kind(row), label(row), size_of(row))).items()
    ):
        if len(kinds) > 1:
            name = f"{asked}, {name}"
        if len({place_of(row) for row in some}) < 2:
            continue
        apart = places_apart(some)
        if not apart:
            alike.setdefault(name, []).append(chars(size))
        for place, here, rest in apart:
            word = "worse" if here.mean < rest.mean else "better"
            lines.append(f"{name} at {chars(size)}: place {place} is {word}, {here}, the others {rest}.")
    if alike:
        where = "; ".join(f"{name} at {', '.join(sizes)}" for name, sizes in alike.items())
        lines.append(f"No place is told apart from the others: {where}.")
    return lines


def _cell(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    told = share(rows)
    failed = f" +{told.errors} err" if told.errors else ""
    if not told.n:
        return failed.strip()
    return f"{told.right}/{told.n} {interval(told)}{failed}"


def figure(told: Share) -> str:
    return f"{percent(told.mean)} {interval(told)}" if told.n else "-"


def interval(told: Share) -> str:
    return f"[{100 * told.interval[0]:.0f}, {100 * told.interval[1]:.0f}]"


# ---- Markdown


def markdown(rows: Sequence[Row], title: str) -> str:
    rows = by_method(rows)
    parts = [f"# {title}", HOW, about(rows), "## Methods", _md(overview(rows))]
    parts += [
        "## Score by task and size",
        "Right answers of all, and the interval in percent.",
        _md(by_size(rows)),
    ]
    if said := places(rows):
        parts += [
            "## Score by place of the needle",
            "\n".join(f"- {line}" for line in said),
            _md(by_place(rows)),
        ]
    if (told := abstentions(rows))[1]:
        parts += ["## Where the text holds no answer", _md(told)]
    if (told := pair_lists(rows))[1]:
        parts += ["## Lists of pairs", _md(told)]
    apart, rest = told_apart(rows)
    if apart or rest:
        parts += ["## Which methods are told apart", *([_md(apart_table(apart))] if apart else [])]
        parts += [rest] if rest else []
    if (told := spread(rows))[1]:
        parts += ["## Tokens and time", _md(told)]
    if (told := steps(rows))[1]:
        parts += ["## Code", _md(told)]
    parts += ["## How it ended", _md(endings(rows))]
    if (told := errors(rows))[1]:
        parts += ["## Errors", _md(told)]
    return "\n\n".join(parts) + "\n"


def about(rows: Sequence[Row]) -> str:
    models = sorted({row.model for row in rows if row.model})
    count = len(set(map(sample_of, rows)))
    contexts = len({row.context_sha256 for row in rows})
    told = (
        f"{count:,} samples of {len({row.task for row in rows})} tasks over {contexts:,} contexts, "
        f"{len(rows):,} answers; models: {', '.join(models) or 'none'}."
    )
    return " ".join([told, *settings(rows)])


def settings(rows: Sequence[Row]) -> list[str]:
    """Where a method was run in several settings: which runs those are that its names stand for."""
    found = runs_of(rows).items()
    return ["; ".join(f"{name}: as in {', '.join(runs)}" for name, runs in found) + "."] if found else []


def titles(paths: Sequence[Path]) -> list[str]:
    """Of runs: the names of their folders, or files, and as much of what is above as tells them apart."""
    runs = [path.resolve() for path in paths]
    folders = [run.parent if run.name in (SAMPLES, f"{SAMPLES}.gz") else run for run in runs]
    named = folders if len(set(folders)) == len(set(runs)) else runs
    parts = 1
    while len({one.parts[-parts:] for one in named}) < len(set(named)):
        parts += 1
    return ["/".join(one.parts[-parts:]) for one in named]


def _md(table: Table) -> str:
    head, body = table
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# ---- the terminal


def terminal(rows: Sequence[Row], width: int | None = None) -> str:
    """`width`: of the terminal; tables that are wider come in several parts."""
    rows = by_method(rows)
    parts = [plain(overview(rows), width), plain(by_size(rows), width, 2)]
    if (told := abstentions(rows))[1]:
        parts.append(plain(told, width))
    if said := places(rows):
        parts.append("\n".join(said))
    apart, rest = told_apart(rows)
    if lines := [*(f"{pair.where}: {pair}" for pair in apart), *([rest] if rest else []), *settings(rows)]:
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def plain(table: Table, width: int | None = None, names: int = 1) -> str:
    """Columns padded to their widest cell; the first is left, the others right.  Where all columns together
    are wider than `width`, they come in parts, each with the first `names` columns."""
    head, body = table
    lines = [head, *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    parts, left = [], list(range(names, len(head)))
    while left:
        taken = [*range(names), left.pop(0)]
        while left and (width is None or sum(widths[c] + 2 for c in (*taken, left[0])) - 2 <= width):
            taken.append(left.pop(0))
        parts.append("\n".join(_aligned(line, taken, widths) for line in lines))
    return "\n\n".join(parts)


def _aligned(line: Sequence[str], columns: Sequence[int], widths: Sequence[int]) -> str:
    cells = (line[c].rjust(widths[c]) if c else line[c].ljust(widths[c]) for c in columns)
    return "  ".join(cells).rstrip()
