"""Real code that is on every machine: the interpreter's own library, without its tests."""

from __future__ import annotations

import random
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "__pycache__",
    "ensurepip",
}


@dataclass(frozen=True)
class Source:
    path: str
    """Relative to the library, with slashes: "json/decoder.py"."""
    text: str


@cache
def files(root: str | None = None) -> tuple[tuple[str, int], ...]:
    """Path and size in bytes of every Python file of the library, or of the folder `root`, sorted."""
    base = _base(root)
    found = []
    for path in base.rglob("*.py"):
        relative = path.relative_to(base)
        if not LEFT_OUT.intersection(relative.parts) and path.is_file():
            found.append((relative.as_posix(), path.stat().st_size))
    if not found:
        raise ValueError(f"{base} holds no Python files: give src=FOLDER")
    return tuple(sorted(found))


def _base(root: str | None) -> Path:
    return Path(root) if root else Path(sysconfig.get_path("stdlib"))


def subset(chance: random.Random, chars: int, root: str | None = None, whole: bool = False) -> list[Source]:
    """Files drawn at random that together have about `chars` characters: at least (no files are left to draw
    but for drawing some twice), or, if `whole`, at most."""
    pool = list(files(root))
    base, taken, length, again = _base(root), list[Source](), 0, 0
    while length < chars:
        chance.shuffle(pool)
        before = length
        for path, size in pool:
            if size < 200 or (whole and length + size > chars):
                continue
            try:
                text = (base / path).read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            taken.append(Source(path if not again else f"{again}/{path}", text))
            length += len(text)
            if length >= chars:
                break
        if whole or length == before:
            break
        again += 1
    return taken
