"""Charts as SVG, by hand: no library, no script, colours by class so that the page's light and dark apply."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from rlm_bench.stats import Interval

COLOURS = 8  # that the page knows; more series begin again


@dataclass
class Box:
    """The plane of a chart, and what is drawn on it."""

    width: int
    height: int
    left: int = 52
    right: int = 16
    top: int = 14
    bottom: int = 40
    parts: list[str] = field(default_factory=list)

    @property
    def inner(self) -> tuple[float, float]:
        return self.width - self.left - self.right, self.height - self.top - self.bottom

    def x(self, share: float) -> float:
        return self.left + share * self.inner[0]

    def y(self, share: float) -> float:
        """0 is at the bottom."""
        return self.top + (1 - share) * self.inner[1]

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self.parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def text(self, x: float, y: float, text: str, anchor: str = "middle", kind: str = "") -> None:
        self.parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def dot(self, x: float, y: float, kind: str, title: str) -> None:
        self.parts.append(
            f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="4">'
            f"<title>{escape(title)}</title></circle>"
        )

    def name(self, x: float, y: float, name: str) -> None:
        """Beside a dot, on the side that has room."""
        right = x < self.width * 0.8
        self.text(x + 8 if right else x - 8, y - 6, name, "start" if right else "end")

    def percents(self, label: str) -> None:
        """A vertical axis from 0 to 100%."""
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            self.line(self.left, self.y(share), self.width - self.right, self.y(share), "grid")
            self.text(self.left - 6, self.y(share) + 4, f"{100 * share:.0f}%", "end")
        self.text(self.left, 13, label, "start", "axis")

    def svg(self, title: str) -> str:
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}" '
            f'role="img" aria-label="{escape(title)}">{"".join(self.parts)}</svg>'
        )


@dataclass(frozen=True)
class Point:
    """A score and its interval, `x` as the chart needs it; `name` stands beside it where there is room."""

    x: float
    y: float
    interval: Interval
    title: str
    name: str = ""


def legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<span class="key"><i class="c{i % COLOURS}"></i>{escape(name)}</span>'
        for i, name in enumerate(names)
    )
    return f'<p class="legend">{items}</p>'


def lines(title: str, ticks: Sequence[str], series: Mapping[int, Sequence[Point]]) -> str:
    """Scores over ordered steps: `x` of a point is the number of its tick.  `series` by colour."""
    box = Box(max(300, 110 + 64 * len(ticks)), 224, top=30)
    box.percents(title)
    step = 1 / max(1, len(ticks))
    for number, tick in enumerate(ticks):
        box.text(box.x((number + 0.5) * step), box.height - 22, tick)
    for rank, (colour, points) in enumerate(series.items()):
        aside = (rank - (len(series) - 1) / 2) * 7  # so that intervals stand beside each other
        drawn = [
            (box.x((point.x + 0.5) * step) + aside, box.y(point.y), point)
            for point in sorted(points, key=lambda point: point.x)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in drawn)
        box.parts.append(f'<polyline class="path c{colour}" points="{path}"/>')
        for x, y, point in drawn:
            low, high = (box.y(end) for end in point.interval)
            box.line(x, low, x, high, f"whisker c{colour}")
            box.dot(x, y, f"c{colour}", point.title)
    return box.svg(title)


def heat(
    title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[tuple[float, str, str] | None]]]
) -> str:
    """Cells of (share, what stands in it, its title)."""
    width, height = 46, 30
    box = Box(70 + width * len(columns) + 10, 30 + height * len(rows) + 50, left=70, top=26)
    box.text(4, 14, title, "start", "axis")
    for line, (name, cells) in enumerate(rows):
        y = box.top + line * height
        box.text(box.left - 8, y + height / 2 + 4, name, "end")
        for column, cell in enumerate(cells):
            x = float(box.left + column * width)
            if cell is None:
                continue
            share, told, about = cell
            box.parts.append(
                f'<rect class="heat" x="{x + 1}" y="{y + 1}" width="{width - 2}" height="{height - 2}" '
                f'rx="3" style="--v:{100 * share:.0f}%"><title>{escape(about)}</title></rect>'
            )
            box.text(
                x + width / 2, y + height / 2 + 4, told, kind="heat-high" if share >= 0.55 else "heat-low"
            )
    for column, name in enumerate(columns):
        x, under = box.left + (column + 0.5) * width, box.top + len(rows) * height + 14
        box.parts.append(
            f'<text x="{x:.0f}" y="{under:.0f}" text-anchor="end" '
            f'transform="rotate(-40 {x:.0f} {under:.0f})">'
            f"{escape(name)}</text>"
        )
    return box.svg(title)


def scatter(title: str, across: str, points: Mapping[int, Point]) -> str:
    """Scores against an amount, on a logarithmic axis.  `points` by colour."""
    box = Box(560, 284, top=30)
    box.percents(title)
    scale = Log([point.x for point in points.values()])
    for value in scale.ticks:
        x = box.x(scale(value))
        box.line(x, box.y(0), x, box.y(1), "grid")
        box.text(x, box.height - 24, amount(value))
    box.text(box.width - box.right, box.height - 6, across, "end", "axis")
    for colour, point in points.items():
        x = box.x(scale(point.x))
        low, high = (box.y(end) for end in point.interval)
        box.line(x, low, x, high, f"whisker c{colour}")
        box.dot(x, box.y(point.y), f"c{colour}", point.title)
        box.name(x, box.y(point.y), point.name)
    return box.svg(title)


def plane(title: str, across: str, points: Mapping[int, tuple[Point, Interval]]) -> str:
    """Two shares against each other, each with its interval.  The best is at the lower left."""
    box = Box(380, 344, top=30)
    box.percents(title)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        box.line(box.x(share), box.y(0), box.x(share), box.y(1), "grid")
        box.text(box.x(share), box.height - 24, f"{100 * share:.0f}%")
    box.text(box.width - box.right, box.height - 6, across, "end", "axis")
    for colour, (point, sideways) in points.items():
        x, y = box.x(point.x), box.y(point.y)
        box.line(x, box.y(point.interval[0]), x, box.y(point.interval[1]), f"whisker c{colour}")
        box.line(box.x(sideways[0]), y, box.x(sideways[1]), y, f"whisker c{colour}")
        box.dot(x, y, f"c{colour}", point.title)
        box.name(x, y, point.name)
    return box.svg(title)


@dataclass(frozen=True)
class Spread:
    """A distribution by its quantiles 5, 25, 50, 75 and 95%."""

    colour: int
    name: str
    quantiles: Sequence[float]
    title: str


def boxes(title: str, rows: Sequence[Spread]) -> str:
    """Distributions on a logarithmic axis: the middle half as a box, 5% to 95% as a line."""
    height = 26
    box = Box(560, 40 + height * len(rows) + 30, left=150, top=26, bottom=30)
    box.text(4, 14, title, "start", "axis")
    scale = Log([value for row in rows for value in row.quantiles])
    for value in scale.ticks:
        x = box.x(scale(value))
        box.line(x, box.y(0), x, box.y(1), "grid")
        box.text(x, box.height - 10, amount(value))
    for line, row in enumerate(rows):
        colour, y = row.colour, box.top + (line + 0.5) * height + 4
        p5, p25, p50, p75, p95 = (box.x(scale(value)) for value in row.quantiles)
        box.text(box.left - 8, y + 4, row.name, "end")
        box.line(p5, y, p95, y, f"whisker c{colour}")
        box.parts.append(
            f'<rect class="box c{colour}" x="{p25:.1f}" y="{y - 7:.1f}" width="{max(2.0, p75 - p25):.1f}" '
            f'height="14" rx="2"><title>{escape(row.title)}</title></rect>'
        )
        box.line(p50, y - 9, p50, y + 9, f"median c{colour}")
    return box.svg(title)


class Log:
    """A logarithmic scale to 0..1 over whole powers of ten; amounts of 0 lie at its beginning."""

    def __init__(self, values: Sequence[float]):
        some = [value for value in values if value > 0] or [1.0]
        self.low = math.floor(math.log10(min(some)))
        self.high = max(self.low + 1, math.ceil(math.log10(max(some))))
        self.ticks = [10.0**power for power in range(self.low, self.high + 1)]

    def __call__(self, value: float) -> float:
        if value <= 0:
            return 0.0
        return (math.log10(value) - self.low) / (self.high - self.low)


def amount(value: float) -> str:
    for unit, name in ((1e6, "M"), (1e3, "K")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"
