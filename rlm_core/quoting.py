"""Values of the context as a card shows them: quoted and bounded, on one line, so that no text in them,
whatever it says and whatever line ends or fences it holds, can pass for words of ours.

And texts that are too long, by their two ends, as they are written (`ends`)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

MAX_LEVEL = 6


def ends(text: str, most: int) -> str:
    """A text, or of one that is longer than `most` its two ends, and how many characters are left out."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"


def quote(text: str, room: int, end: bool = False) -> tuple[str, int]:
    """The repr of as much of the start (or the end) of `text` as fits `room` characters, and how much that
    is."""
    take = min(len(text), max(0, room - 2))
    while True:
        quoted = repr(text[len(text) - take :] if end else text[:take])
        if len(quoted) <= room or not take:
            return quoted, take
        take = min(take - 1, take * room // len(quoted))


def brief(value: Any, room: int) -> str:
    """One line of at most about `room` characters that shows a value: its repr, with `…` where something is
    left out."""
    pieces: list[str] = []
    _write(value, pieces, room, MAX_LEVEL)
    return "".join(pieces)


def _write(value: Any, pieces: list[str], room: int, levels: int) -> int:
    """Appends to `pieces`; the room that is left then."""
    if isinstance(value, str):
        shown, taken = quote(value, max(room, 12))
        pieces.append(shown + ("…" if taken < len(value) else ""))
    elif isinstance(value, Mapping):
        return _write_items(value.items(), len(value), "{}", pieces, room, levels)
    elif isinstance(value, (list, tuple, set, frozenset)):
        return _write_items(
            value, len(value), "()" if isinstance(value, tuple) else "[]", pieces, room, levels
        )
    else:
        try:
            shown = repr(value[: room + 1] if isinstance(value, (bytes, bytearray)) else value)
        except ValueError:  # an int of more digits than Python prints
            shown = f"an int of {value.bit_length():,} bits"
        pieces.append(shown if len(shown) <= max(room, 24) else shown[: max(room, 24)] + "…")
    return room - len(pieces[-1])


def _write_items(items: Any, count: int, braces: str, pieces: list[str], room: int, levels: int) -> int:
    if not levels and count:
        pieces.append(braces[0] + "…" + braces[1])
        return room - 3
    pieces.append(braces[0])
    shown = 0
    for item in islice(items, 1000):
        if room < 8:
            break
        pieces.append(", " if shown else "")
        room -= 2
        if braces == "{}":
            room = _write(item[0], pieces, min(room, 60), 1) + max(0, room - 60)
            pieces.append(": ")
            item = item[1]
        room = _write(item, pieces, room, levels - 1)
        shown += 1
    left = f"… {count - shown:,} more" if shown < count else ""
    pieces.append((", " if shown and left else "") + left + braces[1])
    return room - len(pieces[-1])
