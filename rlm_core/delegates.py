"""Sub-agents: what code in the REPL may start beside sub-calls and child RLMs, of a kind that a front brings.

The code reaches them through a module that the front gives to the sandbox (`Repl.modules`); each call of that
module's `call_host` starts one.  A front either makes a child of the run of it, or runs it itself, and then
every LM call that it makes goes through a `Desk`: the one budget, usage and events of the tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rlm_core.contract import Tool
from rlm_core.events import Event, SubCalled
from rlm_core.limits import Refused
from rlm_core.lms import Completion
from rlm_core.requests import Failed

if TYPE_CHECKING:
    from rlm_core.loop import Result, Task
    from rlm_core.tree import Job, Tree


@dataclass(frozen=True, slots=True)
class Child:
    """A sub-agent that is a child of the run.

    value    what the code gets of its result; a `Failed` is raised there
    tools    those of the run's tools that it may call
    limits   of its own, by their names in `Limits`: of iterations, sub_calls and output_chars
    """

    task: Task
    value: Callable[[Result], Any]
    tools: tuple[Tool, ...] = ()
    limits: dict[str, int] = field(default_factory=dict)


class Delegates(Protocol):
    """The sub-agents of a front.  `module`: the name of their module in the REPL;  `source`: its source."""

    @property
    def module(self) -> str: ...

    @property
    def source(self) -> str: ...

    def kind(self, *args: Any) -> str:
        """What an event calls the sub-agent that `call_host(*args)` asks for."""

    def child(self, *args: Any) -> Child | None:
        """The same sub-agent as a child of the run; None where the front runs it.  Raises ValueError and
        TypeError in words for the code."""


class Desk:
    """Where the LM calls of one sub-agent are counted.  Its methods may be called from any thread; `tell`
    brings an event to the tree's own."""

    def __init__(self, tree: Tree, job: Job, tell: Callable[[Event], None]):
        self._tree, self._run, self._tell = tree, job.live.run, tell
        self._calls = 0

    def reserve(self, chars: int, count: int = 1) -> int:
        """Before a call of `chars` characters that asks for `count` completions.  Gives what `settle` needs.
        Raises Refused and LimitReached."""
        if self._tree.result is not None:
            raise Refused("the run is over")
        self._run.reserve_sub_calls(count)
        return self._tree.budget.reserve(chars)

    def settle(self, reserved: int, prompt: str, outcome: Completion | Failed, seconds: float) -> None:
        """After it, whatever came of it."""
        budget = self._tree.budget
        budget.release(reserved)
        text, error, model = (
            ("", outcome.error, "") if isinstance(outcome, Failed) else (outcome.text, "", outcome.model)
        )
        if outcome.usage is not None:
            budget.record("sub", self._run.depth + 1, model, outcome.usage)
        slot, self._calls = self._calls, self._calls + 1
        place = (self._run.path, slot, slot + 1, slot + 1)
        self._tell(SubCalled(*place, prompt, text, outcome.usage, model, error, seconds))
