"""Which processes there are."""

from __future__ import annotations

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
