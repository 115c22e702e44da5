"""The journal: every run's events and answers, written as they happen to one SQLite file.

Four tables (docs/JOURNAL.md has queries worth having):

    runs      one row a run: when, by whom, with what, and what it came to
    contexts  the inputs of runs, compressed, once by hash
    events    what happened, in order; prompts of sub-calls as pieces of the inputs (see `rlm_core.pieces`)
    answers   what came of calls of LMs and tools, by (run, path, number, slot): what a resume does not ask
              again, but for those that failed

A row is committed before the run goes on, so a killed process loses nothing that was answered.  Where the
file cannot be written the run goes on unrecorded, and says so once.  Keys of APIs are never given to this
module.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import sys
import threading
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from rlm_core import events, strategies
from rlm_core.context import Context
from rlm_core.contract import Tool
from rlm_core.events import Ended, Event, Resumed, Started, SubCalled
from rlm_core.limits import Budget, Limits
from rlm_core.lms import Completion
from rlm_core.loop import Result, Run, Task
from rlm_core.pieces import Piece, Pieces
from rlm_core.requests import Ask, Failed, Query, Reply, Request, UseTool
from rlm_core.sandbox import values
from rlm_core.tree import Key

VERSION = 2
SCHEMA = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, started REAL NOT NULL, ended REAL, paused REAL NOT NULL DEFAULT 0, pid INTEGER,
    source TEXT NOT NULL, model TEXT NOT NULL, sub_model TEXT NOT NULL, query TEXT NOT NULL,
    context TEXT, chars INTEGER NOT NULL, setup TEXT NOT NULL,
    status TEXT, answer TEXT, reason TEXT, unverified INTEGER,
    steps INTEGER, calls INTEGER, input INTEGER, output INTEGER, cached INTEGER, cost REAL
);
CREATE INDEX runs_started ON runs (started);
CREATE TABLE contexts (hash TEXT PRIMARY KEY, size INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE events (
    run TEXT NOT NULL, path TEXT NOT NULL, number INTEGER NOT NULL, slot INTEGER NOT NULL, type TEXT NOT NULL,
    at REAL NOT NULL, data TEXT NOT NULL
);
CREATE UNIQUE INDEX events_place ON events (run, path, number, slot, type);
CREATE TABLE answers (
    run TEXT NOT NULL, path TEXT NOT NULL, number INTEGER NOT NULL, slot INTEGER NOT NULL,
    asked TEXT NOT NULL, kind TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (run, path, number, slot)
) WITHOUT ROWID;
"""
# A run that goes on tells again what happened before.  Only what came out otherwise takes its place, so that
# times stay those of the calls, and what failed at first is not what is shown in the end.
TELL = """
INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET at = excluded.at, data = excluded.data
WHERE json_remove(data, '$.seconds', '$.done') <> json_remove(excluded.data, '$.seconds', '$.done')
"""
MIGRATIONS: dict[int, str] = {
    1: "ALTER TABLE runs ADD COLUMN paused REAL NOT NULL DEFAULT 0",
}
"""Version -> the statements that lead from it to the next."""

KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Reply, Completion, Failed)}
"""Of answers; anything else, what tools return, is "value"."""

QUOTING = {"SubCalled": "prompt", "Started": "text"}
"""Fields of events that may quote much of the inputs; they are kept as pieces."""

LITERAL = 4_000  # characters of a child's context that are kept beside what it quotes

Answers = dict[tuple[str, int, int], sqlite3.Row]
"""Rows of `answers` by (path, number, slot)."""

EVENT_TYPES = {
    kind.__name__: kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind not in (Event, events.Chunk)
}


class JournalError(Exception):
    """The journal, or a run in it, cannot be used; the text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class About:
    """What a run is, beside its inputs.  `setup`: all that a resume needs to make it again, as plain JSON."""

    source: str  # "llm", "python" or "dspy"
    model: str
    sub_model: str
    query: str
    setup: dict[str, Any] = field(default_factory=dict)


def state(row: Mapping[str, Any]) -> str:
    """The status of a row of `runs`; "running" before it has one, "broken off" where it will get none."""
    if row["status"]:
        return str(row["status"])
    return "running" if row["ended"] is None and _alive(row["pid"]) else "broken off"


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def about(row: Mapping[str, Any]) -> About:
    """Of a row of `runs`."""
    return About(row["source"], row["model"], row["sub_model"], row["query"], json.loads(row["setup"]))


def again(about: About, inputs: Mapping[str, Any], tools: tuple[Tool, ...] = (), **task: Any) -> Run:
    """A recorded run, from its beginning.  `task`: more fields of its `Task`."""
    setup = about.setup
    return Run(
        Task(about.query, {name: Context.of(value) for name, value in inputs.items()}, **task),
        Budget(Limits(**setup["limits"])),
        strategies.from_dict(setup["strategy"]),
        tools,
        setup["window"],
        setup["sub_window"],
    )


def recalled(answers: Answers, key: Key, request: Request[Any]) -> Any:
    """What came of this request, `Failed` where the call failed, or None where it was not made."""
    row = answers.get(_place(key))
    if row is None or row["asked"] != _asked(request):
        return None
    if row["kind"] == "value":
        return values.Decoder(Any).decode(row["value"])
    return msgspec.convert(json.loads(row["value"]), KINDS[row["kind"]])


def setup_of(run: Run) -> dict[str, Any]:
    """What `Recorder.again` needs to make a run again, as plain JSON."""
    return {
        "limits": asdict(run.limits),
        "strategy": strategies.to_dict(run.strategy),
        "window": run.window,
        "sub_window": run.sub_window,
    }


class Journal:
    """One file.  `keep_context` False keeps only the hash of inputs: such runs can be looked at, and not
    resumed."""

    def __init__(self, path: Path, keep_context: bool = True):
        self.path = path
        self.keep_context = keep_context

    def begin(self, about: About, inputs: Mapping[str, Any], chars: int, run: str = "") -> Recorder:
        """A recorder for a new run.  It never raises for a file that cannot be written.

        run  an id of the caller's own.  Where there is such a run already, the recorder recalls what it was
             answered"""
        try:
            known = self.runs(1, "id = ?", run) if run else []
        except JournalError:  # the recorder finds that too, and says so
            known = []
        return Recorder(self, run or _new_id(), inputs, about, chars, known[0] if known else None)

    def resume(self, run: str, anyway: bool = False) -> Recorder:
        """A recorder that recalls what this run was answered.  Raises JournalError, also where a process is
        still at the run, unless `anyway`."""
        row = self.run(run)
        if not anyway and state(row) == "running":
            raise JournalError(f"run {row['id']} is still running, in process {row['pid']}")
        return Recorder(self, row["id"], self.inputs(row), about(row), row["chars"], row)

    # ---- reading

    def runs(self, limit: int = 20, where: str = "1", *parameters: Any) -> list[dict[str, Any]]:
        """Rows of `runs`, newest first."""
        query = f"SELECT * FROM runs WHERE {where} ORDER BY started DESC, id DESC LIMIT ?"
        with closing(self.connect()) as db:
            return [dict(row) for row in db.execute(query, (*parameters, limit))]

    def run(self, run: str) -> dict[str, Any]:
        """One row of `runs`, by its id or a beginning of it that no other has; "" is the newest.  Raises
        JournalError."""
        found = self.runs(2, "id LIKE ? || '%'", run) if run else self.runs(1)
        if not found:
            raise JournalError(f"no run {run!r} in {self.path}; `llm rlm runs` lists them")
        if len(found) > 1 and found[0]["id"] != run:
            raise JournalError(f"several runs begin with {run!r}; give more of the id")
        return found[0]

    def inputs(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of a run, as they were given.  Raises JournalError where only their hash was kept."""
        with closing(self.connect()) as db:
            kept = db.execute("SELECT data FROM contexts WHERE hash = ?", (row["context"],)).fetchone()
        if kept is None:
            raise JournalError(f"the context of run {row['id']} was not kept, so it cannot be made again")
        inputs: dict[str, Any] = values.Decoder(Any).decode(zlib.decompress(kept["data"]))
        return inputs

    def answers(self, run: str) -> Answers:
        """What came of the calls of a run, given by its whole id."""
        with closing(self.connect()) as db:
            rows = db.execute("SELECT * FROM answers WHERE run = ?", (run,))
            return {(row["path"], row["number"], row["slot"]): row for row in rows}

    def outlived(self, run: str) -> set[tuple[str, int, int]]:
        """The places of calls that failed, and that the run, or the one that started it, went on after.  They
        are part of what happened; a call that failed last is what a resume tries again."""
        failures = "SELECT path, number, slot FROM answers WHERE run = ? AND kind = 'Failed'"
        went_on = """
            SELECT rowid, path, number, slot, type FROM events
            WHERE run = ? AND type NOT IN ('Ended', 'Resumed', 'Noted') ORDER BY rowid"""
        with closing(self.connect()) as db:
            failed = [tuple(row) for row in db.execute(failures, (run,))]
            told = [tuple(row) for row in db.execute(went_on, (run,))] if failed else []
        latest: dict[str, tuple[int, int]] = {}  # of each path: number and rowid of its last event
        when = {}
        for rowid, path, number, slot, _ in told:
            latest[path] = (max(number, latest.get(path, (0, 0))[0]), rowid)
            when[path, number, slot] = rowid
        return {
            place
            for place in failed
            if latest.get(place[0], (0, 0))[0] > place[1]
            or any(latest[above][1] > when.get(place, sys.maxsize) for above in _above(place[0]))
        }

    def events(self, run: str, quoted: int | None = None) -> Iterator[tuple[float, int, Event]]:
        """(time, number, event) of a run, in order.  Prompts are whole where the inputs were kept, or hold
        `quoted` characters of the head and of the tail of each long quotation of them."""
        row = self.run(run)
        try:
            pieces = Pieces(self.inputs(row))
        except JournalError:
            pieces = None
        query = "SELECT at, number, type, data FROM events WHERE run = ? ORDER BY rowid"
        with closing(self.connect()) as db:
            for at, number, kind, data in db.execute(query, (row["id"],)):
                fields = json.loads(data)
                if (name := QUOTING.get(kind)) and name in fields:
                    fields[name] = _joined(fields[name], pieces, quoted)
                yield at, number, msgspec.convert(fields, EVENT_TYPES[kind])

    def quotations(self, run: str, kind: str = "SubCalled") -> dict[tuple[str, int, int], list[Piece]]:
        """What sub-calls, or children ("Started"), were given, as pieces, by (path, number, slot)."""
        query = "SELECT path, number, slot, data FROM events WHERE run = ? AND type = ?"
        with closing(self.connect()) as db:
            return {
                (path, number, slot): [
                    piece if isinstance(piece, str) else tuple(piece)
                    for piece in json.loads(data).get(QUOTING[kind], ())
                ]
                for path, number, slot, data in db.execute(query, (self.run(run)["id"], kind))
            }

    def spent(self, run: str) -> dict[str, Any]:
        """Steps, calls, tokens and cost of a run so far, and when it was last heard of, as its events tell
        them."""
        query = """
            SELECT sum(type = 'Stepped' AND path = '') AS steps,
                count(json_extract(data, '$.usage')) AS calls,
                sum(json_extract(data, '$.usage.input')) AS input,
                sum(json_extract(data, '$.usage.output')) AS output,
                sum(json_extract(data, '$.usage.cached')) AS cached,
                sum(json_extract(data, '$.usage.cost')) AS cost,
                max(at) AS at
            FROM events WHERE run = ?"""
        with closing(self.connect()) as db:
            return dict(db.execute(query, (run,)).fetchone())

    def remove(self, run: str) -> None:
        """Forgets a run, and its context where no other run has it."""
        row = self.run(run)
        with closing(self.connect()) as db:
            db.execute("BEGIN IMMEDIATE")
            for table, column in (("events", "run"), ("answers", "run"), ("runs", "id")):
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", (row["id"],))
            db.execute(
                "DELETE FROM contexts WHERE hash NOT IN (SELECT context FROM runs WHERE context IS NOT NULL)"
            )
            db.execute("COMMIT")

    def take_in(self, file: Path) -> None:
        """Adds the runs of another journal's file.  Raises JournalError."""
        try:
            with closing(self.connect()) as db:
                db.execute("ATTACH DATABASE ? AS other", (str(file),))
                db.execute("BEGIN IMMEDIATE")
                for table in ("runs", "contexts", "events", "answers"):
                    order = " ORDER BY rowid" if table == "events" else ""
                    db.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM other.{table}{order}")
                db.execute("COMMIT")
        except sqlite3.Error as error:
            raise JournalError(f"{self.path}: {error}") from error

    # ---- the file

    def connect(self) -> sqlite3.Connection:
        """A connection to the file, made and migrated where need be.  Raises JournalError."""
        try:
            if not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))  # contexts may be private
            db = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA busy_timeout = 10000")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                self._migrate(db)
            db.execute("PRAGMA synchronous = NORMAL")  # with WAL: a killed process loses nothing
            return db
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"{self.path}: {error}") from error

    def _migrate(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]  # another process may have been faster
        if version > VERSION:
            db.execute("ROLLBACK")
            raise JournalError(f"{self.path}: written by a newer version of this program; upgrade llm-rlm")
        statements = SCHEMA if version == 0 else ";".join(MIGRATIONS[old] for old in range(version, VERSION))
        if version < VERSION:
            for statement in statements.split(";"):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")


class Recorder:
    """Writes one run, and recalls what it was answered before: the `Record` of its tree.  Answers that come
    once it is closed, of calls that were in flight, are written all the same.

    row      of a run that goes on
    problem  a line for the user, once something could not be written: nothing more is then"""

    def __init__(
        self,
        journal: Journal,
        run: str,
        inputs: Mapping[str, Any],
        about: About,
        chars: int,
        row: Mapping[str, Any] | None = None,
    ):
        self.run, self.inputs, self.about = run, inputs, about
        self.problem = ""
        self._journal = journal
        self._pieces = Pieces(inputs)
        self._answers: Answers = {}
        self._outlived: set[tuple[str, int, int]] = set()
        self._keeping: threading.Thread | None = None
        self._places: Counter[tuple[str, int, str]] = Counter()
        self._db: sqlite3.Connection | None = None  # None once it is closed
        self._lock = threading.RLock()
        try:
            self._db = journal.connect()
        except JournalError as error:
            self._fail(error)
            return
        if row:
            self._answers, self._outlived = journal.answers(run), journal.outlived(run)
            heard = row["ended"] or journal.spent(run)["at"] or row["started"]
            self._write(
                "UPDATE runs SET ended = NULL, status = NULL, pid = ?, paused = paused + ? WHERE id = ?",
                os.getpid(),
                max(0.0, time.time() - heard),
                run,
            )
            (times,) = self._db.execute(
                "SELECT count(*) FROM events WHERE run = ? AND type = 'Resumed'", (run,)
            ).fetchone()
            self.tell(Resumed(()), times)
        else:
            self._write(
                "INSERT INTO runs (id, started, pid, source, model, sub_model, query, chars, setup)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                run,
                time.time(),
                os.getpid(),
                about.source,
                about.model,
                about.sub_model,
                about.query,
                chars,
                json.dumps(about.setup, default=str),
            )
            self._keeping = threading.Thread(target=self._keep_inputs, name="rlm-journal", daemon=True)
            self._keeping.start()  # compressing a long text takes seconds: beside the first LM call

    def again(self, tools: tuple[Tool, ...] = (), **task: Any) -> Run:
        """The recorded run, from its beginning."""
        return again(self.about, self.inputs, tools, **task)

    # ---- Record

    def recall(self, key: Key, request: Request[Any]) -> Any:
        answer = recalled(self._answers, key, request)
        again = isinstance(answer, Failed) and _place(key) not in self._outlived
        return None if again else answer

    def keep(self, key: Key, request: Request[Any], value: Any) -> None:
        if isinstance(value, (Reply, Completion, Failed)):
            kind, data = type(value).__name__, json.dumps(msgspec.to_builtins(value)).encode()
        else:
            try:
                kind, data = "value", values.encode(lambda packer: packer.pack(value))
            except TypeError:  # it cannot reach the code either
                return
        self._write(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
            self.run,
            *_place(key),
            _asked(request),
            kind,
            data,
        )

    def tell(self, event: Event, number: int) -> None:
        if isinstance(event, Ended):
            event = replace(event, answer=_plain(event.answer))
        data = msgspec.to_builtins(event, enc_hook=str)
        path, kind = _path(event.path), type(event).__name__
        if name := QUOTING.get(kind):
            data[name] = self._pieces.cut(data[name])
        if isinstance(event, Started):
            data["text"] = [_unless_long(piece) for piece in data["text"]]
        if isinstance(event, SubCalled):
            slot = event.slot
        else:  # several of one type may come at one request
            slot = self._places[path, number, kind]
            self._places[path, number, kind] += 1
        self._write(TELL, self.run, path, number, slot, kind, time.time(), json.dumps(data))

    # ---- the end

    def finish(self, result: Result) -> None:
        """What the run came to; once more where answers came after its end.  A process that is no longer the
        one at the run has no say."""
        usage = result.usage
        self._write(
            "UPDATE runs SET ended = coalesce(ended, ?), status = ?, answer = ?, reason = ?, unverified = ?,"
            " steps = ?, calls = ?, input = ?, output = ?, cached = ?, cost = ? WHERE id = ? AND pid = ?",
            time.time(),
            result.status,
            json.dumps(_plain(result.answer), default=str),
            result.reason,
            result.unverified,
            len(result.trajectory),
            usage.calls,
            usage.input,
            usage.output,
            usage.cached,
            usage.cost,
            self.run,
            os.getpid(),
        )

    def close(self) -> None:
        """Waits until the inputs are kept, and closes the file."""
        if self._keeping:
            self._keeping.join()
        with self._lock:
            if self._db:
                self._write("UPDATE runs SET ended = ? WHERE id = ? AND ended IS NULL", time.time(), self.run)
                self._db.close()
                self._db = None

    def _keep_inputs(self) -> None:
        data = values.encode(lambda packer: packer.pack(dict(self.inputs)))
        digest = hashlib.sha256(data).hexdigest()
        try:
            with closing(self._journal.connect()) as db:
                known = db.execute("SELECT 1 FROM contexts WHERE hash = ?", (digest,)).fetchone()
                if self._journal.keep_context and not known:
                    packed = zlib.compress(data, 1)
                    db.execute("INSERT OR IGNORE INTO contexts VALUES (?, ?, ?)", (digest, len(data), packed))
                db.execute("UPDATE runs SET context = ? WHERE id = ?", (digest, self.run))
        except (sqlite3.Error, JournalError) as error:
            self._fail(error)

    def _write(self, statement: str, *parameters: Any) -> None:
        if self.problem or not self._journal.path.exists():
            return
        try:
            with self._lock, self._connection() as db:
                db.execute(statement, parameters)
        except UnicodeEncodeError:  # a half of a surrogate pair
            self._write(statement, *map(_encodable, parameters))
        except (sqlite3.Error, JournalError) as error:
            self._fail(error)

    def _connection(self) -> AbstractContextManager[sqlite3.Connection]:
        return nullcontext(self._db) if self._db else closing(self._journal.connect())

    def _fail(self, error: Exception) -> None:
        where = "" if isinstance(error, JournalError) else f"{self._journal.path}: "
        self.problem = self.problem or f"this run is not, or not wholly, in the journal: {where}{error}"


def _unless_long(piece: Piece) -> Piece:
    """What a child was given beside quotations may be as long as it likes, and is made again by a resume."""
    return ("", 0, len(piece)) if isinstance(piece, str) and len(piece) > LITERAL else piece


def _encodable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """An answer as JSON can hold it."""
    try:
        json.dumps(value, default=str)
    except (TypeError, ValueError):
        return repr(value)
    return value


def _new_id() -> str:
    """Ids sort by time and stay short to type: seconds in base 16, and eight random digits."""
    return f"{int(time.time()):08x}{uuid.uuid4().hex[:8]}"


def _path(path: events.Path) -> str:
    return ".".join(map(str, path))


def _above(path: str) -> Iterator[str]:
    """The runs that started the one of this path."""
    while path:
        path = path.rpartition(".")[0]
        yield path


def _place(key: Key) -> tuple[str, int, int]:
    path, number, slot = key
    return _path(path), number, slot or 0


def _asked(request: Request[Any]) -> str:
    """What tells that a request is the one that was answered.  A root LM's is told by its place, as its
    prompt says how much time is left, and by whether it is the last that the run's limit allows."""
    if isinstance(request, Query):
        asked = f"{request.model}\n{request.prompts[0]}"
    elif isinstance(request, UseTool):
        asked = repr((request.name, request.args, request.kwargs))
    else:
        return "last" if isinstance(request, Ask) and request.view.closing else ""
    return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _joined(pieces: list[Any], texts: Pieces | None, quoted: int | None) -> str:
    most = sys.maxsize if quoted is None else quoted
    return "".join(piece if isinstance(piece, str) else _told(piece, texts, most) for piece in pieces)


def _told(piece: list[Any], texts: Pieces | None, quoted: int) -> str:
    """A quotation of the inputs, its middle left out."""
    name, start, length = piece
    if not name:
        return f"[... {length:,} characters ...]"
    if texts is None or not quoted:
        return f"[{length:,} characters of {name} from {start:,} on]"
    if length <= 2 * quoted:
        return texts.join([(name, start, length)])
    head, tail = (name, start, quoted), (name, start + length - quoted, quoted)
    span = f"{name}, {start:,} to {start + length:,}"
    return texts.join([head, f"\n[... {length - 2 * quoted:,} more characters of {span} ...]\n", tail])
