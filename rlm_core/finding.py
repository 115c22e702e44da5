"""Where in the inputs something stands that was printed or sent: what of them models were shown."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping

Span = tuple[str, int, int]  # name of an input, start, length

FINDING = 3.0  # seconds that a Finder looks in all
LEAST = 24  # characters of a fragment that is looked for
LONGEST = 2_000  # characters of it by which it is found


def covered(spans: Iterable[Span]) -> int:
    """Characters that lie in one span or more."""
    total, last, reached = 0, "", 0
    for name, start, length in sorted(spans):
        if name != last:
            last, reached = name, 0
        total += max(0, start + length - max(start, reached))
        reached = max(reached, start + length)
    return total


class Finder:
    """Finds a place of each fragment of a text.  It stops looking when its time is over, and says so in
    `late`."""

    def __init__(self, texts: Mapping[str, str]):
        self.texts = texts
        self.until = time.monotonic() + FINDING
        self.late = False
        self.known: dict[str, Span | None] = {}
        self.reached = dict.fromkeys(texts, 0)  # where the last was found: the next is often right behind

    def find(self, text: str) -> list[Span]:
        places = map(self._place, dict.fromkeys(_fragments(text)))
        return [place for place in places if place]

    def _place(self, fragment: str) -> Span | None:
        if fragment not in self.known:
            if time.monotonic() > self.until:
                self.late = True
                return None
            found = (self._in(name, fragment) for name in self.texts)
            self.known[fragment] = next((place for place in found if place), None)
        return self.known[fragment]

    def _in(self, name: str, fragment: str) -> Span | None:
        text, reached = self.texts[name], self.reached[name]
        at = text.find(fragment, reached)
        if at < 0:
            at = text.find(fragment, 0, reached + len(fragment))
        if at < 0:
            return None
        self.reached[name] = at
        return name, at, len(fragment)


def _fragments(text: str) -> Iterator[str]:
    """Parts of a text between line ends and quotes, as in printed lists."""
    for part in re.split(r"""\\n|\n|['"], ['"]|\[['"]|['"]\]""", text):
        if len(part) >= LEAST:
            yield part[:LONGEST]
