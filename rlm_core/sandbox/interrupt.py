"""Stopping a cell: at its time limit, or at its submission.

A timer's signal raises a BaseException that the cell can neither name nor catch by `except`.  Code can
still swallow one (a `finally` that returns, an `__exit__` that returns True), so the timer fires again and
again until the cell is out; code that swallows every one, and a call into C that never returns to Python,
are left to the host, which kills the process.

The exception rises only in frames below `Stopper.run`, never in it: so the worker's own bookkeeping, before
and after, is never torn in two, and needs no care.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NoReturn

AGAIN = 0.2  # seconds between two firings
SHORTEST = 1e-3  # seconds
LONGEST = 1e8  # seconds; setitimer refuses infinity


class Stop(BaseException):
    """Ends the cell."""


class TimedOut(Stop):
    """The cell ran past its time."""


class Ended(Stop):
    """The cell submitted."""


class HostGone(Stop):
    """The host closed the channel while the cell waited for it."""


class Stopper:
    """Runs a cell and can end it.  For the main thread of the process only, as signals are."""

    def __init__(self) -> None:
        self.cause: type[Stop] | None = None
        """Why the cell is to end.  Stands even where the cell swallowed the exception."""
        self.seconds = 0.0
        """How long the cell ran, not counting the pauses."""
        self._held = False

    def __enter__(self) -> Stopper:
        self._former = signal.signal(signal.SIGALRM, self._on_alarm)
        return self

    def __exit__(self, *exc: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._former)

    def run(self, cell: Callable[[], None], seconds: float) -> TracebackType | None:
        """Calls `cell`, for at most `seconds`.  Gives where it stood if stopped; raises what it raises."""
        self.cause, self._held, self._paused = None, False, 0.0
        began = time.perf_counter()
        stood = None
        signal.setitimer(signal.ITIMER_REAL, min(max(seconds, SHORTEST), LONGEST), AGAIN)
        try:
            cell()
        except Stop as stop:
            stood = stop.__traceback__
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.seconds = time.perf_counter() - began - self._paused
        return stood

    def stop(self, cause: type[Stop]) -> NoReturn:
        """Ends the cell now: raises, and goes on raising until it is out."""
        self.cause = self.cause or cause
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        raise self.cause

    def check(self) -> None:
        """Raises again in a cell that was stopped and goes on."""
        if self.cause is not None:
            raise self.cause

    def pause(self) -> None:
        """The clock stops, and nothing rises, while the host works for the cell."""
        self._held = True
        self._left = signal.setitimer(signal.ITIMER_REAL, 0)[0]
        self._pause_began = time.perf_counter()

    def resume(self, left: float | None = None) -> None:
        """`left`: seconds, where the host counts more of the cell's time than this clock does."""
        self._paused += time.perf_counter() - self._pause_began
        left = self._left if left is None else min(self._left, left)
        if left < SHORTEST:  # the next pause may come before the alarm: the call that asks for it is told
            self.cause = self.cause or TimedOut
        signal.setitimer(signal.ITIMER_REAL, max(left, SHORTEST), AGAIN)
        self._held = False

    def _on_alarm(self, signum: int, frame: FrameType | None) -> None:
        if self._held:
            return
        caller = frame.f_back if frame else None
        while caller is not None and caller.f_code is not Stopper.run.__code__:
            caller = caller.f_back
        if caller is not None:
            self.cause = self.cause or TimedOut
            raise self.cause
