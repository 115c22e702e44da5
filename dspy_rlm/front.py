"""The fronts of an RLM's run: its predictors are the root LM, its sub-LM answers the sub-calls."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dspy
from dspy.utils.exceptions import AdapterParseError

from dspy_rlm import adapter
from dspy_rlm.inputs import own_instructions, plain
from dspy_rlm.predictors import told
from dspy_rlm.tools import by_name, is_async, run_async
from dspy_rlm.usage import Meter
from rlm_core import replies
from rlm_core.lms import Completion, LMCallError
from rlm_core.requests import Reply
from rlm_core.sandbox.protocol import Submission
from rlm_core.views import Turn, View

if TYPE_CHECKING:
    from dspy_rlm.module import RLM
    from dspy_rlm.sub_agents import SubAgents
    from rlm_core.delegates import Desk

CONCURRENCY = 16


class Front:
    """What the drivers ask of one call of an RLM.

    failure    the exception of the last root call that failed, until one succeeds
    extracted  whether the answer came from `extract`
    """

    def __init__(self, rlm: RLM, agents: SubAgents):
        self.rlm, self.agents = rlm, agents
        self.max_output_chars = rlm.max_output_chars
        self.concurrency = rlm.limits.concurrency or CONCURRENCY
        self.failure: Exception | None = None
        self.extracted = False
        self.tracing = dspy.settings.trace is not None
        self.steps: list[tuple[View, list[tuple[Any, dict[str, Any], Any]]]] = []

    def ask(self, view: View) -> Reply:
        if view.closing:
            return self._extract(view)
        with self._step(view) as meter:
            try:
                step = self.rlm.generate_action(**self._inputs(view))
            except AdapterParseError as error:
                return _unparsed(error, meter)
            return _reply(step, view, meter)

    def ask_child(self, view: View) -> Reply:
        with self._child(view) as (chosen, meter):
            try:
                return _reply(self.rlm.generate_action(**self._inputs(view), **chosen), view, meter)
            except AdapterParseError as error:
                return _unparsed(error, meter)

    def query(self, prompt: str, model: str | None) -> Completion:
        with self._query(prompt, model) as (lm, meter):
            return meter.completion(answer_text(lm(prompt)))

    def tool(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = call_tool(self.rlm.tools[name], args, kwargs)
        return plain(run_async(value) if inspect.isawaitable(value) else value)

    def delegate(self, args: tuple[Any, ...], desk: Desk) -> Any:
        return self.agents.run(args, desk, sub_lm(self.rlm))

    # ---- the steps' inputs, and what they leave in the trace

    def _inputs(self, view: View) -> dict[str, Any]:
        """Keywords for `generate_action`: the live contract goes into the signature of this one call."""
        signature = getattr(self.rlm.generate_action, "signature", self.rlm.action_signature)
        instructions = "\n\n".join(part for part in (view.contract, own_instructions(signature)) if part)
        return {
            "signature": told(signature, instructions),
            "variables_info": adapter.task(view),
            "repl_history": adapter.history(view.turns, self.max_output_chars),
            "iteration": f"{len(view.turns) + 1}/{self.rlm.max_iters}",
        }

    @contextlib.contextmanager
    def _step(self, view: View) -> Iterator[Meter]:
        """Around one call of the root LM.  A run leaves one entry in the trace, its last step with all that
        led to it: optimizers then see whole trajectories, and no step twice."""
        captured: list[tuple[Any, dict[str, Any], Any]] = []
        traced = captured if self.tracing else None
        with _adapted(view), dspy.context(trace=traced), Meter(view) as meter, self._failing():
            yield meter
        self.failure = None
        self.steps.append((view, captured))

    def _extract(self, view: View) -> Reply:
        with self._extracting(view) as (inputs, meter):
            return self._extracted(self.rlm.extract(**inputs), meter)

    @contextlib.contextmanager
    def _extracting(self, view: View) -> Iterator[tuple[dict[str, Any], Meter]]:
        captured: list[tuple[Any, dict[str, Any], Any]] = []
        inputs = {
            key: value for key, value in self._inputs(view).items() if key.endswith(("_info", "_history"))
        }
        traced = captured if self.tracing else None
        with dspy.context(trace=traced), Meter(view) as meter, self._failing():
            yield inputs, meter
        self.failure = None
        self.steps.append((view, captured))

    def _extracted(self, prediction: Any, meter: Meter) -> Reply:
        values = {name: plain(getattr(prediction, name)) for name in self.rlm.signature.output_fields}
        self.extracted = True
        completion = meter.completion("")
        submission = Submission("submit", values)
        return Reply(replies.Step("", "", None), "", completion.usage, completion.model, submission)

    @contextlib.contextmanager
    def _child(self, view: View) -> Iterator[tuple[dict[str, Any], Meter]]:
        """Around one call of a child's root LM: what is given beside the step's inputs, and the meter."""
        with _sub_call():
            lm = sub_lm(self.rlm)
            chosen = {"lm": lm} if isinstance(lm, dspy.BaseLM) else {}
            with _adapted(view), dspy.context(trace=None), Meter(view) as meter:
                yield chosen, meter

    @contextlib.contextmanager
    def _query(self, prompt: str, model: str | None) -> Iterator[tuple[Any, Meter]]:
        """Around one call of the sub-LM."""
        with _sub_call():
            lm = sub_lm(self.rlm, model)
            with Meter(prompt, lm) as meter:
                yield lm, meter

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Errors of the root LM as the loop knows them; the exception itself is kept, to be raised if the run
        comes to nothing.  All else is a bug, and surfaces as itself."""
        try:
            yield
        except (dspy.LMError, AdapterParseError, TimeoutError, ConnectionError) as error:
            self.failure = error
            raise LMCallError(str(error) or type(error).__name__, _kind(error)) from error

    def leave_trace(self, trace: list[Any]) -> None:
        """Gives the outer trace the last action's entries, and those of `extract` where it was used."""
        acted = [step for step in self.steps if not step[0].closing][-1:]
        for view, captured in (*acted, *(step for step in self.steps if step[0].closing)):
            for predictor, inputs, prediction in captured:
                if "repl_history" in inputs:
                    small = adapter.demo_of(view, "", "")
                    del small["reasoning"], small["code"]
                    inputs = small if not view.closing else {key: small[key] for key in inputs}
                trace.append((predictor, inputs, prediction))


class AsyncFront(Front):
    """The same with `acall` from end to end."""

    async def ask(self, view: View) -> Reply:  # type: ignore[override]
        if view.closing:
            with self._extracting(view) as (inputs, meter):
                return self._extracted(await _acall(self.rlm.extract, **inputs), meter)
        with self._step(view) as meter:
            try:
                step = await _acall(self.rlm.generate_action, **self._inputs(view))
            except AdapterParseError as error:
                return _unparsed(error, meter)
            return _reply(step, view, meter)

    async def ask_child(self, view: View) -> Reply:  # type: ignore[override]
        with self._child(view) as (chosen, meter):
            try:
                step = await _acall(self.rlm.generate_action, **self._inputs(view), **chosen)
            except AdapterParseError as error:
                return _unparsed(error, meter)
            return _reply(step, view, meter)

    async def query(self, prompt: str, model: str | None) -> Completion:  # type: ignore[override]
        with self._query(prompt, model) as (lm, meter):
            acall = getattr(lm, "acall", None)
            reply = await (acall(prompt) if acall else asyncio.to_thread(lm, prompt))
            return meter.completion(answer_text(reply))

    async def tool(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = call_tool(self.rlm.tools[name], args, kwargs)
        return plain(await value if inspect.isawaitable(value) else value)

    async def delegate(self, args: tuple[Any, ...], desk: Desk) -> Any:
        return await self.agents.arun(args, desk, sub_lm(self.rlm))


async def _acall(predictor: Any, **kwargs: Any) -> Any:
    acall = getattr(predictor, "acall", None)
    value = acall(**kwargs) if acall else predictor(**kwargs)
    return await value if inspect.isawaitable(value) else value


@contextlib.contextmanager
def _adapted(view: View) -> Iterator[None]:
    """Our own adapter around one call, where the user configured none."""
    if dspy.settings.adapter is not None:
        yield
        return
    with dspy.context(adapter=adapter.RLMAdapter(view)):
        yield


# ---- replies


def _reply(prediction: Any, view: View, meter: Meter) -> Reply:
    """The text is what the next prompt will show of it, and what a journal keeps."""
    reasoning = str(getattr(prediction, "reasoning", "") or "")
    code = str(getattr(prediction, "code", "") or "").strip()
    step = replies.Step(reasoning, _unfenced(code), None) if code else replies.read(reasoning)
    completion = meter.completion(Turn(reasoning, code).reply(view.fence))
    return Reply(step, completion.text, completion.usage, completion.model)


def _unparsed(error: AdapterParseError, meter: Meter) -> Reply:
    """A reply that the adapter could not read: what is readable in it, or a turn without code."""
    text = error.lm_response if isinstance(error.lm_response, str) else ""
    fields = adapter.read_json(text)
    step = (
        replies.Step(fields["reasoning"], _unfenced(fields["code"]), None) if fields else replies.read(text)
    )
    completion = meter.completion(text)
    return Reply(step, text, completion.usage, completion.model)


def _unfenced(code: str) -> str:
    return replies.read(code).code or code if "```" in code else code


def answer_text(response: Any) -> str:
    """The text of what an LM returned.  Raises TypeError for what is none."""
    if isinstance(response, dspy.lm15.Response):
        text = response.text
    elif isinstance(response, list) and response:
        text = response[0].get("text") if isinstance(response[0], dict) else response[0]
    elif isinstance(response, str):
        text = response
    else:
        raise TypeError(
            "Sub-LM must return dspy.lm15.Response or a non-empty list of text outputs, "
            f"got {type(response).__name__}."
        )
    if not isinstance(text, str):
        raise TypeError(f"Sub-LM response must contain text, got {type(text).__name__}.")
    return text


def _kind(error: Exception) -> str:
    for kind, name in _KINDS:
        if isinstance(error, kind):
            return name
    return "error"


_KINDS: Sequence[tuple[Any, str]] = (
    (dspy.ContextWindowExceededError, "overflow"),
    (dspy.LMRateLimitError, "rate_limit"),
    (dspy.LMAuthError, "auth"),
    ((dspy.LMTimeoutError, TimeoutError), "timeout"),
    ((dspy.LMTransportError, ConnectionError), "unreachable"),
    (AdapterParseError, "bad_reply"),
)


# ---- the sub-LM and the tools


@contextlib.contextmanager
def _sub_call() -> Iterator[None]:
    """Whatever a sub-LM raises is an error of the call that code made, which may go on without it."""
    try:
        yield
    except LMCallError:
        raise
    except Exception as error:
        text = str(error) if isinstance(error, dspy.DSPyError) else f"{type(error).__name__}: {error}"
        raise LMCallError(text or type(error).__name__, _kind(error)) from error


def sub_lm(rlm: RLM, model: str | None = None) -> Any:
    """`sub_lm`, or what `set_lm` gave, or the configured LM; under another name of its provider's where the
    code asked for one.  Raises LMNotConfiguredError."""
    lm = configured_sub_lm(rlm)
    if lm is None:
        raise dspy.LMNotConfiguredError("No LM configured. Use dspy.configure(lm=...) or pass sub_lm to RLM.")
    if model is None:
        return lm
    if not isinstance(lm, dspy.LM):
        raise LMCallError(f"llm_query(model={model!r}): this RLM's sub-LM is no dspy.LM, and has one model")
    return lm.copy(model=model)


def configured_sub_lm(rlm: RLM) -> Any:
    return rlm.sub_lm or getattr(rlm.generate_action, "lm", None) or dspy.settings.lm


def call_tool(tool: dspy.Tool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls a tool as code called it, positionally or by name."""
    args, named = by_name(tool.func, args, kwargs)
    if args:  # a function of *args
        return tool.func(*args, **named)
    return tool.acall(**named) if is_async(tool.func) else tool(**named)
