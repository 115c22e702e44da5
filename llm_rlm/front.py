"""What the drivers ask of a front end - ask, ask_child, query, tool - over llm's models, sync and async."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import click
import llm

from llm_rlm.callee import Callee
from rlm_core.contract import Tool, check_tool_name
from rlm_core.events import Chunk
from rlm_core.lms import Completion, LMCallError, Message
from rlm_core.requests import Reply
from rlm_core.views import View


class Paused(BaseException):
    """A tool raised llm.PauseChain, or the user left when asked to approve its call.  It must leave the run,
    where an Exception would be shown to the model."""

    def __init__(self, pause: llm.PauseChain | click.Abort):
        super().__init__(str(pause))
        self.pause = pause


class ToolFailed(Exception):
    """A tool's failure as llm tells it; the text goes to the model's code."""


@dataclass
class _Front:
    """`root` is the root model, `sub` answers sub-calls and is the root model of children.  `seen`:
    attachments by name, sent with a sub-call whose prompt names them.  `hush` is called before a tool may
    write to the terminal."""

    root: Callee
    sub: Callee
    response: Any
    concurrency: int
    seen: dict[str, llm.Attachment] = field(default_factory=dict)
    hush: Callable[[], None] = lambda: None

    def callee(self, model: str | None) -> Callee:
        """Code may name the run's own models, and no other: the user has not agreed to pay for those."""
        for known in (self.sub, self.root):
            if model in (None, known.model_id):
                return known
        known_names = " and ".join(dict.fromkeys((self.sub.model_id, self.root.model_id)))
        raise LMCallError(f"this run may call {known_names}; leave `model` out")

    def attached(self, prompt: str) -> list[llm.Attachment]:
        return [attachment for name, attachment in self.seen.items() if name in prompt]

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> llm.ToolCall:
        self.hush()
        tool = next(tool for tool in self.response.prompt.tools if in_code(tool) == name)
        names = parameters(tool)
        if len(args) > len(names):
            raise TypeError(f"{name}() takes {len(names)} arguments, and {len(args)} were given")
        return llm.ToolCall(name=tool.name, arguments={**dict(zip(names, args, strict=False)), **kwargs})


class Front(_Front):
    def ask(self, view: View) -> Generator[Chunk, None, Reply]:
        events = self.root.stream(view.messages())
        while True:
            try:
                event = next(events)
            except StopIteration as stop:
                return Reply.read(stop.value)
            yield Chunk(view.path, event.chunk, event.type == "reasoning")

    def ask_child(self, view: View) -> Reply:
        return Reply.read(self.sub.complete(view.messages()))

    def query(self, prompt: str, model: str | None) -> Completion:
        return self.callee(model).complete(_user(prompt), self.attached(prompt))

    def tool(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return _output(self.response.execute_tool_call(self.call(name, args, kwargs)))
        except (llm.PauseChain, click.Abort) as pause:
            raise Paused(pause) from None


class AsyncFront(_Front):
    async def ask(self, view: View) -> AsyncGenerator[Chunk | Reply, None]:
        async for item in self.root.astream(view.messages()):
            if isinstance(item, Completion):
                yield Reply.read(item)
            else:
                yield Chunk(view.path, item.chunk, item.type == "reasoning")

    async def ask_child(self, view: View) -> Reply:
        return Reply.read(await self.sub.acomplete(view.messages()))

    async def query(self, prompt: str, model: str | None) -> Completion:
        return await self.callee(model).acomplete(_user(prompt), self.attached(prompt))

    async def tool(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return _output(await self.response.execute_tool_call(self.call(name, args, kwargs)))
        except (llm.PauseChain, click.Abort) as pause:
            raise Paused(pause) from None


def tools(prompt: Any) -> tuple[Tool, ...]:
    """The prompt's tools as the contract shows them.  Raises llm.ModelError for a name that code cannot
    use."""
    try:
        for tool in prompt.tools:
            check_tool_name(in_code(tool))
    except ValueError as error:
        raise llm.ModelError(str(error)) from None
    return tuple(
        Tool(
            in_code(tool),
            f"({', '.join(parameters(tool))}) -> str",
            " ".join((tool.description or "").split()),
        )
        for tool in prompt.tools
    )


def in_code(tool: Any) -> str:
    """The name by which code calls a tool: those of other protocols may be called `get-weather`."""
    return re.sub(r"\W", "_", tool.name)


def parameters(tool: Any) -> list[str]:
    return list((tool.input_schema or {}).get("properties", {}))


def _output(result: llm.ToolResult) -> str:
    if result.exception:
        raise ToolFailed(result.output)
    return result.output


def _user(prompt: str) -> list[Message]:
    return [{"role": "user", "content": prompt}]
