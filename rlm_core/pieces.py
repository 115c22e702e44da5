"""Prompts as pieces of the context they were made from.

Code cuts a context up and sends it to sub-calls; written out, the prompts of a run would hold the context
once more each time it is read.  So the journal keeps a prompt as literal text and as references (name, start,
length) into the inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

Piece = str | tuple[str, int, int]

BLOCK = 256  # characters by which a place in the inputs is recognised
STRIDE = 1_024  # every so many characters a block is remembered: any quotation of STRIDE + BLOCK is found
MISSES = (
    64  # blocks that were recognised for nothing, after which a text is left as it is: it may be repetitive
)
UNQUOTED = 1 << 17  # characters that quote nothing, after which the rest is left as it is


class Pieces:
    """Cuts texts up along `inputs` (name in the REPL -> value), and joins them again."""

    def __init__(self, inputs: Mapping[str, Any]):
        self.texts = {name: text for name, text in texts_of(inputs) if len(text) >= STRIDE}

    def cut(self, text: str) -> list[Piece]:
        """`text` as pieces; a text that quotes nothing long is itself alone."""
        if len(text) <= STRIDE:
            return [text]
        pieces: list[Piece] = []
        begin = at = misses = 0  # `text[begin:at]` is not yet in a piece
        while at + BLOCK <= len(text) and misses < MISSES and at - begin < UNQUOTED and self._index:
            place = self._index.get(text[at : at + BLOCK])
            if place is None:
                at += 1
                continue
            name, offset = place
            source = self.texts[name]
            length = _shared(text, at, source, offset)
            back = _shared_before(text, begin, at, source, offset)
            if back + length < STRIDE:
                at += 1
                misses += 1
                continue
            if at - back > begin:
                pieces.append(text[begin : at - back])
            pieces.append((name, offset - back, back + length))
            begin = at = at + length
        if begin < len(text) or not pieces:
            pieces.append(text[begin:])
        return pieces

    def join(self, pieces: Sequence[Piece | list[Any]]) -> str:
        """The text that was cut.  Raises KeyError where an input is missing."""
        return "".join(piece if isinstance(piece, str) else self._slice(*piece) for piece in pieces)

    def _slice(self, name: str, start: int, length: int) -> str:
        return self.texts[name][start : start + length]

    @cached_property
    def _index(self) -> dict[str, tuple[str, int]]:
        index: dict[str, tuple[str, int]] = {}
        for name, text in self.texts.items():
            for offset in range(0, len(text) - BLOCK + 1, STRIDE):
                index.setdefault(text[offset : offset + BLOCK], (name, offset))
        return index


def texts_of(inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The texts among inputs, and among their items, each with its name as in code."""
    texts = []
    for name, value in inputs.items():
        if isinstance(value, str):
            texts.append((name, value))
        elif isinstance(value, Mapping):
            texts += [(f"{name}[{key!r}]", item) for key, item in value.items() if isinstance(item, str)]
        elif isinstance(value, (list, tuple)):
            texts += [(f"{name}[{at}]", item) for at, item in enumerate(value) if isinstance(item, str)]
    return texts


def _shared(one: str, at: int, other: str, offset: int) -> int:
    """How many characters are the same from `one[at]` and `other[offset]` on."""

    def same(start: int, end: int) -> bool:
        return one[at + start : at + end] == other[offset + start : offset + end]

    return _most(min(len(one) - at, len(other) - offset), same)


def _shared_before(one: str, begin: int, at: int, other: str, offset: int) -> int:
    """How many characters are the same before `one[at]` and `other[offset]`, back to `begin` at most."""

    def same(start: int, end: int) -> bool:
        return one[at - end : at - start] == other[offset - end : offset - start]

    return _most(min(at - begin, offset), same)


def _most(limit: int, same: Callable[[int, int], bool]) -> int:
    """The largest n <= limit with same(0, n), found by leaps that double until one fails, and halve then."""
    n, leap, growing = 0, BLOCK, True
    while leap and n < limit:
        ahead = min(n + leap, limit)
        if same(n, ahead):
            n = ahead
        else:
            growing = False
        leap = leap * 2 if growing else leap // 2
    return n
