"""The rows of `llm rlm map`: questions from JSONL or CSV, or one question over many files."""

from __future__ import annotations

import csv
import glob
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from rlm_core.batch import Remote, Row

CONTEXTS = ("context", "path", "glob", "url")  # the columns that say where the text is, one in a row


class QuestionsError(Exception):
    """The questions cannot be read at all; the text is one line that says what to do."""


def from_file(name: str, shared: Any = None) -> Callable[[], Iterator[Row]]:
    """What gives the rows of a file, anew at each call; "-" is standard input, as JSONL.  A line that cannot
    be read is a row with a problem.

    JSONL, or CSV with a header, by the file's ending.  Columns: `question` (or `query`); `id`, by default
    "row 1", "row 2", …; and one of `context`, the text itself (in JSONL also lists and dicts), `path` of a
    file or folder, `glob`, `url`.  Paths are taken from the file's own folder, or from the current one.
    `shared`: the context of rows that name none."""
    opened = _stdin() if name == "-" else None
    path = Path(opened.name if opened else name)
    folder = Path() if opened else path.parent
    if not path.is_file():
        raise QuestionsError(f"{path}: there is no such file of questions")

    def rows() -> Iterator[Row]:
        assert opened is None or not opened.closed
        seen: set[str] = set()
        for number, found in enumerate(_csv(path) if path.suffix.lower() == ".csv" else _jsonl(path), 1):
            row = _row(found, f"row {number}", folder, shared)
            if row.id in seen:
                problem = f"an earlier row has the id {row.id!r} too"
                row = Row(f"row {number}", row.query, problem=problem)
            seen.add(row.id)
            yield row

    return rows


def _stdin() -> IO[bytes]:
    """What comes on standard input, in a file: the rows are read more than once, and may not fit memory."""
    file = tempfile.NamedTemporaryFile(suffix=".jsonl")  # noqa: SIM115 - is gone when nothing refers to it
    shutil.copyfileobj(sys.stdin.buffer, file)
    file.flush()
    return file


def over_files(question: str, patterns: Sequence[str], shared: Any = None) -> Callable[[], Iterator[Row]]:
    """One question over each file that is named or matched, or over each URL; its id is the path or URL."""
    if shared is not None:
        raise QuestionsError("--context goes with a file of questions; with --question, name the files only")
    found = [name for pattern in patterns for name in _matched(pattern)]
    if not found:
        raise QuestionsError(
            f"no file matches {' '.join(patterns)}" if patterns else "--question needs files to ask"
        )

    def rows() -> Iterator[Row]:
        for name in dict.fromkeys(found):
            yield Row(name, question, Remote(name) if "://" in name else Path(name))

    return rows


def _matched(pattern: str) -> list[str]:
    if "://" in pattern or Path(pattern).exists() or not glob.has_magic(pattern):
        return [pattern]  # one that is not there is an error of its own row
    return sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())


def _jsonl(path: Path) -> Iterator[dict[str, Any] | str]:
    with path.open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                found = json.loads(line.decode("utf-8-sig"))
            except ValueError as error:
                yield f"not JSON: {error}"
            else:
                yield found if isinstance(found, dict) else "not a JSON object"


def _csv(path: Path) -> Iterator[dict[str, Any] | str]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        for found in csv.DictReader(file):
            yield (
                "more cells than the header has columns"
                if None in found
                else {k: v for k, v in found.items() if v}
            )


def _row(found: dict[str, Any] | str, number: str, folder: Path, shared: Any) -> Row:
    if isinstance(found, str):
        return Row(number, problem=found)
    own = number if found.get("id") is None else found["id"]
    if not isinstance(own, str | int | float):
        return Row(number, problem='its "id" is neither a text nor a number')
    name = str(own)
    query = found.get("question", found.get("query"))
    if not isinstance(query, str) or not query.strip():
        return Row(name, problem=f'it has no "question", but {", ".join(map(str, found)) or "nothing"}')
    given = [column for column in CONTEXTS if found.get(column) is not None]
    if len(given) > 1 or (not given and shared is None):
        return Row(
            name, query, problem=f"give it one of {', '.join(CONTEXTS)}" + (", or --context" * (not given))
        )
    if not given:
        return Row(name, query, shared)
    (column,) = given
    where = found[column]
    if column == "context":
        return Row(name, query, where)
    if not isinstance(where, str):
        return Row(name, query, problem=f'its "{column}" is not a text')
    if "\0" in where:
        return Row(name, query, problem=f'its "{column}" holds a NUL character')
    return Row(name, query, Remote(where) if column == "url" else folder / where)
