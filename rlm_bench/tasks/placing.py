"""Where needles go: any number of sentences into a text, at shares of its length or across the cuts of
chunkers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

DEPTHS = (0.0, 0.05, 0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9, 0.95, 0.99, 1.0, "tail")
"""The grid of positions: shares of the text's length, and `tail`, where the needle is the text's last
bytes."""

CUTS = tuple(f"cut:{k}/5" for k in range(1, 5)) + tuple(f"cut:{n}" for n in (2_000, 20_000, 100_000, 200_000))
"""Positions at which a cut falls inside the needle: at k fifths of the length, at a multiple of n
characters."""

TENTHS = tuple(f"cut:{k}/10" for k in (1, 3, 5, 7, 9))
"""Those of a text cut in ten that are not fifths."""


@dataclass(frozen=True)
class Hay:
    """A text to hide needles in."""

    text: str
    mark: str
    """What ends a unit (a line, a sentence, a word): needles go behind one."""
    before: str = ""
    after: str = "\n"

    def within(self, chars: int) -> Hay:
        """The whole units that fit in that many characters."""
        end = self.text.rfind(self.mark, 0, max(1, chars))
        return replace(self, text=self.text[: end + len(self.mark)] if end >= 0 else self.text[:chars])


def parse(pos: Any) -> float | str:
    """A position as a share, "tail", "cut:K/N" or "cut:N"; ValueError for anything else."""
    if isinstance(pos, str):
        if pos == "tail":
            return pos
        head, _, cut = pos.partition(":")
        parts = cut.split("/")
        if head == "cut" and len(parts) <= 2 and all(part.isdecimal() and int(part) > 0 for part in parts):
            if len(parts) == 2 and int(parts[0]) >= int(parts[1]):
                raise ValueError(f"pos={pos!r}: the cut must be inside the text")
            return pos
        try:
            pos = float(pos)
        except ValueError:
            raise ValueError(f"pos={pos!r}: must be a share from 0 to 1, tail, cut:K/N or cut:N") from None
    if isinstance(pos, bool) or not isinstance(pos, int | float) or not 0 <= pos <= 1:
        raise ValueError(f"pos={pos!r}: must be a share from 0 to 1, tail, cut:K/N or cut:N")
    return float(pos)


def boundary(hay: Hay, at: int) -> int:
    """The end of a unit that is nearest to `at`."""
    left = hay.text.rfind(hay.mark, 0, max(0, at))
    right = hay.text.find(hay.mark, max(0, at - len(hay.mark)))
    ends = [0 if left < 0 else left + len(hay.mark), len(hay.text) if right < 0 else right + len(hay.mark)]
    return min(ends, key=lambda end: abs(end - at))


def place(hay: Hay, needles: Sequence[tuple[float | str, str]]) -> tuple[str, list[float]]:
    """The text with each (position, sentence) in it, and where each begins, as shares of the length.

    Needles at the same place keep their order. At most one may be at `tail`, and it comes last.
    """
    size = len(hay.text)
    inserts: list[tuple[int, int]] = []  # (offset, number)
    tails = [i for i, (pos, _) in enumerate(needles) if pos == "tail"]
    for i, (pos, _) in enumerate(needles):
        if isinstance(pos, float):
            inserts.append((0 if pos <= 0 else size if pos >= 1 else boundary(hay, int(pos * size)), i))
    pieces: list[str] = []
    starts = [0] * len(needles)
    length = last = 0

    def put(piece: str) -> None:
        nonlocal length
        pieces.append(piece)
        length += len(piece)

    for offset, i in sorted(inserts):
        at_end = offset >= size
        put(hay.text[last:offset].rstrip() if at_end else hay.text[last:offset])
        last = offset
        put((hay.before or hay.after) if at_end else hay.before if offset else "")
        starts[i] = length
        put(needles[i][1])
        put("\n" if at_end else hay.after)
    put(hay.text[last:])
    if tails:
        text = "".join(pieces).rstrip() + (hay.before or hay.after)
        starts[tails[0]] = len(text)
        text += needles[tails[0]][1]
    else:
        text = "".join(pieces)
    return text, [start / max(1, len(text)) for start in starts]


def across(hay: Hay, needle: str, pos: str, size: int, chance: random.Random) -> tuple[str, list[float]]:
    """A text of exactly `size` characters with a cut inside the needle.

    The haystack must be some units longer than `size`: what is too much goes from its head, so that the end
    of a unit comes to lie where the needle has to begin.
    """
    where = pos.removeprefix("cut:")
    if "/" in where:
        k, n = map(int, where.split("/"))
        cut = k * size // n
    else:
        step = int(where)
        if size <= step:
            raise ValueError(f"pos={pos}: a text of {size} characters has no such cut inside")
        cut = step * chance.randint(1, (size - 1) // step)
    start = max(0, cut - len(hay.before) - chance.randint(1, len(needle) - 1))
    found = hay.text.find(hay.mark, start)
    if found < 0:
        raise ValueError(f"pos={pos}: the haystack is too short")
    end = found + len(hay.mark)
    text = hay.text[end - start : end] + hay.before + needle + hay.after + hay.text[end:]
    begin = start + len(hay.before)
    return text[: max(size, begin + len(needle))], [begin / size]
