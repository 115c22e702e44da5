"""Charts as SVG, by hand: no library, no script, colours by class so that the page's light and dark apply."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from rlm_bench.stats import Interval

COLOURS = 8  # that the page knows; more series begin again, and are drawn hollow
ASIDE = 7  # pixels between the intervals that stand at one step
LETTER = 6.6  # pixels of a name's letters, at most on average


def drawn(series: int) -> str:
    """The class of a series, by its number."""
    return f"c{series % COLOURS}" + (" again" if series >= COLOURS else "")


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

    def names(self, points: Sequence[tuple[float, float, str]], lines: Sequence[Area] = ()) -> None:
        """Beside each dot, where it lies least on other dots, names and `lines`; a thread leads to those that
        stand off."""
        taken = [*lines, *((x - 5, y - 5, x + 5, y + 5) for x, y, _ in points)]
        for x, y, name in sorted(points, key=lambda point: point[1]):
            wide, places = LETTER * len(name), []
            for off in sorted(range(-216, 217, 4), key=abs):
                for left in (x + 9, x - 9 - wide):
                    place = left, y + off - 6, left + wide, y + off + 6
                    if self.holds(place):
                        places.append((sum(_overlap(place, other) for other in taken), abs(off), place))
            if not places:
                continue
            _, off, place = min(places)
            taken.append(place)
            left, top, right, _ = place
            if off > 10:
                self.line(x, y, left - 2 if left > x else right + 2, top + 6, "thread")
            self.text(left if left > x else right, top + 10, name, "start" if left > x else "end", "name")

    def holds(self, place: Area) -> bool:
        left, top, right, bottom = place
        return left > self.left and right < self.width and top > 16 and bottom < self.y(0)

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
    """A score and its interval, `x` as the chart needs it; of a series, by its number and name."""

    x: float
    y: float
    interval: Interval
    title: str
    series: int = 0
    name: str = ""


def legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<span class="key"><i class="{drawn(i)}"></i>{escape(name)}</span>' for i, name in enumerate(names)
    )
    return f'<p class="legend">{items}</p>'


def lines(title: str, ticks: Sequence[str], points: Sequence[Point]) -> str:
    """Scores over ordered steps: `x` of a point is the number of its tick."""
    series: dict[int, list[Point]] = {}
    for point in sorted(points, key=lambda point: point.x):
        series.setdefault(point.series, []).append(point)
    across = max(64, ASIDE * (len(series) + 2))
    box = Box(max(300, 110 + across * len(ticks), 64 + _wide(title)), 224, top=30)
    box.percents(title)
    step = 1 / max(1, len(ticks))
    for number, tick in enumerate(ticks):
        box.text(box.x((number + 0.5) * step), box.height - 22, tick)
    for rank, (number, some) in enumerate(sorted(series.items())):
        aside = (rank - (len(series) - 1) / 2) * ASIDE
        places = [(box.x((point.x + 0.5) * step) + aside, box.y(point.y), point) for point in some]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
        box.parts.append(f'<polyline class="path {drawn(number)}" points="{path}"/>')
        for x, y, point in places:
            low, high = (box.y(end) for end in point.interval)
            box.line(x, low, x, high, f"whisker {drawn(number)}")
            box.dot(x, y, drawn(number), point.title)
    return box.svg(title)


def heat(
    title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[tuple[float, str, str] | None]]]
) -> str:
    """Cells of (share, what stands in it, its title)."""
    width, height = 46, 30
    box = Box(
        max(70 + width * len(columns) + 10, 8 + _wide(title)), 30 + height * len(rows) + 50, left=70, top=26
    )
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


def scatter(title: str, across: str, points: Sequence[Point]) -> str:
    """Scores against an amount, on a logarithmic axis."""
    box = Box(560, 284, top=30)
    box.percents(title)
    scale = Log([point.x for point in points])
    for value in scale.ticks:
        x = box.x(scale(value))
        box.line(x, box.y(0), x, box.y(1), "grid")
        box.text(x, box.height - 24, amount(value))
    box.text(box.width - box.right, box.height - 6, across, "end", "axis")
    whiskers, dots = [], []
    for point in points:
        x, kind = box.x(scale(point.x)), drawn(point.series)
        low, high = (box.y(end) for end in point.interval)
        box.line(x, low, x, high, f"whisker {kind}")
        box.dot(x, box.y(point.y), kind, point.title)
        whiskers.append((x - 1, high, x + 1, low))
        dots.append((x, box.y(point.y), point.name))
    box.names(dots, whiskers)
    return box.svg(title)


def plane(title: str, across: str, points: Sequence[tuple[Point, Interval]]) -> str:
    """Two shares against each other, each with its interval.  The best is at the lower left."""
    box = Box(480, 344, top=30)
    box.percents(title)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        box.line(box.x(share), box.y(0), box.x(share), box.y(1), "grid")
        box.text(box.x(share), box.height - 24, f"{100 * share:.0f}%")
    box.text(box.width - box.right, box.height - 6, across, "end", "axis")
    whiskers, dots = [], []
    for point, sideways in points:
        x, y, kind = box.x(point.x), box.y(point.y), drawn(point.series)
        low, high = (box.y(end) for end in point.interval)
        left, right = (box.x(end) for end in sideways)
        box.line(x, low, x, high, f"whisker {kind}")
        box.line(left, y, right, y, f"whisker {kind}")
        box.dot(x, y, kind, point.title)
        whiskers += [(x - 1, high, x + 1, low), (left, y - 1, right, y + 1)]
        dots.append((x, y, point.name))
    box.names(dots, whiskers)
    return box.svg(title)


@dataclass(frozen=True)
class Spread:
    """A distribution by its quantiles 5, 25, 50, 75 and 95%."""

    series: int
    name: str
    quantiles: Sequence[float]
    title: str


def boxes(title: str, rows: Sequence[Spread]) -> str:
    """Distributions on a logarithmic axis: the middle half as a box, 5% to 95% as a line."""
    height = 26
    left = 16 + round(LETTER * max((len(row.name) for row in rows), default=0))
    box = Box(left + 410, 40 + height * len(rows) + 30, left=left, top=26, bottom=30)
    box.text(4, 14, title, "start", "axis")
    scale = Log([value for row in rows for value in row.quantiles])
    for value in scale.ticks:
        x = box.x(scale(value))
        box.line(x, box.y(0), x, box.y(1), "grid")
        box.text(x, box.height - 10, amount(value))
    for line, row in enumerate(rows):
        kind, y = drawn(row.series), box.top + (line + 0.5) * height + 4
        p5, p25, p50, p75, p95 = (box.x(scale(value)) for value in row.quantiles)
        box.text(box.left - 8, y + 4, row.name, "end")
        box.line(p5, y, p95, y, f"whisker {kind}")
        box.parts.append(
            f'<rect class="box {kind}" x="{p25:.1f}" y="{y - 7:.1f}" width="{max(2.0, p75 - p25):.1f}" '
            f'height="14" rx="2"><title>{escape(row.title)}</title></rect>'
        )
        box.line(p50, y - 9, p50, y + 9, f"median {kind}")
    return box.svg(title)


Area = tuple[float, float, float, float]  # left, top, right, bottom


def _overlap(one: Area, other: Area) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across * down if across > 0 and down > 0 else 0.0


def _wide(title: str) -> int:
    """Of a title, which is bold, in pixels."""
    return round(8.0 * len(title))


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
