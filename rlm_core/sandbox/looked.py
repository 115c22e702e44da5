"""Where in the inputs a cell's `grep` and `chunks` looked: few spans, whatever the length of a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rlm_core.sandbox.protocol import MAX_SPANS, Span
from rlm_core.sandbox.search import Piece

RESOLUTION = 1_000  # parts of a text that are told apart


class Looked:
    """What one cell has looked at so far.  `inputs`: name -> value."""

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._inputs = inputs
        self._spans: list[Span] = []

    def clear(self) -> None:
        self._spans = []

    def add(self, helper: str, value: Any, name: Any, text: str, pieces: Iterable[Piece]) -> None:
        """`pieces` of `text`, in order, which is the leaf `name` of `value`.  Of a value that is no input, or
        an item of one, nothing is noted."""
        place = self._place(value)
        if place is None or len(self._spans) >= MAX_SPANS:
            return
        for key in name if isinstance(name, tuple) else () if name is None else (name,):
            place += f"[{key!r}]" if place else str(key)
        gap = len(text) // RESOLUTION
        begin = end = -1
        for piece in pieces:
            if end < 0:
                begin, end = piece.start, piece.end
            elif piece.start <= end + gap:
                end = max(end, piece.end)
            else:
                self._spans.append((helper, place, begin, end - begin))
                begin, end = piece.start, piece.end
        if end >= 0:
            self._spans.append((helper, place, begin, end - begin))

    def told(self) -> tuple[Span, ...]:
        return tuple(dict.fromkeys(self._spans))[:MAX_SPANS]

    def _place(self, value: Any) -> str | None:
        """How code would name an input, or an item of one; "" for all of them by name."""
        for name, given in self._inputs.items():
            if value is given:
                return name
            if isinstance(given, dict) and isinstance(value, str):
                for key, item in given.items():
                    if item is value:
                        return f"{name}[{key!r}]"
        if isinstance(value, dict) and value.keys() == self._inputs.keys():
            return ""
        return None
