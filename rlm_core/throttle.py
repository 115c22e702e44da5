"""How many calls one provider bears at once, learned from its refusals: additive increase, multiplicative
decrease, as TCP does it (Chiu and Jain, 1989).

Nothing is limited until a provider refuses a call for its rate (429).  Then the limit is half of what was in
flight, and each answered call raises it by 1 / limit, about one more call at once for every round of answers,
until it is back where the refusals began.  The calls that were sent before a cut tell nothing about the limit
after it: their outcomes change nothing, so that sixteen refusals of one volley halve the limit once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Throttle:
    """Hands out the places of one provider.  Takes a place by `start`, and gives it back by one of
    `succeeded`, `throttled` and `failed`.  It waits for nothing itself; any thread may use it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._limit: float | None = None
        self._ceiling = 0  # calls in flight when the refusals began
        self._in_flight = 0
        self._round = 0  # a place taken is named by its round: the cuts that were before it
        self._closed_until = 0.0

    @property
    def limit(self) -> int | None:
        """Calls that may be in flight now; None: as many as there are."""
        limit = self._limit
        return None if limit is None else int(limit)

    def start(self) -> int | None:
        """A place, to be handed back; None where there is none now: try again after `delay()`."""
        with self._lock:
            if self._clock() < self._closed_until:
                return None
            if self._limit is not None and self._in_flight >= int(self._limit):
                return None
            self._in_flight += 1
            return self._round

    def delay(self) -> float:
        """Seconds after which it may be worth to try `start` again."""
        return max(0.02, min(1.0, self._closed_until - self._clock()))

    def succeeded(self, place: int) -> None:
        """The call was answered."""
        with self._lock:
            self._in_flight -= 1
            if self._limit is not None and place == self._round:
                self._limit += 1 / self._limit
                if self._limit >= self._ceiling:
                    self._limit = None

    def throttled(self, place: int, pause: float = 0.0) -> None:
        """The provider refused the call for its rate, and asks for `pause` seconds without calls."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock() + pause)
            if place == self._round:
                self._round += 1
                if self._limit is None:
                    self._ceiling = self._in_flight
                self._limit = max(1.0, min(self._limit or self._in_flight, self._in_flight) / 2)
            self._in_flight -= 1

    def failed(self, place: int) -> None:
        """The call failed for another reason, or was given up."""
        with self._lock:
            self._in_flight -= 1


_throttles: dict[str, Throttle] = {}


def of(provider: str) -> Throttle:
    """The one throttle that all LMs of a provider share in this process.  `provider`: any name for it, such
    as the address of its API."""
    return _throttles.setdefault(provider, Throttle())
