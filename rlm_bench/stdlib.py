"""Real code that is on every machine: the interpreter's own library, without its tests."""

from __future__ import annotations

import random
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rlm_bench import folders

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


def sources(base: Path) -> list[Path]:
    """Every Python file of a folder, sorted.  ValueError where there are none."""
    found = [
        path
        for path in base.rglob("*.py")
        if not LEFT_OUT.intersection(path.relative_to(base).parts) and path.is_file()
    ]
    if not found:
        raise ValueError(f"{base} holds no Python files: give src=FOLDER")
    return sorted(found, key=lambda path: path.relative_to(base).as_posix())


@cache
def files(root: str | None = None) -> tuple[Path, tuple[tuple[str, int], ...]]:
    """The library, or the folder `root` (as `folders` names it), and path and size in bytes of every Python
    file in it, sorted."""
    base = folders.opened(root, sources) if root else Path(sysconfig.get_path("stdlib"))
    return base, tuple((path.relative_to(base).as_posix(), path.stat().st_size) for path in sources(base))


def subset(chance: random.Random, chars: int, root: str | None = None, whole: bool = False) -> list[Source]:
    """Files drawn at random that together have about `chars` characters: at least (no files are left to draw
    but for drawing some twice), or, if `whole`, at most."""
    base, pool = files(root)
    order, taken, length, again = list(pool), list[Source](), 0, 0
    while length < chars:
        chance.shuffle(order)
        before = length
        for path, size in order:
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
