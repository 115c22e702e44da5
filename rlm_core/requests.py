"""What the loop wants done, and what it is sent for it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rlm_core import replies
from rlm_core.events import Event
from rlm_core.lms import Completion, Usage
from rlm_core.sandbox.protocol import Done, Execute, HostCall, Resume, Submission
from rlm_core.views import View

if TYPE_CHECKING:
    from rlm_core.loop import Result, Run  # noqa: F401 - in the string below

R = TypeVar("R")


class Request(Generic[R]):
    """Something the loop wants done.  `yield from` one gives its typed reply."""

    def __iter__(self) -> Generator[Request[Any] | Event, Any, R]:
        reply: R = yield self
        return reply


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that failed for good.  `kind` and `usage` as in LMCallError."""

    error: str
    kind: str = "error"
    usage: Usage | None = None
    seconds: float = 0.0  # how long the root LM was waited for


@dataclass(frozen=True, slots=True)
class Reply:
    """The root LM's reply, read.  `submission`: the values themselves, where a front asks for the last answer
    in its own way."""

    step: replies.Step
    text: str
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    submission: Submission | None = None
    seconds: float = 0.0  # how long it was waited for

    @classmethod
    def read(cls, completion: Completion) -> Reply:
        return cls(replies.read(completion.text), completion.text, completion.usage, completion.model)


@dataclass(frozen=True, slots=True)
class Ask(Request["Reply | Failed"]):
    view: View


@dataclass(frozen=True, slots=True)
class InSandbox(Request[HostCall | Done]):
    frame: Execute | Resume


@dataclass(frozen=True, slots=True)
class Query(Request["list[Completion | Failed]"]):
    prompts: tuple[str, ...]
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Recurse(Request["list[Result | Failed]"]):
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class UseTool(Request["Any | Failed"]):
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delegate(UseTool):
    """A sub-agent of the front's own kind: it may take long, and calls LMs within the run's budget."""
