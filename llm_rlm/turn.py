"""One turn of an rlm- model: from llm's prompt, through a run of the strategy, to the answer and its log.

`run` and `arun` differ in the driver only; what happens before, between and after the events is `Turn`'s."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import llm
from llm.parts import StreamEvent

from llm_rlm import exits, recording, schema, seam
from llm_rlm.forecast import fits, forecast
from llm_rlm.front import AsyncFront, Front, Paused, tools
from llm_rlm.progress import Progress
from llm_rlm.report import closing, details, fitting, spent, text_of, trace
from llm_rlm.settings import settle
from rlm_core.adrive import adrive
from rlm_core.context import Context, ContextError
from rlm_core.drive import drive
from rlm_core.events import Event, Noted
from rlm_core.limits import Budget, RunUsage
from rlm_core.lms import Completion, LMCallError, Message
from rlm_core.loop import DEFAULT_WINDOW, Result, Run, Task
from rlm_core.narrate import Narrator
from rlm_core.sandbox.protocol import Backend, SandboxError
from rlm_core.terminal import safe

if TYPE_CHECKING:
    from llm_rlm.family import _Twin


def run(twin: _Twin, prompt: Any, stream: bool, response: Any, key: str | None) -> Iterator[StreamEvent]:
    turn = Turn(twin, prompt, stream, response, key)
    yield from turn.begin()
    if turn.foretells:
        return
    if turn.is_plain:
        yield from turn.plainly()
        return
    with turn:
        events = drive(turn.run, Front(*turn.front), turn.backend, turn.recorder)
        try:
            while True:
                turn.progress.release()
                try:
                    event = next(events)
                except StopIteration as stop:
                    result = stop.value
                    break
                yield from turn.told(event)
        finally:
            events.close()
    yield from turn.end(result)


async def arun(
    twin: _Twin, prompt: Any, stream: bool, response: Any, key: str | None
) -> AsyncGenerator[StreamEvent, None]:
    turn = Turn(twin, prompt, stream, response, key)
    for event in turn.begin():
        yield event
    if turn.foretells:
        return
    if turn.is_plain:
        async for event in turn.aplainly():
            yield event
        return
    with turn:
        items = adrive(turn.run, AsyncFront(*turn.front), turn.backend, turn.recorder)
        try:
            turn.progress.release()
            async for item in items:
                if isinstance(item, Result):
                    result = item
                else:
                    for event in turn.told(item):
                        yield event
                turn.progress.release()
        finally:
            await items.aclose()
    for event in turn.end(result):
        yield event


class Turn:
    """What a turn is made from, and what becomes of it.

    As a context manager it holds what must be given back, and turns what ends a run from outside into what
    llm's user should see of it."""

    def __init__(self, twin: _Twin, prompt: Any, stream: bool, response: Any, key: str | None):
        self.prompt, self.response = prompt, response
        self.seam = seam.find(prompt)
        self.settings = settings = settle(twin, prompt.options, key)
        self._check_seen()
        self.budget = Budget(settings.limits)
        self.run = Run(
            self._task(),
            self.budget,
            settings.strategy,
            tools(prompt),
            window=settings.root.window or DEFAULT_WINDOW,
            sub_window=settings.sub.window or DEFAULT_WINDOW,
        )
        self.fits = not (prompt.schema or prompt.tools) and fits(self.seam, settings.root)
        self.foretells = settings.dry_run
        self.is_plain = (
            self.fits and settings.direct == "auto" and all(map(settings.root.sees, self.seam.seen.values()))
        )
        self.narrator = Narrator(end_apart=True)
        self.progress = Progress(
            lambda: self.budget.usage, quiet=prompt.hide_reasoning or not exits.in_command_line()
        )
        self.shown = stream and not prompt.hide_reasoning  # llm writes the reasoning to the terminal
        self.front = (
            settings.root,
            settings.sub,
            response,
            settings.concurrency,
            self.seam.seen,
            self.progress.hold,
        )

    def _task(self) -> Task:
        try:
            inputs = {"context": Context.of(self.seam.context)}
        except ContextError as error:
            raise seam.BadInput(str(error)) from None
        wanted = self.prompt.schema
        if not wanted:
            return Task(self.seam.query, inputs)
        return Task(
            self.seam.query,
            inputs,
            schema=schema.words(wanted),
            check=partial(schema.checked, schema=wanted),
        )

    def _check_seen(self) -> None:
        for name, attachment in self.seam.seen.items():
            if not self.settings.sub.sees(attachment):
                raise seam.BadInput(
                    f"{self.settings.sub.model_id} cannot see {name} ({attachment.resolve_type()}): "
                    "choose a model that can, with -o sub_model"
                )

    # ---- before it runs

    def begin(self) -> Iterator[StreamEvent]:
        """What the user is told first.  Raises where a key is missing: nothing has been sent yet."""
        settings = self.settings
        for note in self.seam.notes:
            yield from self.told(Noted((), note))
            if not self.shown:  # what was left out, everybody should know
                self.say(note)
        if self.foretells:
            yield self._answer(forecast(self.seam, settings, self.run))
            return
        exits.check_approvals(self.prompt.tools)
        for callee in (settings.root, settings.sub):
            callee.check_key()
            if exits.in_command_line():  # now, since its bar and the live line would fight for one row
                callee.fetch()
        if self.fits and not settings.direct and self.seam.documents:
            name = settings.root.model_id
            short = f"fits {name}'s window well" if settings.root.window else "is short"
            plainly = f"This text {short}: one plain call would do, -m {name} or -o direct auto"
            yield from self.told(Noted((), plainly))
        if self.prompt.options.max_cost is not None and settings.unpriced:
            self.say(
                f"Prices of {' and '.join(settings.unpriced)} are not known: max_cost holds only if the API "
                "reports costs; max_tokens holds always"
            )

    # ---- one plain call

    def plainly(self) -> Iterator[StreamEvent]:
        events = self.settings.root.stream(self._plain_messages(), list(self.seam.seen.values()))
        try:
            while True:
                yield next(events)
        except StopIteration as stop:
            yield from self._end_plainly(stop.value)
        except LMCallError as error:
            raise llm.ModelError(str(error)) from error

    async def aplainly(self) -> AsyncGenerator[StreamEvent, None]:
        try:
            async for item in self.settings.root.astream(
                self._plain_messages(), list(self.seam.seen.values())
            ):
                if isinstance(item, Completion):
                    for event in self._end_plainly(item):
                        yield event
                else:
                    yield item
        except LMCallError as error:
            raise llm.ModelError(str(error)) from error

    def _plain_messages(self) -> list[Message]:
        texts = self.seam.documents
        parts = (
            [f"# {name}\n\n{text}" for name, text in texts.items()] if len(texts) > 1 else [*texts.values()]
        )
        return [{"role": "user", "content": "\n\n".join([*parts, self.seam.asked])}]

    def _end_plainly(self, completion: Completion) -> Iterator[StreamEvent]:
        self.budget.record("root", 0, completion.model, completion.usage)
        self._log(Result(completion.text, "answered", usage=self.budget.usage, seconds=self.budget.seconds))
        yield self._answer("", follows_text=True)

    # ---- while it runs

    def __enter__(self) -> Turn:
        from rlm_core.sandbox.host import LocalSandbox

        sandbox = LocalSandbox(weak=self.settings.sandbox == "weak")
        sandbox.start(self.run.task.input_values)
        self.backend: Backend = sandbox
        self.recorder = recording.begin(
            self.run, self.settings, self.prompt.schema, self.seam.seen, self.seam.question
        )
        self.progress.__enter__()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.progress.__exit__(kind, error, trace)
        self.backend.close()
        if self.recorder:
            self.recorder.close()
            self.say(self.recorder.problem)
        result = getattr(error, "result", None)
        if isinstance(result, Result):  # Ctrl-C, or a task that was cancelled
            self._cancelled(result.usage, result.seconds)
        if isinstance(error, Paused):
            if isinstance(error.pause, click.Abort):
                self._cancelled(self.budget.usage, self.budget.seconds)
                raise KeyboardInterrupt from None  # of an Abort llm would tell an error without words
            raise error.pause from None
        if isinstance(error, SandboxError):
            raise llm.ModelError(str(error)) from error

    def _cancelled(self, usage: RunUsage, seconds: float) -> None:
        self.say(f"Cancelled. Spent: {spent(usage, seconds)}.")
        if exits.in_command_line():
            self.settings.root.interrupt()
            self.settings.sub.interrupt()

    def told(self, event: Event) -> Iterator[StreamEvent]:
        self.progress.note(event)
        text = self.narrator.tell(event)
        if text:
            self.progress.hold()
            if self.shown:
                self.progress.wrote(text)
            yield StreamEvent(type="reasoning", chunk=text)

    def say(self, text: str) -> None:
        """A line for the user of the command line, whether reasoning is shown or not."""
        if text and exits.in_command_line():
            self.progress.hold()
            click.echo(safe(text), err=True)

    # ---- when it is over

    def end(self, result: Result) -> Iterator[StreamEvent]:
        """The answer, and all that the log keeps."""
        usage = result.usage
        if result.status == "error" and (not usage.calls or not exits.in_command_line()):
            raise llm.ModelError(result.reason)
        self._log(result)
        result = fitting(result, self.prompt.schema)
        text = text_of(result, self.prompt.schema)
        yield self._answer(text)
        lines = closing(result)
        if text and lines and exits.on_terminal():
            click.echo(err=True)  # what is said next stands on a line of its own
        for line in lines:
            self.say(line)
        exits.leave_with(result.status)

    def _answer(self, text: str, follows_text: bool = False) -> StreamEvent:
        """The answer, with the record by which follow-ups find the context again.  Where there is no text
        for it to hang on, it makes a part of reasoning."""
        kind = "text" if text or follows_text else "reasoning"
        return StreamEvent(type=kind, chunk=text, provider_metadata=self.seam.record)

    def _log(self, result: Result) -> None:
        usage = result.usage
        self.response.set_usage(input=usage.input, output=usage.output, details=details(usage))
        self.response.response_json = {"rlm": trace(result)}
        self._log_text_once()

    def _log_text_once(self) -> None:
        """Has what came by stdin logged as a fragment: once for all questions about it, and out of the
        search index."""
        prompt = self.prompt
        if self.seam.stdin is None or getattr(prompt, "_explicit_messages", None) is None:
            return
        text = prompt._prompt[slice(*self.seam.stdin)]
        prompt.fragments = [*prompt.fragments, llm.Fragment(text, "stdin")]
        prompt._prompt = self.seam.question
        prompt.__class__ = _NamedByItsQuestion


class _NamedByItsQuestion(llm.Prompt):
    """A prompt as llm logs it.  It takes `prompt.prompt` for the name of the conversation, and with the text
    in it spends most of the time of logging there: 13 of 18 seconds for 100 MB."""

    @property
    def prompt(self) -> str:
        return self._prompt or ""
