"""A Ray cluster (https://docs.ray.io) as places for `rlm_core.pool`: each item is a Ray task."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rlm_core.pool import TICK, Places, R, T

REACH = 10.0  # seconds within which a head must take a connection


@dataclass(frozen=True, slots=True)
class Cluster:
    """address   "local": Ray on this machine, started and ended with the call; "auto": the cluster that
                 this machine belongs to; or the address of a head, "HOST:PORT" or "ray://HOST:PORT"
    cpus         of its node that an item takes: most of a run's time is spent waiting for the model's servers
    attempts     how often an item is started again after its node, or its process there, died
    """

    address: str = "local"
    cpus: float = 0.25
    attempts: int = 3


class ClusterError(Exception):
    """Ray is not there, or the cluster cannot be reached; the text is one line that says what to do."""


@contextmanager
def connected(cluster: Cluster) -> Iterator[tuple[Any, bool]]:
    """Ray, connected to the cluster, and whether it stays connected after this: a connection that the caller
    has is used and kept.  Raises ClusterError."""
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of tasks that were cancelled
    os.environ.setdefault("RAY_TQDM_PATCH_PRINT", "0")  # it would put a function of its own for `print`
    try:
        import ray
    except ImportError:
        raise ClusterError("Ray is not installed: pip install 'llm-rlm[ray]'") from None
    if ray.is_initialized():
        yield ray, True
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
        yield ray, False
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


class Tasks(Places[T, R]):
    """Places on a cluster.

    ray, stays
          as `connected` gives them
    work  what is done on a node, in a process of Ray's: work(*sent, share).  pickle must be able to send it,
          or what it is a method of
    send  what of an item goes to the node; where that is a reference to an object in Ray's store, `work` is
          given the object
    lost  makes the result of an item whose node or process died, again and again, of it and a line that
          says so"""

    def __init__(
        self,
        ray: Any,
        stays: bool,
        cluster: Cluster,
        work: Callable[..., R],
        send: Callable[[T], tuple[Any, ...]],
        lost: Callable[[T, str], R],
    ):
        self._ray, self._stays, self._send, self._lost = ray, stays, send, lost
        # As an object it is held in memory, with the keys that it may hold.  A runtime environment would be
        # written into Ray's logs, values and all.
        self._work = ray.put(work)
        self._task = ray.remote(_done).options(
            name="llm-rlm", num_cpus=cluster.cpus, max_retries=cluster.attempts, scheduling_strategy="SPREAD"
        )
        self._out: dict[Any, tuple[T, float | None]] = {}

    def begin(self, item: T, share: float | None) -> None:
        self._out[self._task.remote(self._work, share, *self._send(item))] = (item, share)

    def ended(self) -> Iterator[tuple[T, float | None, R]]:
        refs, _ = self._ray.wait([*self._out], num_returns=1, timeout=TICK)
        for ref in refs:
            item, share = self._out.pop(ref)
            try:
                result = self._ray.get(ref)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except self._ray.exceptions.RayError as error:
                line = str(error).strip().partition("\n")[0]
                result = self._lost(item, f"its node or process died, again and again: {line}")
            yield item, share, result

    def close(self) -> list[R]:
        # Where the connection ends, so do its tasks.  Cancelling a task that is just ending aborts the whole
        # process in Ray 2.60 ("Tried to complete task that was not pending").
        for ref in self._out if self._stays else ():
            self._ray.cancel(ref, force=True)
        return []


def _done(work: Callable[..., R], share: float | None, *sent: Any) -> R:
    return work(*sent, share)
