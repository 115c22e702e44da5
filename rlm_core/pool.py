"""Work done many at once, on what money there is: the one loop under batches of runs (`rlm_core.batch`) and
benchmarks.  What does it are places: threads of this process, or tasks on a Ray cluster
(`rlm_core.ray_pool`).

Items are taken as places come free, on the thread of whoever iterates, so they are never all held at once,
and what came of one is taken before the next is begun."""

from __future__ import annotations

import contextvars
import math
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic, TypeVar

from rlm_core.lms import stopping

LEAST = 1e-6  # dollars: with less left, nothing further is begun
TICK = 0.2  # seconds between two looks at what goes on
CLOSE = 0.7  # seconds that threads have to end

T = TypeVar("T")
R = TypeVar("R")


class CostReached(Exception):
    """The `max_cost` of a batch is spent; the items that are left were not begun."""


class Purse:
    """The dollars of a batch.  Each item takes an even share of what is not yet spoken for, and gives back
    what it did not spend; so all places can be used.  What a call costs is known only once it has come back,
    so an item may spend more than its share: none is begun beside others where less is left than the
    costliest so far took.  The whole is exceeded by no more than items exceed their shares by.

    whole        None: without end
    places       items at once
    limit        the most that one item may take
    first_alone  whether nothing is begun beside the first item, which tells what one costs

    Raises ValueError for what is no amount of dollars."""

    def __init__(
        self, whole: float | None, places: int, limit: float | None = None, first_alone: bool = False
    ):
        if whole is not None and not 0 <= whole < math.inf:
            raise ValueError(f"max_cost={whole}: must be a finite number of dollars, and not negative")
        self.left = whole
        self.limit = limit
        self._places = self._free = places
        self._costliest: float | None = None if first_alone else 0.0  # of the items so far

    @property
    def open(self) -> bool:
        """Whether another item may be begun, beside those that are out."""
        if self.left is None:
            return True
        beside = self._free < self._places
        if beside and (self._costliest is None or self.left < self._costliest):
            return False
        return self.left >= LEAST

    def take(self) -> float | None:
        if self.left is None:
            return self.limit
        least = self.left if self._costliest is None else min(self.left, self._costliest)
        share = max(self.left / self._free, least)
        if self.limit is not None:
            share = min(self.limit, share)
        self.left -= share
        self._free -= 1
        return share

    def give_back(self, share: float | None, spent: float | None) -> None:
        if self.left is not None:
            self.left += (share or 0.0) - (spent or 0.0)
            self._free += 1
            self._costliest = max(self._costliest or 0.0, spent or 0.0)


class Places(ABC, Generic[T, R]):
    """Where work is done."""

    @abstractmethod
    def begin(self, item: T, share: float | None) -> None: ...

    @abstractmethod
    def ended(self) -> Iterator[tuple[T, float | None, R]]:
        """Items with their shares and results, as far as they have ended, after a little waiting.  Raises
        what the work raised."""

    @abstractmethod
    def close(self) -> list[R]:
        """Ends what is still going on, within a second; gives what came of it, as far as that is known."""


def performed(
    items: Iterable[T],
    places: Places[T, R],
    at_once: int,
    purse: Purse,
    spent: Callable[[R], float | None],
    tick: Callable[[], None] = lambda: None,
    broken_off: Callable[[R], None] = lambda result: None,
) -> Generator[tuple[T, R], None, None]:
    """Each item with its result, as it ends.

    spent       dollars that a result cost; None where that is not known
    tick        called a few times a second
    broken_off  called with the results of what had begun, where the iterator is closed before its end

    Raises CostReached when the purse is empty, after the results of what was begun."""
    waiting, out, more = iter(items), 0, True
    try:
        while more or out:
            while more and out < at_once and purse.open:
                try:
                    item = next(waiting)
                except StopIteration:
                    more = False
                    break
                places.begin(item, purse.take())
                out += 1
            if more and not out:
                if next(waiting, None) is None:
                    return
                raise CostReached
            for item, share, result in places.ended():
                out -= 1
                purse.give_back(share, spent(result))
                yield item, result
            tick()
    finally:
        for result in places.close():
            broken_off(result)


class Threads(Places[T, R]):
    """Daemon threads of this process: a call that hangs keeps no process alive.  They see the caller's
    context variables, and `lms.stopping` when they shall end.

    work  makes a result of an item, and of the dollars that it may cost"""

    def __init__(self, work: Callable[[T, float | None], R]):
        self._work = work
        self._todo: queue.SimpleQueue[tuple[T, float | None] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[T, float | None, R] | BaseException] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._out = 0

    def begin(self, item: T, share: float | None) -> None:
        self._out += 1
        if self._out > len(self._threads):
            run = contextvars.copy_context().run
            self._threads.append(
                threading.Thread(target=run, args=(self._serve,), name="rlm-run", daemon=True)
            )
            self._threads[-1].start()
        self._todo.put((item, share))

    def ended(self) -> Iterator[tuple[T, float | None, R]]:
        try:
            found = self._done.get(timeout=TICK)
        except queue.Empty:
            return
        if isinstance(found, BaseException):
            raise found
        self._out -= 1
        yield found

    def close(self) -> list[R]:
        self._stop.set()
        for _ in self._threads:
            self._todo.put(None)
        until = time.monotonic() + CLOSE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        left = [self._done.get_nowait() for _ in range(self._done.qsize())]
        return [each[2] for each in left if not isinstance(each, BaseException)]

    def _serve(self) -> None:
        stopping.set(self._stop)
        try:
            while given := self._todo.get():
                if self._stop.is_set():
                    return
                self._done.put((*given, self._work(*given)))
        except BaseException as error:
            self._done.put(error)
