"""A run as one HTML page that needs nothing else: no network, no script, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from rlm_bench import charts, report
from rlm_bench.charts import Point
from rlm_bench.rows import Row
from rlm_bench.summary import (
    Share,
    abstention,
    by_method,
    chars,
    cost,
    grouped,
    kinds_of,
    labels,
    place_of,
    place_order,
    quantiles,
    share,
    size_of,
)


def page(rows: Sequence[Row], title: str) -> str:
    rows = by_method(rows)
    told = grouped(rows, labels(rows))
    series = {name: number for number, name in enumerate(told)}
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(report.about(rows))}</p>",
        f'<p class="how">{escape(report.HOW.replace("`", ""))}</p>',
        charts.legend(list(told)),
        _section("Methods", _table(report.overview(rows))),
        _section("Score by size", _by_size(rows, series), _table(report.by_size(rows))),
    ]
    if places := report.places(rows):
        said = "".join(f"<li>{escape(line)}</li>" for line in places)
        parts.append(_section("Score by place of the needle", f"<ul>{said}</ul>", _heat(rows)))
    if costs := _costs(told, series):
        parts.append(_section("Cost against score", costs))
    if (table := report.abstentions(rows))[1]:
        parts.append(_section("Where the text holds no answer", _plane(told, series), _table(table)))
    if (table := report.pair_lists(rows))[1]:
        parts.append(_section("Lists of pairs", _table(table)))
    apart, rest = report.told_apart(rows)
    if apart or rest:
        pairs = _table(report.apart_table(apart)) if apart else ""
        parts.append(_section("Which methods are told apart", pairs, f"<p>{escape(rest)}</p>"))
    if (table := report.spread(rows))[1]:
        parts.append(_section("Tokens and time", _spread(told, series), _table(table)))
    if (table := report.steps(rows))[1]:
        parts.append(_section("Code", _table(table)))
    parts.append(_section("How it ended", _table(report.endings(rows))))
    if (table := report.errors(rows))[1]:
        parts.append(_section("Errors", _table(table)))
    return PAGE.format(
        title=escape(title),
        style=Path(__file__).with_name("page.css").read_text("utf-8"),
        body="\n".join(parts),
    )


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{title}</h2>{''.join(parts)}</section>"


def _table(table: report.Table) -> str:
    head, body = table
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in body)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>'


def _figures(*svgs: str) -> str:
    return f'<div class="figures">{"".join(svgs)}</div>'


def _point(x: float, told: Share, number: int, name: str, about: str) -> Point:
    return Point(x, told.mean, told.interval, f"{about}: {told}", number, name)


def _by_size(rows: Sequence[Row], series: dict[str, int]) -> str:
    """A chart for each kind of task."""
    label, kind, svgs = labels(rows), kinds_of(rows), []
    for asked, some in sorted(grouped(report.judged(rows), kind).items()):
        sizes, points = sorted({size_of(row) for row in some}), []
        for (name, size), cell in grouped(some, lambda row: (label(row), size_of(row))).items():
            told = share(cell)
            if told.n:
                about = f"{name}, {asked}, {chars(size)}"
                points.append(_point(sizes.index(size), told, series[name], name, about))
        svgs.append(charts.lines(asked, [chars(size) for size in sizes], points))
    return _figures(*svgs)


def _heat(rows: Sequence[Row]) -> str:
    """A map for each kind of task and method: sizes down, places across."""
    placed = report.judged([row for row in rows if place_of(row) is not None])
    label, kind, svgs = labels(rows), kinds_of(placed), []
    for (task, name), some in sorted(grouped(placed, lambda row: (kind(row), label(row))).items()):
        places = sorted({str(place_of(row)) for row in some}, key=place_order)
        if len(places) < 2:
            continue
        lines = []
        for size, here in sorted(grouped(some, size_of).items()):
            cells = grouped(here, lambda row: str(place_of(row)))
            lines.append((chars(size), [_cell(cells.get(place, []), place) for place in places]))
        svgs.append(charts.heat(f"{task} by {name}", places, lines))
    return _figures(*svgs)


def _cell(rows: Sequence[Row], place: str) -> tuple[float, str, str] | None:
    told = share(rows)
    if not told.n:
        return None
    return told.mean, f"{told.right}/{told.n}", f"{place}: {told}"


def _costs(told: dict[str, list[Row]], series: dict[str, int]) -> str:
    """Against tokens, and against dollars where they are known."""
    by_tokens, by_dollars = [], []
    for name, some in told.items():
        score = share(some)
        if not score.n or not any(row.calls for row in some):
            continue
        each = sum(row.all_tokens for row in some) / len(some)
        by_tokens.append(_point(each, score, series[name], name, f"{name}, {each:,.0f} tokens"))
        if spent := cost(some):
            each = spent / len(some)
            by_dollars.append(_point(each, score, series[name], name, f"{name}, ${each:.4f}"))
    figures = [charts.scatter("score", "tokens of a sample, on average", by_tokens)] if by_tokens else []
    if by_dollars:
        figures.append(charts.scatter("score", "dollars of a sample, on average", by_dollars))
    return _figures(*figures) if figures else ""


def _plane(told: dict[str, list[Row]], series: dict[str, int]) -> str:
    points = []
    for name, some in told.items():
        if both := abstention(some):
            invented, declined = both.invented, both.declined
            title = f"{name}: invented {invented}; declined {declined}"
            point = Point(declined.mean, invented.mean, invented.interval, title, series[name], name)
            points.append((point, declined.interval))
    return _figures(charts.plane("an answer invented", "an answerable twin declined", points))


def _spread(told: dict[str, list[Row]], series: dict[str, int]) -> str:
    tokens: list[charts.Spread] = []
    seconds: list[charts.Spread] = []
    for name, some in told.items():
        if not any(row.calls for row in some):
            continue
        at = (0.05, 0.25, 0.5, 0.75, 0.95)
        for rows, values in (
            (tokens, [float(row.all_tokens) for row in some]),
            (seconds, [row.wall_s for row in some]),
        ):
            found = quantiles(values, at)
            title = f"{name}: 5% {found[0]:,.1f}, median {found[2]:,.1f}, 95% {found[4]:,.1f}"
            rows.append(charts.Spread(series[name], name, found, title))
    return _figures(charts.boxes("tokens of a sample", tokens), charts.boxes("seconds of a sample", seconds))


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
