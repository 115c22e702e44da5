"""A recorded run as a tree: its steps, their sub-calls, the children that they started.

Events come in order; here they are put where they belong.  What looks at a run reads this: `llm rlm show`,
the page, training examples.

Times are in seconds since the epoch, as if a run that was broken off had gone on at once: what lay between
is taken out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rlm_core.events import (
    Asking,
    Ended,
    Event,
    Path,
    Replied,
    Resumed,
    Started,
    Stepped,
    SubCalled,
    ToolUsed,
)
from rlm_core.lms import Usage


@dataclass(slots=True)
class Call:
    """One call of an LM or a tool.  `seconds`: how long it took."""

    kind: str  # "root", "sub" or "tool"
    end: float
    seconds: float
    prompt: str = ""
    text: str = ""
    usage: Usage | None = None
    model: str = ""
    error: str = ""
    batch: int = 0  # the number of its run's request; calls of one batch have the same
    slot: int = 0  # its place in the batch


@dataclass(slots=True)
class Step:
    """One turn.  `asked`: when its root LM was asked; `asking`: that call, once it has come back."""

    turn: int
    asked: float
    asking: Call | None = None
    code: str = ""
    output: str = ""
    error: str = ""
    shown: str = ""
    seconds: float = 0.0  # its code's own running time
    end: float | None = None
    looked: tuple[tuple[str, str, int, int], ...] = ()  # by grep and chunks: (helper, text, start, length)
    calls: list[Call] = field(default_factory=list)
    children: list[Trace] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Trace:
    """One run of the tree.  `status` is "" while it has not ended."""

    path: Path
    query: str
    chars: int
    card: str
    start: float
    end: float | None = None
    status: str = ""
    answer: Any = None
    reason: str = ""
    text: str = ""  # a child's own context
    notes: list[str] = field(default_factory=list)  # of how its inputs were read, before the first step
    steps: list[Step] = field(default_factory=list)

    @property
    def depth(self) -> int:
        return len(self.path)

    def runs(self) -> Iterator[Trace]:
        """This run and all below it."""
        yield self
        for step in self.steps:
            for child in step.children:
                yield from child.runs()


def trace(events: Iterable[tuple[float, int, Event]]) -> Trace | None:
    """The root's, from (time, number, event) in order, as `Journal.events` gives them; None where there are
    none."""
    told = list(events)
    breaks = _breaks(told)
    runs: dict[Path, Trace] = {}
    for wall, number, event in told:
        at = wall - sum(end - start for start, end in breaks if end <= wall)
        if isinstance(event, Started):
            run = Trace(event.path, event.query, event.chars, event.card, at, text=event.text)
            if event.path:
                runs[event.path[:-1]].steps[-1].children.append(run)
            runs[event.path] = run
        elif not isinstance(event, Resumed):
            _place(runs[event.path], at, number, event)
    return runs.get(())


def _breaks(events: list[tuple[float, int, Event]]) -> list[tuple[float, float]]:
    """When nobody was at the run: from the last that was heard of it until it went on."""
    breaks = []
    for resumed in (at for at, _, event in events if isinstance(event, Resumed)):
        breaks.append((max((at for at, _, _ in events if at < resumed), default=resumed), resumed))
    return breaks


def _place(run: Trace, at: float, number: int, event: Event) -> None:
    if isinstance(event, Asking):
        run.steps.append(Step(event.turn, at))
        return
    if isinstance(event, Ended):
        run.end, run.status, run.answer, run.reason = at, event.status, event.answer, event.reason
        return
    if not isinstance(event, (Replied, SubCalled, ToolUsed, Stepped)):
        if event.words:
            (run.steps[-1] if run.steps else run).notes.append(event.words)
        return
    if not run.steps or (isinstance(event, Replied) and event.turn != run.steps[-1].turn):
        run.steps.append(Step(getattr(event, "turn", 0), at))  # the last ask is not announced
    step = run.steps[-1]
    match event:
        case Replied():
            used = (event.usage, event.model, event.error)
            step.asking = Call("root", at, event.seconds, "", event.text, *used, number)
            step.code = event.code
        case SubCalled():
            call = Call("sub", at, event.seconds, event.prompt, event.text, event.usage, event.model)
            call.error, call.batch, call.slot = event.error, number, event.slot
            step.calls.append(call)
        case ToolUsed():
            step.calls.append(Call("tool", at, event.seconds, event.name, error=event.error, batch=number))
        case Stepped():
            step.code, step.output, step.error = event.code, event.output, event.error
            step.shown, step.seconds, step.end = event.shown, event.seconds, at
            step.looked = event.looked
