"""Data that is at hand."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

from rlm_core.scan.found import Late
from rlm_core.shape import CONTAINERS, MAX_DEPTH, Shape, Where

PIECE = 1 << 16  # values that are added between two looks at the clock
_LEAVES = frozenset([str, int, float, bool, type(None)])


def scan_data(value: Any, deadline: float) -> tuple[Shape, float]:
    """The shape of data that is at hand, and the share of it that was seen."""
    walk = _Walk(deadline)
    shape = Shape()
    try:
        walk.visit(value, shape, None, 0, 0.0, 1.0)
    except Late:
        return shape.settle(), walk.share
    return shape.settle(), 1.0


class _Walk:
    """Adds data to a shape, in pieces small enough to look at the clock between them."""

    def __init__(self, deadline: float):
        self.deadline = deadline
        self.share = 0.0

    def visit(
        self, value: Any, shape: Shape, where: Where | None, depth: int, low: float, high: float
    ) -> None:
        """Adds one value, which fills the share of all from `low` to `high`."""
        if depth >= MAX_DEPTH or not isinstance(value, CONTAINERS) or _is_small(value):
            shape.add([value], lambda _: where, depth)
            return
        shape.open("dict" if isinstance(value, Mapping) else type(value).__name__, value, where)
        step = (high - low) / len(value)
        if isinstance(value, Mapping):
            for start, names in _pieces(value):
                part = {name: value[name] for name in names}
                if _is_small(part):
                    self.pause(low + step * start)
                    shape.add_members(part, where, depth + 1)
                else:
                    for index, (name, item) in enumerate(part.items(), start):
                        begin = low + step * index
                        self.pause(begin)
                        self.visit(item, shape.child(name), (name, where), depth + 1, begin, begin + step)
        else:
            for start, items in _pieces(value):
                if _is_small(items):
                    self.pause(low + step * start)
                    shape.element.add(items, lambda n, start=start: (start + n, where), depth + 1)  # type: ignore[misc]
                else:
                    for index, item in enumerate(items, start):
                        begin = low + step * index
                        self.pause(begin)
                        self.visit(item, shape.element, (index, where), depth + 1, begin, begin + step)
        shape.longest = max(shape.longest, len(value))

    def pause(self, share: float) -> None:
        self.share = share
        if time.monotonic() >= self.deadline:
            raise Late


def _pieces(value: Collection[Any]) -> Iterator[tuple[int, list[Any]]]:
    """(index of the first, some elements), one piece after another."""
    elements = iter(value)
    start = 0
    while piece := list(islice(elements, 256)):
        yield start, piece
        start += len(piece)


def _is_small(value: Any) -> bool:
    """Whether adding it takes no time to speak of.  Finding out takes none either: it stops at the limit."""
    left = PIECE
    stack = [value]
    while stack:
        item = stack.pop()
        left -= len(item)
        if left < 0:
            return False
        inside = item.values() if isinstance(item, Mapping) else item
        stack.extend(one for one in inside if type(one) not in _LEAVES and isinstance(one, CONTAINERS))
    return True
