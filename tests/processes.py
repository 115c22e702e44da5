"""Which processes there are, and waiting for what happens beside a test."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def descendants(process: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(place.read_text().rpartition(")")[2].split()[1])
        except OSError:  # ended meanwhile
            continue
        if parent == process:
            child = int(place.parent.name)
            found += [child, *descendants(child)]
    return found


def eventually(true: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether it comes true."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
