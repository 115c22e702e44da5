"""When a failed call may be sent again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from rlm_core.lms import LMCallError


@dataclass(frozen=True, slots=True)
class RetryRule:
    """Back-off that doubles, with jitter; a provider's own Retry-After goes before it.

    retries   how often one call may be sent again
    timeouts  how many of these may follow a timeout: each has cost its whole wait, and perhaps its price
    first     seconds before the first retry; doubled for each further one, up to
    longest   seconds
    patience  seconds: a provider that asks for a longer wait is not waited for, and not asked earlier either
    """

    retries: int = 4
    timeouts: int = 1
    first: float = 0.5
    longest: float = 8.0
    patience: float = 120.0

    def wait(self, failures: Sequence[LMCallError]) -> float | None:
        """Seconds to wait before the call is sent again, after these failures of it (the latest last); None:
        it has failed for good."""
        latest = failures[-1]
        if not latest.again or len(failures) > self.retries:
            return None
        if sum(failure.kind == "timeout" for failure in failures) > self.timeouts:
            return None
        if latest.retry_after is None:
            backoff = min(self.longest, self.first * 2.0 ** (len(failures) - 1))
            return backoff * random.uniform(0.75, 1.25)
        return latest.retry_after if latest.retry_after <= self.patience else None
