"""The file of answers of `llm rlm map`: JSONL that only ever grows by whole lines."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rlm_core.batch import Outcome

READ = {"question", "status", "usage", "cost", "run"}  # of a row, by later starts
WORDS = {
    "answered": "answered",
    "not_found": "not found",
    "limit": "ended by a limit",
    "error": "errors",
    "cancelled": "cancelled",
}


class AnswersError(Exception):
    """The file cannot be written, or not by this process; the text is one line that says what to do."""


class Answers:
    """The rows that are answered, and where the next go.

    rows   those in the file, by id
    batch  names this batch: as long as the file is there, the same
    expected
           how many rows there will be; set by whoever knows

    A row is written at once and wholly: what does not fit the disk is taken back, and what a killed process
    left half written goes when the file is opened next.  `again`: rows that ended in an error are dropped,
    to be asked again.  The file beside it, its name with `.batch` behind, names the batch and lets one
    process at a time write.  Where nothing is begun, nothing comes to be and nothing is dropped."""

    def __init__(self, path: Path, again: bool = False):
        if path.exists() and not path.is_file():
            raise AnswersError(f"{path} is no file of answers, and could not be read again; give -o FILE")
        self.path = path
        self.expected = 0
        self.rows: dict[str, dict[str, Any]] = {}
        self._again = again
        self._is_new = self._begun = False
        self._file: int | None = None
        self._beside = path.with_name(path.name + ".batch")
        try:
            self._lock = self._locked()
            try:
                self._open()
            except BaseException:
                self.__exit__()
                raise
        except OSError as error:
            raise AnswersError(f"{path}: {error.strerror or error}") from error

    def _locked(self) -> int:
        lock = os.open(self._beside, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise AnswersError(
                f"{self.path}: another process is writing its answers there; wait for it"
            ) from None
        return lock

    def _open(self) -> None:
        is_there = self.path.exists()
        self.batch = os.read(self._lock, 100).decode() if is_there else ""
        self._is_new = not self.batch
        if self._is_new:
            self.batch = uuid.uuid4().hex
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, self.batch.encode(), 0)
        if is_there:
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND)
            self.rows = self._read()
            if self._again:
                self.rows = {name: row for name, row in self.rows.items() if row["status"] != "error"}

    def begin(self) -> None:
        """Before the first row is.  Raises AnswersError."""
        if self._begun:
            return
        try:
            if self._file is None:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            if self._again:
                self._drop_errors()
        except OSError as error:
            raise AnswersError(f"{self.path}: {error.strerror or error}") from error
        self._begun = True

    def _read(self) -> dict[str, dict[str, Any]]:
        rows = {}
        with open(self.path, "rb") as file:
            whole = 0
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                try:
                    row = json.loads(line)
                    rows[row["id"]] = row
                    if not row.keys() >= READ:
                        raise KeyError
                except (ValueError, TypeError, KeyError):
                    raise AnswersError(
                        f"{self.path}: line {number} is no answer of llm rlm map; give another -o FILE"
                    ) from None
        os.truncate(self.path, whole)
        return rows

    def _drop_errors(self) -> None:
        aside = self.path.with_name(self.path.name + ".new")
        try:
            aside.write_bytes(b"".join(map(_line, self.rows.values())))
            os.replace(aside, self.path)
        finally:
            aside.unlink(missing_ok=True)
        assert self._file is not None
        os.close(self._file)
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND)

    def add(self, question: str, outcome: Outcome) -> dict[str, Any]:
        """Writes one row, and gives it.  Raises AnswersError, with nothing written."""
        told = asdict(outcome)
        del told["unpaid"], told["failure"]
        row = {"id": told.pop("id"), "question": question, **told}
        line = _line(row)
        assert self._file is not None, "it is not begun"
        before = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) != len(line):
                raise OSError("the disk is full")
        except OSError as error:
            os.ftruncate(self._file, before)
            why = error.strerror or error
            raise AnswersError(f"{self.path}: {why} (free some space)") from error
        self.rows[outcome.id] = row
        return row

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        """The file beside stays while there is something to go on with: rows that are not there, or ended
        in an error and have a run."""
        if self._file is not None:
            os.close(self._file)
        open_ones = any(row["status"] == "error" and row["run"] for row in self.rows.values())
        is_done = len(self.rows) == self.expected and not open_ones
        if is_done or (self._is_new and not self._begun):
            self._beside.unlink(missing_ok=True)
        os.close(self._lock)


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace") + b"\n"


@dataclass
class Told:
    """What the rows of a file of answers come to."""

    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    cost: float = 0.0
    priced: int = 0
    unpriced: int = 0  # rows with calls whose cost is not known

    def add(self, row: dict[str, Any]) -> None:
        self.rows += 1
        self.statuses[row["status"]] += 1
        self.tokens += row["usage"].get("input", 0) + row["usage"].get("output", 0)
        self.cost += row["cost"] or 0.0
        self.priced += row["cost"] is not None
        self.unpriced += bool(row["usage"].get("calls")) and row["cost"] is None

    def summary(self) -> str:
        counts = [
            f"{self.statuses[status]:,} {name}" for status, name in WORDS.items() if self.statuses[status]
        ]
        return f"{', '.join((f'{self.rows:,} rows', *counts))}; {self.tokens:,} tokens, {self.dollars()}"

    def dollars(self) -> str:
        if not self.priced:
            return "cost not known"
        unknown = f" and what {self.unpriced:,} rows cost is not known" if self.unpriced else ""
        return f"${self.cost:,.4f}{unknown}"
