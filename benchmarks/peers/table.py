"""What was measured, as a Markdown table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.peers.candidates import OURS

PLACES = {"s": 3, "ms": 1, "MB": 0, "": 0}


@dataclass
class Row:
    """One kind of number, of every candidate.

    unit    s, ms or MB: less is better; "": more is better
    values  by candidate, one for each repeat
    failed  what came in the place of a number
    loads   the machine's load average, whenever one was taken
    """

    title: str
    unit: str = "s"
    values: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    loads: list[float] = field(default_factory=list)

    def median(self, name: str) -> float | None:
        values = self.values.get(name)
        return statistics.median(values) if values and name not in self.failed else None

    def cell(self, name: str) -> str:
        median, ours = self.median(name), self.median(OURS)
        if median is None:
            return self.failed.get(name, "–")
        places = PLACES[self.unit]
        shown = f"{median:.{places}f}"
        if self.unit:
            shown += f" ({min(self.values[name]):.{places}f})"
            if name != OURS and ours:
                shown += f" {median / ours:.2g}×" if median / ours < 9.95 else f" {median / ours:,.0f}×"
        return shown

    def behind(self) -> str:
        """The best peer where it is ahead of this project, else ""."""
        ours = self.median(OURS)
        found = {name: self.median(name) for name in self.values if name != OURS}
        peers = {name: value for name, value in found.items() if value is not None}
        if ours is None or not peers:
            return ""
        best = (min if self.unit else max)(peers, key=lambda name: peers[name])
        ahead = peers[best] < ours if self.unit else peers[best] > ours
        return best if ahead else ""


def table(rows: Sequence[Row], names: Sequence[str]) -> str:
    lines = [
        "| | " + " | ".join(names) + " | load |",
        "|---|" + "---|" * (len(names) + 1),
    ]
    for row in rows:
        load = f"{min(row.loads):.1f} to {max(row.loads):.1f}" if row.loads else "–"
        unit = f", {row.unit}" if row.unit else ""
        lines.append(f"| {row.title}{unit} | " + " | ".join(map(row.cell, names)) + f" | {load} |")
    behind = [f"{row.title}: {best} is ahead of {OURS}" for row in rows if (best := row.behind())]
    if not behind and len(names) > 1 and OURS in names:
        behind = [f"No peer is ahead of {OURS} in any row."]
    return "\n".join([*lines, "", *behind])
