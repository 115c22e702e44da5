"""Locks, where there is one thread: they are free whenever somebody asks."""

from __future__ import annotations

from typing import Any


class Lock:
    def __init__(self) -> None:
        self._held = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._held and blocking:
            raise RuntimeError("this lock is held already: there is one thread here, it would wait for ever")
        if self._held:
            return False
        self._held += 1
        return True

    def release(self) -> None:
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held -= 1

    def locked(self) -> bool:
        return self._held > 0

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: Any) -> None:
        self.release()


class RLock(Lock):
    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        self._held += 1
        return True


class Semaphore(RLock):
    def __init__(self, value: int = 1) -> None:
        self._held = 0


BoundedSemaphore = Semaphore
