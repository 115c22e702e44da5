"""Folders of the user's own that samples are made from, named with a hash of what is in them: FOLDER@SHA256.

So answers to other texts are never taken for answers to these.  A folder may also be named without."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

Files = Callable[[Path], Iterable[Path]]
"""The files of a folder that samples are made from, in their order; ValueError where there are none."""


def reference(folder: Path, files: Files) -> str:
    digest = hashlib.sha256()
    for file in files(folder):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return f"{folder.resolve()}@{digest.hexdigest()[:16]}"


def opened(name: str, files: Files) -> Path:
    """The folder of that name.  ValueError where it is not as it was when it was named with a hash."""
    if not re.search("@[0-9a-f]{16}$", name):
        return Path(name)
    folder = Path(name.rpartition("@")[0])
    if reference(folder, files) != name:
        raise ValueError(f"{folder} was changed since this run began: start another for its new texts")
    return folder
