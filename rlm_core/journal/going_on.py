"""A run that goes on: what it asks again, and so is taken out of its record.

A call that failed last is tried again; a failure that the run went on after is part of what happened.  Where
more iterations are allowed than before, the last ask at the old limit is taken out, with all that came of it.
What such calls cost stays counted: it is "forgone" in the run's setup.

All this is one transaction, so of two processes that would go on with a run at once only one does."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import to_builtins

from rlm_core.events import Resumed
from rlm_core.journal.file import JournalError
from rlm_core.journal.made import About, about
from rlm_core.journal.rows import Answers, Place, is_of_root, read_answer
from rlm_core.requests import Failed

GOING_ON = "('Asking', 'Replied', 'SubCalling', 'SubCalled', 'ToolUsed', 'Stepped')"
"""Types of events that are told only as a run goes on."""


@dataclass(frozen=True, slots=True)
class GoingOn:
    """What a run that goes on knows.  `seconds`: how long processes were at it before."""

    about: About
    answers: Answers
    seconds: float


def go_on(
    db: sqlite3.Connection, run: str, anyway: bool = False, raised: Mapping[str, float | None] | None = None
) -> GoingOn:
    """Makes this process the one that is at the run, within a transaction.  Raises JournalError where another
    is, unless `anyway`; ValueError and TypeError where `raised` makes no sense."""
    row = db.execute("SELECT * FROM runs WHERE id = ?", (run,)).fetchone()
    if row is None:
        raise JournalError(f"run {run} has been removed")
    if not anyway:
        leave_running(row)
    told = about(row).raised(raised or {})
    answers = {_place(answer): answer for answer in _select(db, "answers", run)}
    stale = _failed_last(db, run, answers)
    if _iterations(told) > _iterations(about(row)):
        stale |= _last_ask_taken_out(db, run, answers)
    forgone = [*told.setup.get("forgone", ()), *filter(None, (_spent(answers[place]) for place in stale))]
    _take_out(db, run, [answers[place] for place in stale])
    if row["status"] not in ("answered", "not_found"):
        db.execute("DELETE FROM events WHERE run = ? AND path = '' AND type = 'Ended'", (run,))
    (heard,) = db.execute("SELECT max(at) FROM events WHERE run = ?", (run,)).fetchone()
    heard = row["ended"] or heard or row["started"]
    now = time.time()
    paused = row["paused"] + max(0.0, now - heard)
    setup = {**told.setup, "forgone": forgone} if forgone else told.setup
    db.execute(
        "UPDATE runs SET ended = NULL, status = NULL, pid = ?, paused = ?, setup = ? WHERE id = ?",
        (os.getpid(), paused, json.dumps(setup), run),
    )
    db.execute(
        "INSERT INTO events SELECT ?1, '', count(*), 0, 'Resumed', ?2, ?3 FROM events"
        " WHERE run = ?1 AND type = 'Resumed'",
        (run, now, json.dumps(to_builtins(Resumed(())))),
    )
    kept = {place: answer for place, answer in answers.items() if place not in stale}
    told = About(told.source, told.model, told.sub_model, told.query, setup)
    return GoingOn(told, kept, max(0.0, heard - row["started"] - row["paused"]))


def state(row: Mapping[str, Any] | sqlite3.Row) -> str:
    """The status of a row of `runs`; "running" before it has one, "broken off" where it will get none."""
    if row["status"]:
        return str(row["status"])
    return "running" if row["ended"] is None and _alive(row["pid"]) else "broken off"


def leave_running(row: Mapping[str, Any] | sqlite3.Row) -> None:
    """Raises JournalError where a process is at the run."""
    if state(row) == "running":
        raise JournalError(f"run {row['id']} is still running, in process {row['pid']}")


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


# ---- what is asked again


def _failed_last(db: sqlite3.Connection, run: str, answers: Answers) -> set[Place]:
    """The places of calls that failed, and after which neither their run nor one above it went on."""
    failed = [place for place, answer in answers.items() if answer["kind"] == "Failed"]
    told = _select(db, "events", run, f"AND type IN {GOING_ON}") if failed else ()
    latest: dict[str, tuple[int, int]] = {}  # of each path: number and order of its last event
    when = {}
    for order, event in enumerate(told):
        path, number = event["path"], event["number"]
        latest[path] = (max(number, latest.get(path, (0, 0))[0]), order)
        when[_place(event)] = order
    return {
        place
        for place in failed
        if latest.get(place[0], (0, 0))[0] <= place[1]
        and all(latest[above][1] <= when.get(place, sys.maxsize) for above in _above(place[0]))
    }


def _last_ask_taken_out(db: sqlite3.Connection, run: str, answers: Answers) -> set[Place]:
    """Takes out what was told since the ask at the limit of iterations.  Gives the places of that call and of
    all that came of it."""
    asks = [place for place, answer in answers.items() if place[0] == "" and answer["asked"] == "last"]
    if not asks:
        return set()
    first = min(asks)
    replied = "SELECT min(rowid) FROM events WHERE run = ? AND path = '' AND type = 'Replied' AND number >= ?"
    (began,) = db.execute(replied, (run, first[1])).fetchone()
    since = "AND type <> 'Resumed' AND rowid >= ?"
    told = _select(db, "events", run, since, began or sys.maxsize)
    children = {event["path"] for event in told if event["type"] == "Started"}
    db.execute(f"DELETE FROM events WHERE run = ? {since}", (run, began or sys.maxsize))
    return {place for place in answers if place[0] in children or (place[0] == "" and place >= first)}


def _take_out(db: sqlite3.Connection, run: str, stale: Iterable[sqlite3.Row]) -> None:
    """Answers that are asked again, and the events that told of them and of what came of them."""
    for answer in stale:
        place = _place(answer)
        db.execute("DELETE FROM answers WHERE (run, path, number, slot) = (?, ?, ?, ?)", (run, *place))
        if is_of_root(answer):  # its run has not gone on after it
            db.execute("DELETE FROM events WHERE run = ? AND path = ? AND number >= ?", (run, *place[:2]))
        else:
            db.execute(
                "DELETE FROM events WHERE (run, path, number, slot, type) = (?, ?, ?, ?, 'SubCalled')",
                (run, *place),
            )


def _spent(answer: sqlite3.Row) -> list[Any] | None:
    """What a call used, as the budget records it."""
    value = read_answer(answer)
    usage = getattr(value, "usage", None)
    if usage is None:
        return None
    depth = answer["path"].count(".") + 1 if answer["path"] else 0
    asked_root = is_of_root(answer)
    role = "sub" if not asked_root else "child" if depth else "root"
    model = "" if isinstance(value, Failed) else value.model
    return [role, depth + (not asked_root), model, to_builtins(usage)]


def _iterations(told: About) -> int:
    setup = told.setup
    return int(setup.get("raised", {}).get("iterations", setup.get("limits", {}).get("iterations", 0)))


def _select(
    db: sqlite3.Connection, table: str, run: str, more: str = "", *parameters: Any
) -> list[sqlite3.Row]:
    order = "ORDER BY rowid" if table == "events" else ""
    return db.execute(f"SELECT * FROM {table} WHERE run = ? {more} {order}", (run, *parameters)).fetchall()


def _place(row: sqlite3.Row) -> Place:
    return row["path"], row["number"], row["slot"]


def _above(path: str) -> Iterator[str]:
    """The runs that started the one of this path."""
    while path:
        path = path.rpartition(".")[0]
        yield path
