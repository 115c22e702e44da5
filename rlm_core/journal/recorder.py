"""Writing one run down."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import time
import zlib
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

from rlm_core.contract import Tool
from rlm_core.events import Event, SubCalled
from rlm_core.journal.file import JournalError, changing, connect
from rlm_core.journal.going_on import GoingOn
from rlm_core.journal.made import About, again
from rlm_core.journal.rows import answer_of, asked_of, data_of, encodable, path_of, place_of, plain, recalled
from rlm_core.loop import Result, Run
from rlm_core.pieces import Pieces
from rlm_core.requests import Request
from rlm_core.sandbox import values
from rlm_core.tree import Key

# A run that goes on tells again what happened before.  Only what came out otherwise takes its place, so that
# times stay those of the calls, and what failed at first is not what is shown in the end.
TELL = """
INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET at = excluded.at, data = excluded.data
WHERE json_remove(data, '$.seconds', '$.done') <> json_remove(excluded.data, '$.seconds', '$.done')
"""


class Recorder:
    """Writes one run, and recalls what it was answered before: the `Record` of its tree.  Answers that come
    once it is closed, of calls that were in flight, are written all the same.

    going_on      of a run that goes on
    keep_context  False: only the hash of the inputs is written
    problem       a line for the user, once something could not be written: nothing more is then
    seconds       how long processes were at the run before"""

    def __init__(
        self,
        path: Path,
        run: str,
        inputs: Mapping[str, Any],
        about: About,
        chars: int,
        going_on: GoingOn | None = None,
        keep_context: bool = True,
    ):
        self.run, self.inputs, self.about = run, inputs, about
        self.problem = ""
        self.seconds = going_on.seconds if going_on else 0.0
        self._path, self._keep_context = path, keep_context
        self._pieces = Pieces(inputs)
        self._answers = going_on.answers if going_on else {}
        self._keeping: threading.Thread | None = None
        self._places: Counter[tuple[str, int, str]] = Counter()
        self._db: sqlite3.Connection | None = None  # None once it is closed
        self._lock = threading.RLock()
        try:
            self._db = connect(path)
        except JournalError as error:
            self.fail(error)
            return
        if going_on:
            return
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

    def again(self, tools: tuple[Tool, ...], **task: Any) -> Run:
        """The recorded run, from its beginning."""
        return again(self.about, self.inputs, tools, self.seconds, **task)

    # ---- Record

    def recall(self, key: Key, request: Request[Any]) -> Any:
        return recalled(self._answers, key, request)

    def keep(self, key: Key, request: Request[Any], value: Any) -> None:
        if answer := answer_of(value):
            self._write(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                self.run,
                *place_of(key),
                asked_of(request),
                *answer,
            )

    def tell(self, event: Event, number: int) -> None:
        path, kind = path_of(event.path), type(event).__name__
        if isinstance(event, SubCalled):
            slot = event.slot
        else:  # several of one type may come at one request
            slot = self._places[path, number, kind]
            self._places[path, number, kind] += 1
        self._write(TELL, self.run, path, number, slot, kind, time.time(), data_of(event, self._pieces))

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
            json.dumps(plain(result.answer), default=str),
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

    def fail(self, error: Exception) -> None:
        """From now on nothing is written."""
        where = "" if isinstance(error, JournalError) else f"{self._path}: "
        self.problem = self.problem or f"this run is not, or not wholly, in the journal: {where}{error}"

    def _keep_inputs(self) -> None:
        data = values.encode(lambda packer: packer.pack(dict(self.inputs)))
        digest = hashlib.sha256(data).hexdigest()
        try:
            with changing(self._path) as db:
                known = db.execute("SELECT 1 FROM contexts WHERE hash = ?", (digest,)).fetchone()
                if self._keep_context and not known:
                    packed = zlib.compress(data, 1)
                    db.execute("INSERT OR IGNORE INTO contexts VALUES (?, ?, ?)", (digest, len(data), packed))
                db.execute("UPDATE runs SET context = ? WHERE id = ?", (digest, self.run))
        except JournalError as error:
            self.fail(error)

    def _write(self, statement: str, *parameters: Any) -> None:
        if self.problem or not self._path.exists():  # deleted under way: the user wants it forgotten
            return
        try:
            with self._lock, self._connection() as db:
                db.execute(statement, parameters)
        except UnicodeEncodeError:
            self._write(statement, *map(encodable, parameters))
        except (sqlite3.Error, JournalError) as error:
            self.fail(error)

    def _connection(self) -> AbstractContextManager[sqlite3.Connection]:
        return nullcontext(self._db) if self._db else closing(connect(self._path))
