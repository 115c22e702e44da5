"""`map_runs` on a Ray cluster (https://docs.ray.io): each run is a Ray task, with a sandbox of its own on
its node.

Contexts that are values travel once to each node, through Ray's object store; paths and URLs are read where
the run is.  A run writes a journal on its node, under the id that its row gives it; its rows come back with
the outcome, and are forgotten there once the outcome was taken.  So when a node dies, Ray starts its runs
again elsewhere, and they go on from their journal where that node's disk is still to be seen.

What makes the RLM, with its keys, goes as an object, which Ray holds in memory.  It does not go as a runtime
environment: Ray writes those into its logs, values and all.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_core.batch import CostReached, Outcome, Purse, Row, perform, run_id
from rlm_core.home import home
from rlm_core.journal import Journal, JournalError
from rlm_core.journal.file import connect
from rlm_core.rlm import RLM

if TYPE_CHECKING:
    import ray

REACH = 10.0  # seconds within which a head must take a connection
FORGET = 32  # runs whose journals on a node are forgotten in one go


@dataclass(frozen=True, slots=True)
class Cluster:
    """address   "local": Ray on this machine, started and ended with the call; "auto": the cluster that
    this machine
              belongs to; or the address of a head, "HOST:PORT" or "ray://HOST:PORT"
    cpus      of its node that a run takes: most of a run's time is spent waiting for the model's servers
    attempts  how often a run is started again after its node, or its process there, died
    """

    address: str = "local"
    cpus: float = 0.25
    attempts: int = 3


class ClusterError(Exception):
    """Ray is not there, or the cluster cannot be reached; the text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class _Done:
    """What a task brings back.  `journal`: the file of its run."""

    outcome: Outcome
    node: str
    journal: bytes = b""


def map_runs(
    rows: Iterable[Row], rlm: RLM | Callable[[], RLM], workers: int, name: str, purse: Purse, cluster: Cluster
) -> Iterator[Outcome]:
    """See `rlm_core.batch.map_runs`.  Raises ClusterError."""
    if isinstance(rlm, RLM):
        raise TypeError(
            "Ray needs a function that makes the RLM on its nodes: map_runs(rows, make_rlm, 'ray')"
        )
    ours = rlm()  # for what it is, not to run
    with _connected(cluster) as ray:
        batch = _Batch(ray, rlm, ours, name, cluster)
        waiting, more = iter(rows), True
        reached: CostReached | None = None
        try:
            while more or batch.running:
                while more and len(batch.running) < workers:
                    try:
                        share = purse.take(ours.limits.cost)
                    except CostReached as error:
                        more, reached = False, error
                        break
                    row = next(waiting, None)
                    if row is None:
                        more = False
                        purse.give_back(share, 0.0)
                    else:
                        batch.begin(row, share)
                for outcome, share in batch.ended():
                    purse.give_back(share, outcome.cost)
                    if reached and purse.left and not more:  # what was not spent is there for another row
                        more, reached = True, None
                    yield outcome
        finally:
            batch.close()
    if reached:
        raise reached


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of runs that were cancelled
    os.environ.setdefault("RAY_TQDM_PATCH_PRINT", "0")  # it would put a function of its own for `print`
    try:
        import ray
    except ImportError:
        raise ClusterError("Ray is not installed: pip install 'llm-rlm[ray]'") from None
    if ray.is_initialized():  # the caller's own connection
        yield ray
        return
    _check_there(cluster.address)
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if cluster.address == "local":
        settings["include_dashboard"] = False
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=cluster.address, **settings)
    except Exception as error:  # what Ray raises here is of many kinds
        line = str(error).strip().partition("\n")[0]
        raise ClusterError(f"no Ray cluster at {cluster.address}: {line}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_there(address: str) -> None:
    """Ray itself looks for a head for many minutes.  Raises ClusterError."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "local", "auto"
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH).close()
    except OSError as error:
        raise ClusterError(f"no Ray cluster at {address}: {error.strerror or error}") from error


class _Batch:
    """The driver's side: the tasks that are out."""

    def __init__(self, ray: Any, make: Callable[[], RLM], ours: RLM, name: str, cluster: Cluster):
        self.ray, self.ours, self.name = ray, ours, name
        self.running: dict[Any, tuple[Row, float | None]] = {}
        self._make = ray.put(make)
        self._task = ray.remote(_run).options(
            num_cpus=cluster.cpus, max_retries=cluster.attempts, scheduling_strategy="SPREAD"
        )
        self._contexts: tuple[Any, Any] = (None, None)  # the last one that was sent, and its reference
        self._kept: dict[str, list[str]] = {}  # runs whose journals are on a node
        self._forgetting: list[Any] = []

    def begin(self, row: Row, share: float | None) -> None:
        run = run_id(self.name, row, self.ours)
        context = row.context
        if not isinstance(context, os.PathLike):
            if self._contexts[0] is not context:
                self._contexts = (context, self.ray.put(context))
            context = self._contexts[1]
        bare = replace(row, context=None)
        # Top-level references are resolved by Ray; the function that makes the RLM stays one, see `_made`.
        ref = self._task.remote([self._make], bare, context, share, run)
        self.running[ref] = (row, share)

    def ended(self) -> Iterator[tuple[Outcome, float | None]]:
        """The outcomes of tasks that have ended, after a little waiting."""
        if not self.running:
            return
        refs, _ = self.ray.wait([*self.running], num_returns=1, timeout=0.2)
        for ref in refs:
            row, share = self.running.pop(ref)
            try:
                done = self.ray.get(ref)
            except self.ray.exceptions.RayTaskError as error:
                raise error.cause from error  # SandboxUnavailable, or a bug
            except self.ray.exceptions.RayError as error:
                line = str(error).strip().partition("\n")[0]
                yield Outcome.failed(row, f"its node or process died, again and again: {line}"), share
                continue
            self._take_in(done)
            yield done.outcome, share
            self._forget(done)

    def _take_in(self, done: _Done) -> None:
        if not done.journal or self.ours.journal is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "run.db"
            file.write_bytes(done.journal)
            try:
                self.ours.journal.take_in(file)
            except JournalError:
                pass  # a journal that cannot be written stops no run

    def _forget(self, done: _Done, least: int = FORGET) -> None:
        runs = self._kept.setdefault(done.node, [])
        runs.append(done.outcome.run)
        if len(runs) >= least:
            self._send_forget(done.node, self._kept.pop(done.node))

    def _send_forget(self, node: str, runs: list[str]) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        forget = self.ray.remote(_forget).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        self._forgetting.append(forget.remote(runs))

    def close(self) -> None:
        for ref in self.running:
            self.ray.cancel(ref, force=True)
        if self.running:  # Ctrl-C: that waits for nothing
            return
        for node, runs in self._kept.items():
            self._send_forget(node, runs)
        if self._forgetting:
            self.ray.wait(self._forgetting, num_returns=len(self._forgetting), timeout=5.0)


# ---- on a node


def _run(make: list[ray.ObjectRef[Any]], row: Row, context: Any, share: float | None, run: str) -> _Done:
    """The task: one row."""
    import ray

    rlm = _made(make[0])
    if run:
        rlm.journal = Journal(_file(run), keep_context=rlm.journal is None or rlm.journal.keep_context)
    outcome = perform(rlm, replace(row, context=context), share, run)
    node = ray.get_runtime_context().get_node_id()
    return _Done(outcome, node, _bytes(rlm.journal) if run and rlm.journal else b"")


_rlm: tuple[Any, RLM] | None = None


def _made(make: Any) -> RLM:
    """The RLM of a batch, made once in this process."""
    global _rlm
    import ray

    if _rlm is None or _rlm[0] != make:
        _rlm = (make, ray.get(make)())
    return _rlm[1]


def _file(run: str) -> Path:
    return home() / "batch" / f"{run}.db"


def _bytes(journal: Journal) -> bytes:
    """The whole journal, with what is still in SQLite's log beside it."""
    try:
        connect(journal.path).execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return journal.path.read_bytes()
    except (JournalError, OSError):
        return b""


def _forget(runs: list[str]) -> None:
    for run in runs:
        for end in ("", "-wal", "-shm"):
            Path(f"{_file(run)}{end}").unlink(missing_ok=True)
