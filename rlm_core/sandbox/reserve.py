"""Memory set aside, so that a worker which ran out of it can still say so and go on."""

from __future__ import annotations

import mmap
from contextlib import suppress

SIZE = 2 << 20  # bytes of one part: more than a report takes
PARTS = 8  # memory may run out in several cells before one of them frees it
PLENTY = 2 * SIZE * PARTS


class Reserve:
    """Untouched pages: they count against the limit of what may be addressed, and take no memory."""

    def __init__(self) -> None:
        self._parts: list[mmap.mmap] = []

    def fill(self) -> None:
        """Where less than `PLENTY` is left, nothing: the next cell needs that, if only to free some."""
        if len(self._parts) == PARTS:
            return
        with suppress(OSError):
            mmap.mmap(-1, PLENTY).close()
            while len(self._parts) < PARTS:
                self._parts.append(mmap.mmap(-1, SIZE))

    def give_up_part(self) -> None:
        if self._parts:
            self._parts.pop().close()
