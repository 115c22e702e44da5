"""`map_runs` on a Ray cluster (https://docs.ray.io): each run is a Ray task, with a sandbox of its own on
its node.

Contexts that are values travel once to each node, through Ray's object store; paths and URLs are read where
the run is.  A run writes a journal on its node, under the id that its row gives it; its rows come back with
the outcome, and are forgotten there once the outcome was taken, unless the run is to be gone on with.  So
when a node dies, Ray starts its runs again elsewhere, and they go on from their journal where that node's
disk is still to be seen.  A batch whose rows have all come to an end leaves nothing on any node; one that was
broken off leaves the journals of the runs that were under way, in a folder of its own.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlm_core.batch import Outcome, Row, digest, perform, run_id
from rlm_core.home import home
from rlm_core.journal import Journal, JournalError
from rlm_core.journal.file import connect
from rlm_core.pool import Purse, performed
from rlm_core.ray_pool import Cluster, Tasks, connected
from rlm_core.rlm import RLM

FORGET = 32  # runs whose journals on a node are forgotten in one go


def map_runs(
    rows: Iterable[Row],
    rlm: RLM | Callable[[], RLM],
    workers: int,
    name: str,
    max_cost: float | None,
    cluster: Cluster | None,
    tick: Callable[[], None],
) -> Iterator[Outcome]:
    """See `rlm_core.batch.map_runs`.  Raises ClusterError."""
    if isinstance(rlm, RLM):
        raise TypeError(
            "Ray needs a function that makes the RLM on its nodes: map_runs(rows, make_rlm, 'ray')"
        )
    ours = rlm()  # for what it is, not to run
    purse = Purse(max_cost, workers, ours.limits.cost)
    cluster = cluster or Cluster()
    with connected(cluster) as (ray, stays):
        folder = digest(name)[:20]
        runs = _Runs(rlm, uuid.uuid4().hex, folder)
        tasks = Tasks[Row, _Done](ray, stays, cluster, runs.run, _Sending(ray, ours, name), _lost)
        journals = _Journals(ray, ours.journal, folder)
        for _, done in performed(rows, tasks, workers, purse, lambda done: done.outcome.cost, tick):
            journals.take_in(done)
            yield done.outcome
            journals.forget(done)
        journals.close()


@dataclass(frozen=True, slots=True)
class _Done:
    """What a task brings back.  `journal`: the file of its run."""

    outcome: Outcome
    node: str = ""
    journal: bytes = b""


def _lost(row: Row, why: str) -> _Done:
    return _Done(Outcome.failed(row, why))


class _Sending:
    """A row as it goes to a node: without its context, which rows in a row often share."""

    def __init__(self, ray: Any, ours: RLM, name: str):
        self._ray, self._ours, self._name = ray, ours, name
        self._last: tuple[Any, Any] = (None, None)  # the context that was sent last, and its reference

    def __call__(self, row: Row) -> tuple[Row, Any, str]:
        context = row.context
        if isinstance(context, os.PathLike):
            context = Path(os.path.abspath(context))  # its processes start in folders of their own
        else:
            if self._last[0] is not context:
                self._last = (context, self._ray.put(context))
            context = self._last[1]
        return replace(row, context=None), context, run_id(self._name, row, self._ours)


class _Journals:
    """Takes in the journals that come back, and has them forgotten where they were written: in `folder` of
    each node's."""

    def __init__(self, ray: Any, journal: Journal | None, folder: str):
        self._ray, self._journal, self._folder = ray, journal, folder
        self._is_whole = True  # nothing is to be gone on with
        self._kept: dict[str, list[str]] = {}  # by node: runs whose journals are there
        self._forgetting: list[Any] = []

    def take_in(self, done: _Done) -> None:
        if not done.journal or self._journal is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "run.db"
            file.write_bytes(done.journal)
            try:
                self._journal.take_in(file)
            except JournalError:
                pass  # a journal that cannot be written stops no run

    def forget(self, done: _Done) -> None:
        if done.outcome.unpaid or done.outcome.status == "error":
            self._is_whole = False
            return
        if not done.journal:
            return
        runs = self._kept.setdefault(done.node, [])
        runs.append(done.outcome.run)
        if len(runs) >= FORGET:
            self._send(done.node, self._kept.pop(done.node))

    def _send(self, node: str, runs: list[str] | None) -> None:
        """`runs` None: all that the batch has there."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        forget = self._ray.remote(_forget).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        self._forgetting.append(forget.remote(self._folder, runs))

    def close(self) -> None:
        """All rows have come to an end."""
        if self._is_whole and self._journal is not None:
            self._kept = {}
            for node in self._ray.nodes():
                if node["Alive"]:
                    self._send(node["NodeID"], None)
        for node, runs in self._kept.items():
            self._send(node, runs)
        if self._forgetting:
            self._ray.wait(self._forgetting, num_returns=len(self._forgetting), timeout=5.0)


# ---- on a node


@dataclass(frozen=True)
class _Runs:
    """The runs of one batch.  `batch` tells it from others: its RLM is made once in each process.  `folder`:
    of its journals, the same when it is started again."""

    make: Callable[[], RLM]
    batch: str
    folder: str

    def run(self, row: Row, context: Any, run: str, share: float | None) -> _Done:
        import ray

        rlm, row = self._rlm(), replace(row, context=context)
        if not run or rlm.journal is None:
            return _Done(perform(rlm, row, share, run))
        journal = Journal(_place(self.folder) / f"{run}.db", rlm.journal.keep_context)
        rlm = copy(rlm)
        rlm.journal = journal
        outcome = perform(rlm, row, share, run)
        return _Done(outcome, ray.get_runtime_context().get_node_id(), _bytes(journal))

    def _rlm(self) -> RLM:
        global _made
        if _made is None or _made[0] != self.batch:
            _made = (self.batch, self.make())
        return _made[1]


_made: tuple[str, RLM] | None = None


def _place(folder: str) -> Path:
    return home() / "batch" / folder


_returned: set[str] = set()  # contexts, by hash, that went to the driver with an earlier run of this process


def _bytes(journal: Journal) -> bytes:
    """The whole file, with what is still in SQLite's log beside it, without contexts that were returned."""
    if not journal.path.exists():
        return b""
    try:
        with closing(connect(journal.path)) as db:
            kept = {row["hash"] for row in db.execute("SELECT hash FROM contexts")}
            for known in kept & _returned:
                db.execute("DELETE FROM contexts WHERE hash = ?", (known,))
            if kept & _returned:
                db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _returned.update(kept)
        return journal.path.read_bytes()
    except (JournalError, sqlite3.Error, OSError):
        return b""


def _forget(folder: str, runs: list[str] | None) -> None:
    place = _place(folder)
    if runs is None:
        shutil.rmtree(place, ignore_errors=True)
        return
    for run in runs:
        for end in ("", "-wal", "-shm"):
            (place / f"{run}.db{end}").unlink(missing_ok=True)
