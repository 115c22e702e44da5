"""Texts of the user's own to hide things in: all the text files of a folder, their lines shuffled."""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path

from rlm_bench import folders

ENDS = {".txt", ".md", ".rst", ".text"}


def files(folder: Path) -> list[Path]:
    """Its text files, in the order of their names.  ValueError where there are none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in ENDS and path.is_file())
    if not found:
        raise ValueError(f"corpus {folder}: no text in it, in files that end in {', '.join(sorted(ENDS))}")
    return found


@lru_cache(maxsize=2)
def pieces(name: str) -> tuple[str, ...]:
    """The lines of a folder's text files that are not blank, file by file.  `name`: as `folders` has it.
    ValueError where there are none."""
    folder = folders.opened(name, files)
    lines = [
        line.rstrip()
        for path in files(folder)
        for line in path.read_text("utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    if not lines:
        raise ValueError(f"corpus {folder}: its text files are empty")
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
