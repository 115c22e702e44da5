"""A stage for the strategy: a tree of runs, played by scripted replies and cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rlm_core import strategies
from rlm_core.context import Context
from rlm_core.contract import Tool
from rlm_core.events import Event
from rlm_core.limits import Budget, Limits
from rlm_core.lms import Completion, Usage
from rlm_core.loop import Result, Run, Task
from rlm_core.requests import Ask, Failed, InSandbox, Query, Reply, UseTool
from rlm_core.sandbox.protocol import Done, Execute, HostCall, Resume, Submission
from rlm_core.tree import Job, Tree

USED = Usage(input=10, output=1, cost=0.5)


def repl(code: str) -> str:
    return f"```repl\n{code}\n```"


def printed(text: str, **more: Any) -> Done:
    return Done(text, **more)


def submitted(value: Any, literal: bool = False, output: str = "", **more: Any) -> Done:
    return Done(output, submitted=Submission("submit", {"answer": value}, literal), **more)


@dataclass
class Stage:
    """Performs a tree's jobs.

    replies  what the root LM says, in turn, or a function of its view; a `Failed` fails the call
    cells    code -> what it does: a Done, or a list of HostCalls and a Done at its end
    answer   what sub-calls say"""

    run: Run
    replies: Any
    cells: dict[str, Any] = field(default_factory=dict)
    answer: Callable[[str], Any] = lambda prompt: f"<{prompt}>"
    tool: Callable[..., Any] = lambda *args: None
    concurrency: int = 16
    record: Any = None
    events: list[Event] = field(default_factory=list)
    performed: list[Job] = field(default_factory=list)
    views: list[Any] = field(default_factory=list)
    sent: list[Execute | Resume] = field(default_factory=list)
    _cells: dict[Any, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tree = Tree(self.run, self.concurrency, self.record)

    def play(self) -> Result:
        while self.tree.result is None:
            jobs = []
            for item in self.tree.ready():
                if isinstance(item, Event):
                    self.events.append(item)
                else:
                    jobs.append(item)
            if not jobs and self.tree.result is None:
                raise AssertionError("nothing to do and no result: a hang")
            for job in jobs:
                self.performed.append(job)
                self.tree.settle(job, self.perform(job))
        self.events.extend(item for item in self.tree.ready() if isinstance(item, Event))
        return self.tree.result

    def perform(self, job: Job) -> Any:
        request = job.request
        if isinstance(request, Ask):
            self.views.append(request.view)
            reply = self.replies(request.view) if callable(self.replies) else self.replies.pop(0)
            return reply if isinstance(reply, Failed) else Reply.read(Completion(reply, USED, "root"))
        if isinstance(request, Query):
            text = self.answer(request.prompts[0])
            return text if isinstance(text, Failed) else Completion(text, USED, "sub")
        if isinstance(request, UseTool):
            return self.tool(request.name, *request.args, **request.kwargs)
        assert isinstance(request, InSandbox)
        self.sent.append(request.frame)
        if isinstance(request.frame, Execute):
            does = self.cells.get(request.frame.code, Done("ok"))
            self._cells[job.live] = list(does) if isinstance(does, list) else [does]
        frame = self._cells[job.live].pop(0)
        return frame(request.frame) if callable(frame) else frame

    @property
    def told(self) -> list[str]:
        """What the root LM read after each turn."""
        return [turn.shown for turn in self.run.history.turns]

    def resumed(self) -> list[Any]:
        """What the code got back from its calls."""
        return [frame.error or frame.value for frame in self.sent if isinstance(frame, Resume)]


def a_run(
    context: Any = "The magic number is 4711.", query: str = "What is the magic number?", **more: Any
) -> Run:
    limits = more.pop("limits", Limits())
    tools = tuple(Tool(name) for name in more.pop("tools", ()))
    task = Task(
        query, {"context": Context.of(context)}, **{k: more.pop(k) for k in ("fields", "check") if k in more}
    )
    strategy = strategies.load(more.pop("strategy", "default"))
    return Run(task, more.pop("budget", Budget(limits)), strategy, tools, **more)


def stage(replies: Any, cells: dict[str, Any] | None = None, **more: Any) -> Stage:
    own = {key: more.pop(key) for key in ("answer", "tool", "concurrency", "record") if key in more}
    replies = replies if callable(replies) else list(replies)
    return Stage(a_run(**more), replies, cells or {}, **own)


def llm_query(prompt: str) -> HostCall:
    return HostCall("llm_query", (prompt,), {})


def llm_query_batched(*prompts: str) -> HostCall:
    return HostCall("llm_query_batched", (list(prompts),), {})
