"""The live line on a terminal: step, sub-calls, tokens, cost, time.

It stands on the last line of stderr, below what the run has written.  A thread draws it while the run
works; `hold` erases it before anything else is written there, until `release`.  Where stderr is no terminal
there is none."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from rlm_core.events import Asking, Event, SubCalled, SubCalling
from rlm_core.limits import RunUsage

INTERVAL = 0.25  # seconds


class Progress:
    """`usage` tells what is spent so far.  `quiet`: draw nothing."""

    def __init__(self, usage: Callable[[], RunUsage], *, quiet: bool = False, file: TextIO | None = None):
        self.file = file or sys.stderr  # None where it is closed
        self.usage = usage
        self.quiet = quiet or not (self.file and self.file.isatty())
        self.started = time.monotonic()
        self.step, self.of, self.done, self.asked = 0, 0, 0, 0
        self.drawn = False
        self.held = True
        self.free = True  # the cursor is at the start of a line
        self.lock = threading.Lock()
        self.over = threading.Event()

    def __enter__(self) -> Progress:
        if not self.quiet:
            threading.Thread(target=self._draw_on, name="rlm-progress", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.hold()

    def note(self, event: Event) -> None:
        """Takes what an event says."""
        match event:
            case Asking(path=()):
                self.step, self.of = event.turn, event.of
            case SubCalling():
                self.asked += event.count
            case SubCalled():
                self.done += 1

    def wrote(self, text: str) -> None:
        """Takes what was written to the terminal."""
        self.free = text.endswith("\n") if text else self.free

    def release(self) -> None:
        with self.lock:
            self.held = False

    def hold(self) -> None:
        with self.lock:
            self.held = True
            if self.drawn:
                self.file.write("\r\x1b[K")
                self.file.flush()
                self.drawn = False

    def line(self, width: int) -> str:
        """All of it, or what matters most of it in `width` columns."""
        usage = self.usage()
        parts = {"step": f"step {self.step}/{self.of}" if self.step else "starting"}
        if self.asked:
            parts["sub-calls"] = f"sub-calls {self.done}/{self.asked}"
        parts["tokens"] = f"{usage.input + usage.output:,} tokens"
        if usage.cost:
            parts["cost"] = f"${usage.cost:.4f}"
        parts["time"] = f"{time.monotonic() - self.started:.0f} s"
        for least in ("tokens", "cost", "time", "sub-calls"):
            if len(" · ".join(parts.values())) > width:
                parts.pop(least, None)
        return " · ".join(parts.values())[:width]

    def _draw_on(self) -> None:
        while not self.over.wait(INTERVAL):
            self._draw()

    def _draw(self) -> None:
        with self.lock:
            if self.over.is_set() or self.held or not self.free:
                return
            line = self.line(_columns(self.file) - 1)
            styled = line if os.environ.get("NO_COLOR") else f"\x1b[36m{line}\x1b[0m"
            self.file.write(f"\r\x1b[K{styled}")
            self.file.flush()
            self.drawn = True


def _columns(terminal: TextIO) -> int:
    """Of this terminal: stdout, which shutil asks, may be a file."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
