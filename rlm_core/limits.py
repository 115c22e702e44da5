"""`Limits`, and the one `Budget` that a whole tree of calls shares.

Sub-calls and the tokens of prompts are reserved before a call is sent; what a reply takes, and what it costs,
is counted when it comes.  Sub-calls *refuse*: the code that asked gets an error it can handle, and the run
goes on.  Tokens, cost and seconds *latch*: once one is reached nothing more is sent, and the run ends with
what it has.  Sub-agents (`rlm_core.delegates`) count on threads of their own, beside the one that steps the
tree: hence the lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from math import isfinite
from numbers import Integral, Real

from rlm_core.lms import Usage

CHARS_PER_TOKEN = 4  # an estimate for what no tokenizer has counted


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use.  One allowance for the whole tree of calls; None lifts a limit.

    iterations    steps of one run's root LM (children have as many each), before a last answer is asked for
    depth         0: a REPL without sub-calls; 1: sub-calls to an LM; 2 and more: child RLMs
    sub_calls     calls that code makes, in the whole tree
    tokens        in and out, of all calls
    cost          dollars, where prices are known
    seconds       of the whole run
    step_seconds  of one step's own code, not counting the calls it waits for
    errors        turns in a row without runnable code, or whose code failed just as in the turn before; five
                  whose code did what it had done before, and changed nothing, end a run as well
    concurrency   calls at once; None takes the model's own default
    output_chars  of a step's output that the root LM is shown
    memory        bytes for a worker beyond what its inputs need; None for the default
    """

    iterations: int = 20
    depth: int = 1
    sub_calls: int | None = 200
    tokens: int | None = 3_000_000
    cost: float | None = 5.0
    seconds: float | None = 3_600.0
    step_seconds: float = 60.0
    errors: int = 3
    concurrency: int | None = None
    output_chars: int = 20_000
    memory: int | None = None

    def __post_init__(self) -> None:
        for spec in fields(self):
            value, least = getattr(self, spec.name), _LEAST[spec.name]
            given = f"Limits({spec.name}={value!r})"
            kind, _, lifted = str(spec.type).partition(" | ")
            if value is None and lifted:
                continue
            if not isinstance(value, Integral if kind == "int" else Real):
                raise TypeError(
                    f"{given}: must be {'a whole number' if kind == 'int' else 'a number'}"
                    f"{', or None' if lifted else ''}"
                )
            if isinstance(value, float) and not isfinite(value):
                raise ValueError(f"{given}: must be finite{'; None lifts the limit' if lifted else ''}")
            if value < least:
                raise ValueError(f"{given}: must be at least {least}")


_LEAST = {
    "iterations": 0,
    "depth": 0,
    "sub_calls": 0,
    "tokens": 0,
    "cost": 0,
    "seconds": 0,
    "step_seconds": 0.01,
    "errors": 1,
    "concurrency": 1,
    "output_chars": 100,
    "memory": 0,
}


class Refused(Exception):
    """The code asked for more sub-calls than are left.  Nothing was sent; the run goes on."""


def check_sub_calls(allowed: int | None, made: int, count: int) -> None:
    """Raises Refused where `count` more sub-calls are too many."""
    if allowed is not None and made + count > allowed:
        left = allowed - made
        raise Refused(
            f"{count} sub-calls asked for, {left} of {allowed} left; none was sent. "
            + ("Ask for fewer, with more text in each." if left else "Answer with what you have.")
        )


class LimitReached(Exception):
    """Tokens, cost or seconds are used up.  The run ends; `limit` names which."""

    def __init__(self, limit: str, text: str):
        super().__init__(text)
        self.limit = limit


@dataclass(slots=True)
class Spent:
    """What the calls of one role, depth and model used.  `cost` is None once a call's cost was not known."""

    role: str  # "root": the root LM; "child": the root LM of a child RLM; "sub": a plain sub-call
    depth: int
    model: str
    calls: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    cost: float | None = 0.0

    def add(self, usage: Usage) -> None:
        self.calls += 1
        self.input += usage.input
        self.output += usage.output
        self.cached += usage.cached
        self.cost = None if self.cost is None or usage.cost is None else self.cost + usage.cost


@dataclass(frozen=True, slots=True)
class RunUsage:
    """All that a run used: its rows by role, depth and model, and their sums."""

    rows: tuple[Spent, ...] = ()

    def of(self, role: str) -> RunUsage:
        return RunUsage(tuple(row for row in self.rows if row.role == role))

    @property
    def calls(self) -> int:
        return sum(row.calls for row in self.rows)

    @property
    def input(self) -> int:
        return sum(row.input for row in self.rows)

    @property
    def output(self) -> int:
        return sum(row.output for row in self.rows)

    @property
    def cached(self) -> int:
        return sum(row.cached for row in self.rows)

    @property
    def cost(self) -> float | None:
        """Dollars, or None where any call's cost is not known, or there was no call to know it from."""
        costs = [row.cost for row in self.rows if row.calls]
        return None if None in costs or not costs else sum(cost or 0.0 for cost in costs)


@dataclass
class Budget:
    """What a tree of runs may use and has used.  `reserve` before a call, `release` and
    `record` after it."""

    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], float] = time.monotonic
    sub_calls: int = 0
    in_flight: int = 0  # calls of LMs
    latched: LimitReached | None = None

    def __post_init__(self) -> None:
        self.started = self.clock()
        self._rows: dict[tuple[str, int, str], Spent] = {}
        self._tokens = 0
        self._cost = 0.0
        self._pending = 0  # tokens set aside for calls in flight
        self._cheapest: dict[str, float] = {}  # dollars of the cheapest call so far, by role
        self._lock = threading.Lock()

    # ---- before a call

    def reserve_sub_calls(self, count: int) -> None:
        """Counts `count` sub-calls.  Raises Refused, and counts none, where fewer are left."""
        with self._lock:
            check_sub_calls(self.limits.sub_calls, self.sub_calls, count)
            self.sub_calls += count

    def reserve(self, chars: int) -> int:
        """Sets aside the tokens of a prompt of `chars` characters, and gives their number.  Raises
        LimitReached (latched) where they are too many, or any limit is used up."""
        self.check()
        tokens = chars // CHARS_PER_TOKEN
        with self._lock:
            if self.limits.tokens is not None and self._tokens + self._pending + tokens > self.limits.tokens:
                raise self._latch("tokens")
            self._pending += tokens
            self.in_flight += 1
        return tokens

    def crowded(self, role: str) -> bool:
        """Whether another call beside those in flight may well pass the cost limit, going by what calls have
        cost so far.  It is a guess, so it ends nothing: the call waits until others have come back."""
        if self.limits.cost is None or not self._cheapest:
            return False
        guess = self._cheapest.get(role, min(self._cheapest.values()))
        return self._cost + (self.in_flight + 1) * guess > self.limits.cost

    # ---- after a call

    def record(self, role: str, depth: int, model: str, usage: Usage) -> None:
        """Counts what a call used."""
        with self._lock:
            row = self._rows.setdefault((role, depth, model), Spent(role, depth, model))
            row.add(usage)
            self._tokens += usage.input + usage.output
            self._cost += usage.cost or 0.0
            if usage.cost:
                self._cheapest[role] = min(usage.cost, self._cheapest.get(role, usage.cost))

    def release(self, tokens: int) -> None:
        """Gives back what was set aside for a call, now that it is known what it used."""
        with self._lock:
            self._pending -= tokens
            self.in_flight -= 1

    # ---- what is left

    def check(self) -> None:
        """Raises LimitReached where a latching limit is used up."""
        if self.latched:
            raise self.latched
        for limit, used in (("tokens", self._tokens), ("cost", self._cost), ("seconds", self.seconds)):
            allowed = getattr(self.limits, limit)
            if allowed is not None and used >= allowed:
                raise self._latch(limit)

    def _latch(self, limit: str) -> LimitReached:
        allowed = getattr(self.limits, limit)
        self.latched = LimitReached(limit, f"the limit of {_AMOUNT[limit].format(allowed)} is reached")
        return self.latched

    @property
    def seconds(self) -> float:
        return self.clock() - self.started

    @property
    def deadline(self) -> float | None:
        """When the run's time is over, on this budget's clock."""
        return None if self.limits.seconds is None else self.started + self.limits.seconds

    @property
    def usage(self) -> RunUsage:
        return RunUsage(tuple(self._rows.values()))

    def left(self) -> str:
        """What is left, in the words that the root LM reads after each step."""
        parts = []
        if self.limits.depth and self.limits.sub_calls is not None:
            parts.append(f"{self.limits.sub_calls - self.sub_calls} sub-calls")
        for used, allowed, word in (
            (self._tokens, self.limits.tokens, "{:,.0f} tokens"),
            (self._cost, self.limits.cost if self._cost else None, "${:.2f}"),
            (self.seconds, self.limits.seconds, "{:.0f} s"),
        ):
            if allowed is not None and used * 2 > allowed:  # said once it begins to matter
                parts.append(word.format(max(0.0, allowed - used)))
        return ", ".join(parts)


_AMOUNT = {"tokens": "{:,} tokens", "cost": "${:.2f}", "seconds": "{:g} seconds"}
