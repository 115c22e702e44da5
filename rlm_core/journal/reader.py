"""The journal itself: finds runs, reads them, forgets them, and begins or resumes the recording of one."""

from __future__ import annotations

import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlm_core.events import Event
from rlm_core.journal.file import JournalError, changing, reading
from rlm_core.journal.going_on import go_on, leave_running
from rlm_core.journal.made import About, check_source
from rlm_core.journal.recorder import Recorder
from rlm_core.journal.rows import EVENT_TYPES, Answers, Place, quotation_of, read_event
from rlm_core.pieces import Piece, Pieces
from rlm_core.sandbox import values


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
        going_on = problem = None
        try:
            if run and self.runs(1, "id = ?", run):
                with changing(self.path) as db:
                    going_on = go_on(db, run, anyway=True)
        except JournalError as error:
            problem = error
        made = Recorder(self.path, run or _new_id(), inputs, about, chars, going_on, self.keep_context)
        if problem:
            made.fail(problem)
        return made

    def resume(
        self, run: str, anyway: bool = False, raised: Mapping[str, float | None] | None = None
    ) -> Recorder:
        """A recorder that recalls what this run was answered.

        raised  limits to go on with in place of those that it had: of iterations (its own steps), tokens,
                cost and seconds.  None lifts one

        Raises JournalError, also where a process is still at the run, unless `anyway`; ValueError and
        TypeError where `raised` makes no sense."""
        row = self.run(run)
        check_source(row)
        if not anyway:
            leave_running(row)
        inputs = self.inputs(row)
        with changing(self.path) as db:
            going_on = go_on(db, row["id"], anyway, raised)
        return Recorder(self.path, row["id"], inputs, going_on.about, row["chars"], going_on)

    # ---- reading

    def runs(self, limit: int = 20, where: str = "1", *parameters: Any) -> list[dict[str, Any]]:
        """Rows of `runs`, newest first."""
        query = f"SELECT * FROM runs WHERE {where} ORDER BY started DESC, id DESC LIMIT ?"
        with reading(self.path) as db:
            return [dict(row) for row in db.execute(query, (*parameters, limit))]

    def run(self, run: str) -> dict[str, Any]:
        """One row of `runs`, by its id or a beginning of it that no other has; "" is the newest.  Raises
        JournalError."""
        found = self.runs(2, "id LIKE ? || '%'", run) if run else self.runs(1)
        if not found:
            if not run:
                raise JournalError(f"no run is recorded yet in {self.path}")
            raise JournalError(f"no run {run!r} in {self.path}; `llm rlm runs` lists them")
        if len(found) > 1 and found[0]["id"] != run:
            raise JournalError(f"several runs begin with {run!r}; give more of the id")
        return found[0]

    def inputs(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of a run, as they were given.  Raises JournalError where only their hash was kept."""
        with reading(self.path) as db:
            kept = db.execute("SELECT data FROM contexts WHERE hash = ?", (row["context"],)).fetchone()
        if kept is None:
            raise JournalError(f"the context of run {row['id']} was not kept, so it cannot be made again")
        inputs: dict[str, Any] = values.Decoder(Any).decode(zlib.decompress(kept["data"]))
        return inputs

    def answers(self, run: str) -> Answers:
        """What came of the calls of a run, given by its whole id."""
        with reading(self.path) as db:
            rows = db.execute("SELECT * FROM answers WHERE run = ?", (run,))
            return {(row["path"], row["number"], row["slot"]): row for row in rows}

    def events(self, run: str, quoted: int | None = None) -> Iterator[tuple[float, int, Event]]:
        """(time, number, event) of a run, in order.  Prompts are whole where the inputs were kept, or hold
        `quoted` characters of the head and of the tail of each long quotation of them."""
        row = self.run(run)
        try:
            pieces = Pieces(self.inputs(row))
        except JournalError:
            pieces = None
        query = "SELECT at, number, type, data FROM events WHERE run = ? ORDER BY rowid"
        with reading(self.path) as db:
            for at, number, kind, data in db.execute(query, (row["id"],)):
                if kind in EVENT_TYPES:  # else it is of a newer version
                    yield at, number, read_event(kind, data, pieces, quoted)

    def quotations(self, run: str, kind: str = "SubCalled") -> dict[Place, list[Piece]]:
        """What sub-calls, or children ("Started"), were given, as pieces, by (path, number, slot)."""
        query = "SELECT path, number, slot, data FROM events WHERE run = ? AND type = ?"
        with reading(self.path) as db:
            return {
                (path, number, slot): quotation_of(kind, data)
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
        with reading(self.path) as db:
            return dict(db.execute(query, (run,)).fetchone())

    # ---- changing

    def remove(self, run: str, anyway: bool = False) -> None:
        """Forgets a run, and its context where no other run has it.  Raises JournalError, also
        where a process is still at the run, unless `anyway`."""
        row = self.run(run)
        if not anyway:
            leave_running(row)
        with changing(self.path) as db:
            for table, column in (("events", "run"), ("answers", "run"), ("runs", "id")):
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", (row["id"],))
            db.execute(
                "DELETE FROM contexts WHERE hash NOT IN (SELECT context FROM runs WHERE context IS NOT NULL)"
            )

    def take_in(self, file: Path) -> None:
        """Adds the runs of another journal's file.  Raises JournalError."""
        with reading(self.path) as db:
            db.execute("ATTACH DATABASE ? AS other", (str(file),))
            db.execute("BEGIN IMMEDIATE")
            for table in ("runs", "contexts", "events", "answers"):
                order = " ORDER BY rowid" if table == "events" else ""
                db.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM other.{table}{order}")
            db.execute("COMMIT")


def _new_id() -> str:
    """Ids sort by time and stay short to type: seconds in base 16, and eight random digits."""
    return f"{int(time.time()):08x}{uuid.uuid4().hex[:8]}"
