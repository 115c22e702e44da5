"""Grounding: does a literal occur in a context?  Searched without ever copying a large text whole.

A literal occurs where it stands verbatim, or but for case and runs of white space, as words of its own: `42`
does not occur in `1042` or `3.42`, nor `cat` in `concatenate`.  A number also occurs with thousands
separators (`1,234`), and as an int or a float among data."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

SLICE = 1 << 20  # characters lowered at a time
_NUMBER = re.compile(r"([-+]?)(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?")


def occurs(literal: str, value: Any, seconds: float = 2.0) -> bool:
    """Whether `literal` occurs in `value`: a str, or data whose leaves and keys are looked at.  Where
    `seconds` end before the search does, True: what was not looked for everywhere cannot be called absent.
    An empty literal occurs."""
    literal = literal.strip()
    if not literal:
        return True
    deadline = time.monotonic() + seconds
    number = _number(literal)
    forms = _forms(literal)
    words = literal.lower().split()
    try:
        for text in _texts(value, number):
            if text is _FOUND or any(_stands(form, text, deadline) for form in forms):
                return True
            if any(word.lower() != word.upper() for word in words) or len(words) > 1:
                if _stands_loosely(words, text, deadline):
                    return True
    except TimeoutError:
        return True
    return False


_FOUND = "\0found"


def _texts(value: Any, number: float | None) -> Iterator[str]:
    """The texts in `value`: long ones as they are, short leaves joined by NUL into blocks.  `_FOUND` where a
    leaf is `number` itself."""
    if isinstance(value, str):
        yield value
        return
    block: list[str] = []
    size = 0
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if len(item) >= SLICE:
                yield item
                continue
        elif isinstance(item, Mapping):
            stack.extend(item.values())
            stack.extend(item)
            continue
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
            continue
        else:
            if number is not None and type(item) in (int, float) and item == number:
                yield _FOUND
            item = str(item)
        block.append(item)
        size += len(item)
        if size >= SLICE:
            yield "\0".join(block)
            block, size = [], 0
    yield "\0".join(block)


def _number(literal: str) -> float | None:
    return float(literal.replace(",", "")) if _NUMBER.fullmatch(literal) else None


def _forms(literal: str) -> list[str]:
    """The literal, and for a number how else it is written: with and without thousands separators."""
    match = _NUMBER.fullmatch(literal)
    if not match:
        return [literal]
    sign, whole, fraction = match.group(1), match.group(2).replace(",", ""), match.group(3) or ""
    return list(dict.fromkeys([literal, f"{sign}{whole}{fraction}", f"{sign}{int(whole):,}{fraction}"]))


def _stands(literal: str, text: str, deadline: float) -> bool:
    start = text.find(literal)
    while start >= 0:
        if _whole(text, start, start + len(literal)):
            return True
        if time.monotonic() > deadline:
            raise TimeoutError
        start = text.find(literal, start + 1)
    return False


def _stands_loosely(words: list[str], text: str, deadline: float) -> bool:
    """Looks for the longest word, then whether the others stand around it."""
    anchor = max(words, key=len)
    pattern = re.compile(r"\s+".join(map(re.escape, words)))
    reach = 2 * sum(map(len, words)) + 256  # characters around the anchor that the rest is looked for in
    for offset in range(0, len(text), SLICE):
        lowered = text[max(0, offset - reach) : offset + SLICE + reach].lower()
        at = lowered.find(anchor)
        while at >= 0:
            for match in pattern.finditer(lowered, max(0, at - reach), at + reach):
                if _whole(lowered, match.start(), match.end()):
                    return True
            if time.monotonic() > deadline:
                raise TimeoutError
            at = lowered.find(anchor, at + 1)
        if time.monotonic() > deadline:
            raise TimeoutError
    return False


def _whole(text: str, start: int, end: int) -> bool:
    """Whether what stands at start:end does not go on beyond it, as a longer word or number."""
    return not (
        (start and _joined(text[max(0, start - 2) : start][::-1], text[start]))
        or _joined(text[end : end + 2], text[end - 1])
    )


def _joined(outside: str, edge: str) -> bool:
    """Whether `outside`, nearest character first, belongs to the word or number that ends with `edge`."""
    if edge.isdigit():
        return outside[:1].isdigit() or (outside[:1] in (".", ",") and outside[1:].isdigit())
    return _cased(edge) and _cased(outside[:1])


def _cased(character: str) -> bool:
    """A letter of a script that separates its words: Chinese and Japanese have no case, and no spaces
    either."""
    return character.lower() != character.upper()
