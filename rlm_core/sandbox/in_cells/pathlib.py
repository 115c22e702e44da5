"""Paths as text: there are no files."""

from __future__ import annotations

import fnmatch
import os.path
from collections.abc import Iterator
from typing import Any, NoReturn


class PurePosixPath:
    def __init__(self, *parts: Any) -> None:
        joined = os.path.join(*(str(part) for part in parts)) if parts else ""
        names = [name for name in joined.split("/") if name not in ("", ".")]
        self.root = "/" if joined.startswith("/") else ""
        self.parts = (*([self.root] if self.root else []), *names)
        self._text = self.root + "/".join(names) or "."

    def __str__(self) -> str:
        return self._text

    as_posix = __str__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PurePosixPath) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __lt__(self, other: Any) -> bool:
        return bool(self.parts < other.parts)

    def __truediv__(self, other: Any) -> Any:
        return type(self)(self._text, other)

    def __rtruediv__(self, other: Any) -> Any:
        return type(self)(other, self._text)

    def joinpath(self, *others: Any) -> Any:
        return type(self)(self._text, *others)

    @property
    def name(self) -> str:
        return "" if self.parts in ((), ("/",)) else self.parts[-1]

    @property
    def suffix(self) -> str:
        return os.path.splitext(self.name)[1]

    @property
    def suffixes(self) -> list[str]:
        return ["." + part for part in self.name.lstrip(".").split(".")[1:]]

    @property
    def stem(self) -> str:
        return os.path.splitext(self.name)[0]

    @property
    def parent(self) -> Any:
        return self if self.parts in ((), ("/",)) else type(self)(*self.parts[:-1])

    @property
    def parents(self) -> list[Any]:
        return list(self._ancestors())

    def _ancestors(self) -> Iterator[Any]:
        path = self
        while (above := path.parent) != path:
            yield above
            path = above

    def is_absolute(self) -> bool:
        return bool(self.root)

    def with_name(self, name: str) -> Any:
        return self.parent / name

    def with_suffix(self, suffix: str) -> Any:
        return self.parent / (self.stem + suffix)

    def with_stem(self, stem: str) -> Any:
        return self.parent / (stem + self.suffix)

    def is_relative_to(self, other: Any) -> bool:
        above = type(self)(other).parts
        return self.parts[: len(above)] == above

    def relative_to(self, other: Any) -> Any:
        if not self.is_relative_to(other):
            raise ValueError(f"{self._text!r} is not in the subpath of {str(other)!r}")
        return type(self)(*self.parts[len(type(self)(other).parts) :])

    def match(self, pattern: str) -> bool:
        wanted = PurePosixPath(pattern).parts
        found = self.parts[-len(wanted) :]
        return len(found) == len(wanted) and all(map(fnmatch.fnmatchcase, found, wanted))

    def _no_files(self, *_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("there are no files here, the input is in `context`")

    exists = is_file = is_dir = stat = open = read_text = read_bytes = write_text = _no_files
    glob = rglob = iterdir = resolve = absolute = mkdir = unlink = _no_files


PurePath = Path = PosixPath = PurePosixPath
