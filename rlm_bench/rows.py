"""What a run leaves: one line of JSON for each sample and method, appended and flushed as it is done.

A line is whole or it is not there: what a crash cut off is the last line, and reading drops it.  All that a
report says comes from these lines."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec

SAMPLES, CONFIG = "samples.jsonl", "config.json"


class RowsError(Exception):
    """A run's folder cannot be used; one line that says what to do."""


@dataclass(frozen=True)
class Row:
    """One method on one sample.

    key        of all that decides what is done: the sample, the epoch, the method, its settings, the models
    score      strict, compat and partial; None where an error came before any answer
    status     as `rlm_bench.methods.Outcome`
    calls      by role: root, child, sub;  `tokens`: by role, of in, out, cached
    cost_usd   None where a price is not known
    wall_s     seconds of the method, ttfa_s until its first reply
    coverage   share of the context's characters that models were shown, where that is known
    trace      an RLM's steps: what was said, the code, its output, its error; and the ends of what sub-calls
               and child RLMs were asked and replied, in their step or, of other methods, in one
    """

    key: str
    run: str
    task: str
    task_version: int
    params: dict[str, Any]
    seed: int
    index: int
    epoch: int
    method: str
    method_cfg_sha: str
    model: str | None
    sub_model: str | None
    sample: str
    context_sha256: str
    context_chars: int
    est_tokens: int
    query: str
    gold: Any
    unanswerable: bool
    cluster: str
    meta: dict[str, Any]
    answer: Any
    status: str
    reason: str
    score: dict[str, float | None] | None
    error_class: str
    iterations: int
    calls: dict[str, int]
    tokens: dict[str, dict[str, int]]
    cost_usd: float | None
    wall_s: float
    ttfa_s: float | None
    truncated: bool | None
    coverage: float | None
    exec_errors: int
    syntax_errors: int
    unverified: bool | None
    trace: list[dict[str, Any]] = field(default_factory=list)

    @property
    def strict(self) -> float:
        return float((self.score or {}).get("strict") or 0.0)

    @property
    def all_tokens(self) -> int:
        return sum(used["in"] + used["out"] for used in self.tokens.values())

    def line(self) -> str:
        return as_json(asdict(self))

    @classmethod
    def read(cls, line: str) -> Row:
        """Raises ValueError for what is no row, or holds a value of another type than its field."""
        return msgspec.convert(json.loads(line), cls)


def as_json(value: Any, indent: int | None = None) -> str:
    """That can be written as UTF-8 whatever it holds: models say half of a surrogate pair too, and that
    stands as its escape."""
    told = json.dumps(value, ensure_ascii=False, default=plain, indent=indent)
    return told.encode("utf-8", "backslashreplace").decode()


def plain(value: Any) -> Any:
    """What JSON has no form for, the same in every process."""
    return sorted(value, key=str) if isinstance(value, set | frozenset) else str(value)


def key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:24]


# ---- a run's folder


class Folder:
    """`with Folder(path) as folder`: to write to; one process at a time.  Raises RowsError."""

    def __init__(self, path: Path):
        self.path = path
        self.file: BinaryIO | None = None

    def __enter__(self) -> Folder:
        self.path.mkdir(parents=True, exist_ok=True)
        self.file = (self.path / SAMPLES).open("ab+")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.file.close()
            raise RowsError(f"{self.path}: another process is writing to this run; wait for it") from None
        self._mend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.file
        self.file.close()

    def _mend(self) -> None:
        """Ends a last line that lacks no more than its end, and cuts off one that a crash left unfinished."""
        assert self.file
        self.file.seek(0)
        there = self.file.read()
        start = there.rfind(b"\n") + 1
        if is_row(there[start:]):
            self.file.write(b"\n")
        else:
            self.file.truncate(start)

    def append(self, row: Row) -> None:
        assert self.file
        self.file.write(f"{row.line()}\n".encode())
        self.file.flush()
        os.fsync(self.file.fileno())

    def configure(self, config: dict[str, Any]) -> None:
        """Writes the run's config; beside, so that it is there before the first row."""
        part = self.path / f"{CONFIG}.part"
        part.write_text(as_json(config, indent=2) + "\n", "utf-8")
        part.replace(self.path / CONFIG)


def new(path: Path) -> Path:
    """A folder of that name, made; or where it is there already, of that name and a number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place, number = path, 1
    while True:
        try:
            place.mkdir()
            return place
        except FileExistsError:
            number += 1
            place = path.with_name(f"{path.name}-{number}")


def config(path: Path) -> dict[str, Any]:
    """Raises RowsError."""
    try:
        told = json.loads((path / CONFIG).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RowsError(f"{path} is no folder of a run: its {CONFIG} cannot be read ({error})") from None
    if not isinstance(told, dict) or not isinstance(told.get("given"), dict):
        raise RowsError(f"{path} is no folder of a run: its {CONFIG} does not hold the options of one")
    return told


def read(path: Path) -> list[Row]:
    """The latest rows of a run's folder, or of a .jsonl or .jsonl.gz file.  Raises RowsError."""
    return latest(written(path))


def latest(rows: Iterable[Row]) -> list[Row]:
    """Of rows of one key and text the last counts, but no error does once there is an answer: a sample may
    have been tried again after an error, and a run may be read beside its copy."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        same = row.key, row.context_sha256
        if row.status == "error" and same in found and found[same].status != "error":
            continue
        found.pop(same, None)
        found[same] = row
    return list(found.values())


def written(path: Path) -> Iterator[Row]:
    """All rows of a run, those of tries that failed too.  Raises RowsError."""
    files = [path]
    if path.is_dir():
        files = [file for file in (path / SAMPLES, path / f"{SAMPLES}.gz") if file.exists()]
    if not files or not files[0].exists():
        raise RowsError(f"{path}: there is no {SAMPLES} of a run")
    for file in files:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            try:
                yield from _parsed(lines, file)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise RowsError(f"{file} is damaged or no gzip file: copy it again ({error})") from None


def _parsed(lines: Iterable[bytes], file: Path) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        try:
            yield Row.read(line.decode())
        except ValueError as error:
            if not line.endswith(b"\n"):
                return  # cut off by a crash, or still being written
            why = getattr(error, "msg", error)  # of JSON, without another number of the line
            raise RowsError(
                f"{file}, line {number}: no row of a run ({why}). Delete this line; llm rlm bench run "
                f"--resume makes its row again"
            ) from None


def is_row(line: bytes) -> bool:
    try:
        return bool(Row.read(line.decode()))
    except ValueError:
        return False
