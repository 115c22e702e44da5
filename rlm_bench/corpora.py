"""Texts of the user's own to hide things in: all the text files of a folder, their lines shuffled."""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path

ENDS = {".txt", ".md", ".rst", ".text"}


@lru_cache(maxsize=2)
def pieces(folder: str) -> tuple[str, ...]:
    """The lines of the folder's text files that are not blank, file by file in the order of their names.
    ValueError where there are none."""
    files = sorted(path for path in Path(folder).rglob("*") if path.suffix in ENDS and path.is_file())
    lines = [
        line.rstrip()
        for path in files
        for line in path.read_text("utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    if not lines:
        raise ValueError(f"corpus {folder}: no text in it, in files that end in {', '.join(sorted(ENDS))}")
    return tuple(lines)


def shuffled(folder: str, chance: random.Random, chars: int) -> str:
    """Its lines in a random order, at least `chars` characters of them.  A folder that has fewer comes again,
    in another order, under "Part 2" and so on."""
    lines, length, part = list[str](), 0, 1
    while length < chars:
        order = list(pieces(folder))
        chance.shuffle(order)
        if part > 1:
            order.insert(0, f"Part {part}")
        for line in order:
            lines.append(line)
            length += len(line) + 1
            if length >= chars:
                break
        part += 1
    return "\n".join(lines) + "\n"
