"""A recorded run once more, with no LM: its code runs again, with the answers that it got."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from typing import Any

import msgspec

from rlm_core.drive import drive
from rlm_core.events import Ended, Event, Stepped, SubCalling
from rlm_core.journal import Journal, recalled
from rlm_core.lms import Completion, LMCallError
from rlm_core.loop import Result, Run
from rlm_core.requests import Reply, Request
from rlm_core.sandbox.protocol import Backend
from rlm_core.tree import Key
from rlm_core.views import View

MISSING = "this call is not in the journal"
SHOWN = 200  # characters of either side of a difference


@dataclass(frozen=True, slots=True)
class Replay:
    """`differences`: a line for each event that came out otherwise than it is recorded, in order."""

    result: Result
    differences: list[str]


def replay(journal: Journal, run: str, made: Run, backend: Backend) -> Replay:
    """Runs `made`, which is `run` of the journal made again.  Raises SandboxError; writes nothing."""
    record = _Record(journal, run)
    events = drive(made, _Front(), backend, record)
    while True:
        try:
            next(events)
        except StopIteration as stop:
            return Replay(stop.value, record.differences)


class _Record:
    """Recalls all, failures too, and holds what happens against what is recorded."""

    def __init__(self, journal: Journal, run: str):
        self.differences: list[str] = []
        self._answers = journal.answers(run)
        self._told: dict[tuple[Any, ...], Event] = {
            _place(event, number): _comparable(event)
            for _, number, event in journal.events(run, quoted=0)
            if isinstance(event, COMPARED)
        }

    def recall(self, key: Key, request: Request[Any]) -> Any:
        return recalled(self._answers, key, request)

    def keep(self, key: Key, request: Request[Any], value: Any) -> None:
        pass

    def tell(self, event: Event, number: int) -> None:
        if not isinstance(event, COMPARED):
            return
        told = self._told.get(_place(event, number))
        if told is None:
            self.differences.append(f"{_where(event)}: not recorded")
            return
        now = _comparable(event)
        for part in fields(told):
            before, after = getattr(told, part.name), getattr(now, part.name)
            if before != after:
                self.differences.append(f"{_where(event)}, {part.name}: {_differ(str(before), str(after))}")

    def finish(self, result: Result) -> None:
        pass


COMPARED = (Stepped, SubCalling, Ended)


def _place(event: Event, number: int) -> tuple[Any, ...]:
    """What tells that it is the event that was recorded: a step by its turn, batches by their number."""
    if isinstance(event, Stepped):
        return (event.path, Stepped, event.turn)
    return (event.path, type(event), number if isinstance(event, SubCalling) else 0)


def _comparable(event: Event) -> Event:
    """As it is written, without what may differ: times, and what the model read of them."""
    if isinstance(event, Stepped):
        event = replace(event, seconds=0.0, shown="", looked=())
    written = json.loads(json.dumps(msgspec.to_builtins(event, enc_hook=str)))
    return msgspec.convert(written, type(event))


def _where(event: Event) -> str:
    child = f"child {'.'.join(map(str, event.path))}, " if event.path else ""
    what = f"step {event.turn}" if isinstance(event, Stepped) else "the end"
    return child + ("sub-calls" if isinstance(event, SubCalling) else what)


def _differ(before: str, after: str) -> str:
    """Both from shortly before the place where they part."""
    same = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    start = max(0, same - 40)
    return f"was {before[start : start + SHOWN]!r}, is {after[start : start + SHOWN]!r}"


class _Front:
    """Calls nothing."""

    concurrency = 1

    def ask(self, view: View) -> Reply:
        raise LMCallError(MISSING)

    def ask_child(self, view: View) -> Reply:
        raise LMCallError(MISSING)

    def query(self, prompt: str, model: str | None) -> Completion:
        raise LMCallError(MISSING)

    def tool(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise LookupError(MISSING)
