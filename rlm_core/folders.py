"""Which files a folder or a glob means: sorted, without what is hidden, what git would ignore, and links to
folders (so that no loop of links is ever followed)."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

Pattern = tuple[str, ...]
"""A glob's segments, below the folder it begins in; `**` stands for any number of folders."""


def split_glob(path: str) -> tuple[str, Pattern]:
    """The folder a glob begins in, and the rest: ("src", ("**", "*.py")) of src/**/*.py."""
    parts = path.split("/")
    first = next(index for index, part in enumerate(parts) if any(sign in part for sign in "*?["))
    return "/".join(parts[:first]) or ("/" if path.startswith("/") else "."), tuple(
        filter(None, parts[first:])
    )


def walk(root: str, pattern: Pattern | None, skipped: list[tuple[str, str]]) -> Iterator[str]:
    """Paths of the files under `root`, or of those whose path within it matches `pattern`, in sorted order.
    What is passed over is added to `skipped` as (name within root, why)."""
    real = os.path.realpath(root)
    stack: list[tuple[str, tuple[str, ...], _Ignore | None]] = [(root, (), _Ignore.above(real))]
    while stack:
        path, parts, ignore = stack.pop()
        if ignore is None:
            yield path
            continue
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            skipped.append(("/".join(parts) + "/", f"cannot be read: {error.strerror or error}"))
            continue
        ignore = ignore.within(os.path.join(real, *parts))
        found = []
        for entry in entries:
            below = (*parts, entry.name)
            folder = os.path.isdir(entry.path)  # entry.is_dir() raises at a loop of links
            if pattern is not None and not _matches(below, pattern, folder):
                continue
            name = "/".join(below) + ("/" if folder else "")
            if entry.name.startswith(".") and not _asks_hidden(pattern):
                skipped.append((name, "is hidden"))
            elif folder and entry.is_symlink():
                skipped.append((name, "is a link to a folder"))
            elif ignore.ignores(os.path.join(real, *below), folder):
                skipped.append((name, "is ignored by .gitignore"))
            else:
                found.append((entry.path, below, ignore if folder else None))
        stack.extend(found)


def _asks_hidden(pattern: Pattern | None) -> bool:
    return any(part.startswith(".") for part in pattern or ())


def _matches(parts: tuple[str, ...], pattern: Pattern, folder: bool) -> bool:
    """Whether the path matches; of a folder, whether something below it could."""
    if not parts:
        return folder or all(part == "**" for part in pattern)
    if not pattern:
        return False
    if pattern[0] == "**":
        return _matches(parts, pattern[1:], folder) or _matches(parts[1:], pattern, folder)
    return fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:], folder)


class _Ignore:
    """The .gitignore files that hold in one folder, innermost first: the first that has a say decides."""

    def __init__(self, specs: tuple[tuple[str, GitIgnoreSpec], ...] = ()):
        self.specs = specs

    @classmethod
    def above(cls, root: str) -> _Ignore:
        """Those of the folders above `root` that lie in its git repository, unless they ignore `root` itself:
        who names an ignored folder wants it.  All paths here are real ones."""
        folder = root
        above = []
        while not os.path.exists(os.path.join(folder, ".git")):
            parent = os.path.dirname(folder)
            if parent == folder:
                return cls()  # no repository
            above.append(parent)
            folder = parent
        ignore = cls()
        for parent in reversed(above):
            ignore = ignore.within(parent)
        return cls() if ignore.ignores(root, True) else ignore

    def within(self, folder: str) -> _Ignore:
        path = os.path.join(folder, ".gitignore")
        if not os.path.isfile(path):  # a pipe of that name would be waited for
            return self
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read(1 << 20).splitlines()
        except OSError:
            return self
        from pathspec import GitIgnoreSpec

        return _Ignore(((folder, GitIgnoreSpec.from_lines(lines)), *self.specs))

    def ignores(self, path: str, folder: bool) -> bool:
        for base, spec in self.specs:
            said = spec.check_file(os.path.relpath(path, base) + ("/" if folder else "")).include
            if said is not None:
                return said
        return False
