"""The live line on a terminal: how far, how it goes, time left, cost.  None where stderr is no terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from types import TracebackType
from typing import TextIO

from rlm_bench.rows import Row
from rlm_bench.runner import Tally

BAR = 20  # characters


class Progress:
    def __init__(self, tally: Tally, file: TextIO | None = None):
        self.tally = tally
        self.file = file or sys.stderr
        self.shown = self.file.isatty()
        self.started = time.monotonic()
        self.scores: dict[str, list[float]] = {}

    def __enter__(self) -> Progress:
        self.draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def note(self, row: Row) -> None:
        if row.score is not None:
            self.scores.setdefault(row.method, []).append(row.strict)

    def draw(self) -> None:
        if not self.shown:
            return
        line = self.line()[: shutil.get_terminal_size().columns - 1]
        styled = line if os.environ.get("NO_COLOR") else f"\x1b[36m{line}\x1b[0m"
        self.file.write(f"\r\x1b[K{styled}")
        self.file.flush()

    def clear(self) -> None:
        if self.shown:
            self.file.write("\r\x1b[K")
            self.file.flush()

    def line(self) -> str:
        tally = self.tally
        share = tally.done / tally.total if tally.total else 1.0
        bar = "█" * int(share * BAR) + "░" * (BAR - int(share * BAR))
        parts = [f"{bar} {tally.done}/{tally.total}"]
        spent = time.monotonic() - self.started
        parts.append(
            f"{clock(spent / tally.done * (tally.total - tally.done))} left" if tally.done else clock(spent)
        )
        if tally.cost:
            parts.append(f"${tally.cost:.4f}" + (" and more" if tally.unpriced else ""))
        if tally.errors:
            parts.append(f"{tally.errors} errors")
        # what a narrow terminal cuts off comes last
        parts += [f"{method} {sum(got):g}/{len(got)}" for method, got in self.scores.items()]
        now = next(iter(tally.working), None)
        if now:
            parts.append(f"{now.spec.task} by {now.method}")
        return " · ".join(parts)


def clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
