"""The file: its tables, what leads from an older version of them to a newer, and connections to it.

runs      one row a run: when, by whom, with what, and what it came to
contexts  the inputs of runs, compressed, once by hash
events    what happened, in order; prompts of sub-calls as pieces of the inputs (see `rlm_core.pieces`)
answers   what came of calls of LMs and tools, by (run, path, number, slot): what a resume does not ask
          again, but for those that failed
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

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
MIGRATIONS: dict[int, str] = {
    1: "ALTER TABLE runs ADD COLUMN paused REAL NOT NULL DEFAULT 0",
}
"""Version -> the statements that lead from it to the next."""


class JournalError(Exception):
    """The journal, or a run in it, cannot be used; the text is one line that says what to do."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the file, made and migrated where need be.  Raises JournalError."""
    uri = path.absolute().as_uri()
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # contexts may be private
        try:
            return _open(path, uri)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_CANTOPEN" or path.with_name(f"{path.name}-wal").exists():
                raise
            # beside the file nothing can be made, as on a read-only disk: it can be looked at all the same
            return _open(path, f"{uri}?immutable=1")
    except (sqlite3.Error, OSError) as error:
        raise _told(path, error) from error


def _open(path: Path, uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, timeout=10, isolation_level=None, check_same_thread=False, uri=True)
    try:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA busy_timeout = 10000")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            _migrate(path, db)
        db.execute("PRAGMA synchronous = NORMAL")  # with WAL: a killed process loses nothing
    except BaseException:
        db.close()
        raise
    return db


def _migrate(path: Path, db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    version = db.execute("PRAGMA user_version").fetchone()[0]  # another process may have been faster
    if version > VERSION:
        db.execute("ROLLBACK")
        raise JournalError(f"{path}: written by a newer version of this program; upgrade llm-rlm")
    statements = SCHEMA if version == 0 else ";".join(MIGRATIONS[old] for old in range(version, VERSION))
    if version < VERSION:
        for statement in statements.split(";"):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for a while.  Raises JournalError, also for what goes wrong in its block."""
    with closing(connect(path)) as db:
        try:
            yield db
        except sqlite3.Error as error:
            raise _told(path, error) from error


@contextmanager
def changing(path: Path) -> Iterator[sqlite3.Connection]:
    """As `reading`, for statements of which all or none take effect."""
    with reading(path) as db:
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")


def _told(path: Path, error: Exception) -> JournalError:
    damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
    return JournalError(f"{path}: {error}" + ("; move it away, and a new one is begun" if damaged else ""))
