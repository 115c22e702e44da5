"""Files and folders to named texts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class DocumentError(ValueError):
    """A file or bytes cannot be read as text; the text is one line that names it and says what to do."""


def load(path: str | os.PathLike[str]) -> Any:
    """The text of a file, or {name: text} of a folder, in sorted order."""
    path = Path(path)
    try:
        if path.is_dir():
            files = sorted(item for item in path.rglob("*") if item.is_file())
            return {item.relative_to(path).as_posix(): decode(item.read_bytes(), str(item)) for item in files}
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise DocumentError(f"{path}: {error.strerror}") from error


def decode(raw: bytes, where: str) -> str:
    """bytes to text."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{where} is not UTF-8 text (byte {error.start})") from error
