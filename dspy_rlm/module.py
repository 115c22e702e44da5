"""`RLM`: upstream's `dspy.RLM`, over `rlm_core`.

A call becomes one `Run` of the core's loop.  The loop asks for the root LM's next step, and the front
(`dspy_rlm.front`) gets it from `generate_action`; all else - sandbox, limits, sub-calls, compaction - is the
core's."""

from __future__ import annotations

import asyncio
import copy
import keyword
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.from_thread  # DSPy's own: `streamify` is built on it
import dspy
from dspy.primitives.code_interpreter import (
    SIMPLE_TYPES,
    CodeInterpreter,
    _validate_interpreter_factory,
)
from dspy.primitives.sandbox_serializable import SandboxSerializable
from dspy.utils.exceptions import AdapterParseError

from dspy_rlm import adapter, inputs, predictors
from dspy_rlm.foreign import Interpreters, set_up
from dspy_rlm.front import AsyncFront, Front, configured_sub_lm
from dspy_rlm.interpreter import RestrictedInterpreter
from dspy_rlm.native import Native
from dspy_rlm.prediction import RLMPrediction
from dspy_rlm.sub_agents import TAUGHT, SubAgents
from dspy_rlm.tools import described, normalized
from dspy_rlm.usage import window_of
from rlm_core import strategies
from rlm_core.contract import SUB_CALLS
from rlm_core.drive import drive
from rlm_core.events import Chunk, Event
from rlm_core.finals import PUSHES_BACK
from rlm_core.limits import Budget, Limits
from rlm_core.loop import DEFAULT_WINDOW, Result, Run
from rlm_core.narrate import Narrator
from rlm_core.sandbox.protocol import Backend
from rlm_core.strategies import Strategy

if TYPE_CHECKING:
    from rlm_core.journal import Recorder

logger = logging.getLogger(__name__)

RESERVED = frozenset({"llm_query", "llm_query_batched", "SUBMIT", "print", "dspy"})
RESERVED_RESULTS = frozenset({"trajectory", "final_reasoning"})
SHARED = frozenset({"sub_lm", "_user_tools", "_interpreter_factory", "journal"})
"""Attributes that a deep copy of a module shares with it."""


class RLMError(AdapterParseError):  # type: ignore[misc]
    """A run that ended without an answer for no one exception's sake: several replies in a row held no code.
    `partial` is its prediction so far.

    Upstream's class raises AdapterParseError at the first such reply; so what programs and optimizers do
    about that, they do about this (GEPA's `add_format_failure_as_feedback`)."""

    default_code = "rlm_error"
    partial: RLMPrediction | None = None

    def __init__(self, reason: str, signature: Any = None, lm_response: str = ""):
        dspy.DSPyError.__init__(self, reason)
        self.adapter_name, self.parsed_result = "RLMAdapter", None
        self.signature, self.lm_response = signature, lm_response


class RLM(dspy.Module):  # type: ignore[misc]
    """Recursive Language Model (arXiv 2512.24601) as a DSPy module.

    Arguments up to `interpreter_factory` are `dspy.RLM`'s own.  Then, by keyword:

    limits    tokens, cost, seconds, depth and more for one call, children included; iterations, sub-calls and
              output characters are set by `max_iters`, `max_llm_calls` and `max_output_chars`
    strategy  what the instructions of `generate_action` and its demos start as: a name, a file, a `Strategy`
    window, sub_window
              tokens that fit the root LM and the sub-LM, where no price list knows them
    sandbox   "auto", or "weak": goes on where the operating system cannot lock the worker in
    push_back whether an answer that stands nowhere in the inputs or outputs is asked for again, once; it is
              flagged in any case (`prediction.run.unverified`)
    journal   a file that keeps every run as it happens
    teach_sub_agents
              whether the contract tells the model of `dspy.Predict` and its like in the REPL; they work
              in any case

    What happens is told as it happens: a DSPy callback that has `on_rlm_event(rlm, event)` gets every event
    of `rlm_core.events`, and so does the stream of `dspy.streamify`.

    A run that fails raises, and the exception carries `.partial`, the prediction so far.  One that ends by a
    limit or with NOT_FOUND returns: fields that have no value are None, and `prediction.run` tells why.
    """

    def __init__(
        self,
        signature: type[dspy.Signature] | str,
        max_iters: int = 20,
        max_llm_calls: int = 50,
        max_output_chars: int = 10_000,
        verbose: bool = False,
        tools: list[Callable[..., Any]] | None = None,
        sub_lm: Any = None,
        interpreter_factory: Callable[[], CodeInterpreter] = RestrictedInterpreter,
        *,
        limits: Limits | None = None,
        strategy: str | Path | Strategy = "default",
        window: int | None = None,
        sub_window: int | None = None,
        sandbox: str = "auto",
        push_back: bool = False,
        journal: str | Path | None = None,
        teach_sub_agents: bool = False,
    ):
        super().__init__()
        _validate_interpreter_factory(interpreter_factory)
        if sandbox not in ("auto", "weak"):
            raise ValueError(f"sandbox={sandbox!r}: must be 'auto' or 'weak'")
        self.signature = dspy.ensure_signature(signature)
        inputs.warn_of_decisions(self.signature)
        self.max_iters = max_iters
        self.max_llm_calls = max_llm_calls
        self.max_output_chars = max_output_chars
        self.verbose = verbose
        self.sub_lm = sub_lm
        self.limits = _other_limits(limits)
        self.window, self.sub_window = window, sub_window
        self.sandbox = sandbox
        self.push_back = push_back
        self.teach_sub_agents = teach_sub_agents
        self.journal = None if journal is None else Path(journal)
        self._interpreter_factory = interpreter_factory
        self._user_tools = normalized(tools)
        self._validate_namespace()

        start = strategies.load(strategy)
        self.strategy = replace(start, examples=(), advice="")  # what of it no predictor holds
        task = inputs.own_instructions(self.signature)
        self.action_signature = predictors.action_signature(task, start.advice)
        self.generate_action = predictors.Action(self.action_signature)
        self.generate_action.demos = [adapter.demo(example, start.wording) for example in start.examples]
        self.extract = predictors.Extract(predictors.extract_signature(self.signature, task))

    @property
    def tools(self) -> dict[str, dspy.Tool]:
        """The caller's tools by name."""
        return dict(self._user_tools)

    def forward(
        self, *, interpreter_factory: Callable[[], CodeInterpreter] | None = None, **input_args: Any
    ) -> RLMPrediction:
        """The outputs for these inputs.

        interpreter_factory  another one for this call alone

        Raises ValueError for wrong inputs and SandboxError before anything is sent; later, the LM's or the
        interpreter's exception, with `.partial`."""
        call = self._begin(input_args, interpreter_factory)
        front = Front(self, call.agents)
        events = drive(call.run, front, call.backend, call.recorder)
        try:
            # LM calls run on threads from which DSPy cannot stream; events are sent from this one.
            with dspy.context(send_stream=None):
                while True:
                    try:
                        event = next(events)
                    except StopIteration as stop:
                        return call.finish(stop.value, front)
                    call.tell(event)
                    if call.stream is not None:
                        anyio.from_thread.run(call.stream.send, event)
        except BaseException as error:
            raise call.failed(error, front) from error.__cause__
        finally:
            events.close()
            call.close()

    async def aforward(
        self, *, interpreter_factory: Callable[[], CodeInterpreter] | None = None, **input_args: Any
    ) -> RLMPrediction:
        """As `forward`, on an event loop: nothing blocks it."""
        from rlm_core.adrive import adrive

        # In a thread: looking over long inputs takes its time.
        call = await asyncio.to_thread(self._begin, input_args, interpreter_factory)
        front = AsyncFront(self, call.agents)
        items = adrive(call.run, front, call.backend, call.recorder)
        try:
            async for item in items:
                if isinstance(item, Result):
                    return call.finish(item, front)
                call.tell(item)
                if call.stream is not None and not isinstance(item, Chunk):
                    await call.stream.send(item)
            raise RuntimeError("the run ended without a result")
        except BaseException as error:
            raise call.failed(error, front) from error.__cause__
        finally:
            await items.aclose()
            call.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> RLM:
        made = self.__class__.__new__(self.__class__)
        memo[id(self)] = made
        for name, value in self.__dict__.items():
            made.__dict__[name] = value if name in SHARED else copy.deepcopy(value, memo)
        return made

    # ---- one call

    def _begin(self, given: dict[str, Any], factory: Callable[[], CodeInterpreter] | None) -> Call:
        inputs.check_names(self.signature, given)
        factory = factory or self._factory()
        _validate_interpreter_factory(factory)
        made = {name: value for name, value in given.items() if isinstance(value, SandboxSerializable)}
        native = factory is RestrictedInterpreter
        agents = SubAgents(self, factory)
        run = Run(
            inputs.task(self.signature, given, self._rules(factory)),
            Budget(self._limits()),
            self.current_strategy(),
            described(self._user_tools),
            window=self.window or window_of(self._root_lm()) or DEFAULT_WINDOW,
            sub_window=self.sub_window or window_of(configured_sub_lm(self)),
            offers=None if native else frozenset(SUB_CALLS),
            pushes_back=PUSHES_BACK if self.push_back else PUSHES_BACK - {"not grounded"},
            delegates=agents,
        )
        backend = self._backend(factory, run, made)
        return Call(self, run, agents, backend, self._recorder(run))

    def _backend(self, factory: Any, run: Run, made: dict[str, Any]) -> Backend:
        values = run.task.values
        if factory is RestrictedInterpreter:
            native = Native(self.sandbox == "weak", made)
            native.start(values, run.repl)
            return native

        def prepare(interpreter: Any, opened: Any) -> Any:
            if opened.keys() != values.keys() or any(opened[name] is not values[name] for name in values):
                return opened  # a child's
            plain = {name: value for name, value in opened.items() if name not in made}
            for name, value in made.items():
                set_up(interpreter, name, value)
            return plain

        fields = [_field_info(name, field) for name, field in self.signature.output_fields.items()]
        tools = {name: tool.func for name, tool in self._user_tools.items()}
        return Interpreters(factory, fields, tools, prepare)

    def _factory(self) -> Callable[[], CodeInterpreter]:
        """The constructor's, else the configured one, else ours."""
        if self._interpreter_factory not in (None, RestrictedInterpreter):
            return self._interpreter_factory
        configured = dspy.settings.get("interpreter_factory")
        if configured is None:
            return RestrictedInterpreter
        _validate_interpreter_factory(configured, name="dspy.settings.interpreter_factory")
        return configured  # type: ignore[no-any-return]

    def _limits(self) -> Limits:
        return replace(
            self.limits,
            iterations=max(0, self.max_iters),
            sub_calls=self.max_llm_calls,
            output_chars=max(100, self.max_output_chars),
        )

    def current_strategy(self) -> Strategy:
        """What `generate_action` says now, as the core knows it: its instructions and demos."""
        signature = getattr(self.generate_action, "signature", self.action_signature)
        demos = getattr(self.generate_action, "demos", None) or []
        examples = tuple(adapter.example(demo) for demo in demos if adapter.is_demo(demo))
        return replace(self.strategy, advice=inputs.own_instructions(signature), examples=examples)

    def _rules(self, factory: Any) -> str:
        rules = "" if factory is RestrictedInterpreter else getattr(factory, "execution_instructions", "")
        if not isinstance(rules, str):
            raise TypeError("interpreter_factory.execution_instructions must be a string")
        parts = [f"Execution environment:\n{rules}" if rules else "", TAUGHT if self.teach_sub_agents else ""]
        return "\n\n".join(part for part in parts if part)

    def _root_lm(self) -> Any:
        return getattr(self.generate_action, "lm", None) or dspy.settings.lm

    def _recorder(self, run: Run) -> Recorder | None:
        if self.journal is None:
            return None
        from rlm_core.journal import About, Journal, setup_of

        names = [str(getattr(lm, "model", "")) for lm in (self._root_lm(), configured_sub_lm(self))]
        about = About("dspy", names[0], names[1], run.task.query, setup_of(run, self.sandbox))
        return Journal(self.journal).begin(about, run.task.input_values, run.task.chars)

    def _validate_namespace(self) -> None:
        def is_reserved(name: str) -> bool:
            return name in RESERVED or name.startswith(("_dspy", "__dspy"))

        for name in self._user_tools:
            if not name.isidentifier() or keyword.iskeyword(name):
                raise ValueError(
                    f"Invalid tool name '{name}': must be a valid Python identifier and not a keyword"
                )
            if is_reserved(name):
                raise ValueError(f"Tool name '{name}' conflicts with built-in sandbox function")
        names = set(self.signature.input_fields)
        if "interpreter_factory" in names:
            raise ValueError(
                "'interpreter_factory' is reserved for RLM runtime configuration, not a signature input."
            )
        if reserved := sorted(filter(is_reserved, names)):
            raise ValueError(f"Input fields conflict with built-in sandbox functions: {reserved}")
        if both := sorted(names & self._user_tools.keys()):
            raise ValueError(f"Input fields conflict with user tools: {both}")
        if results := sorted(set(self.signature.output_fields) & RESERVED_RESULTS):
            raise ValueError(f"Output fields conflict with RLM result metadata: {results}")


class Call:
    """One call under way."""

    def __init__(self, rlm: RLM, run: Run, agents: SubAgents, backend: Backend, recorder: Recorder | None):
        self.rlm, self.run, self.agents = rlm, run, agents
        self.backend, self.recorder = backend, recorder
        self.narrator = Narrator() if rlm.verbose else None
        self.trace = dspy.settings.trace
        self.stream = dspy.settings.send_stream
        callbacks = [*(dspy.settings.callbacks or []), *(rlm.callbacks or [])]
        self.listeners = [found for one in callbacks if (found := getattr(one, "on_rlm_event", None))]

    def tell(self, event: Event) -> None:
        for listener in self.listeners:
            try:
                listener(self.rlm, event)
            except Exception as error:  # as DSPy treats its callbacks'
                logger.warning("on_rlm_event of %s failed: %s", type(listener).__name__, error)
        if self.narrator and (text := self.narrator.tell(event).rstrip("\n")):
            logger.info(text)

    def finish(self, result: Result, front: Front) -> RLMPrediction:
        """The prediction; or raises what the run failed of."""
        prediction = self._prediction(result, front)
        unanswered = all(prediction[name] is None for name in self.rlm.signature.output_fields)
        failed = result.status == "error" or (front.failure is not None and unanswered)
        if failed and result.status != "not_found":
            raise front.failure or self._error(result)
        if self.trace is not None:
            front.leave_trace(self.trace)
        return prediction

    def _error(self, result: Result) -> RLMError:
        signature = getattr(self.rlm.generate_action, "signature", None)
        said = result.trajectory[-1].reasoning if result.trajectory else ""
        return RLMError(result.reason, signature, said)

    def failed(self, error: BaseException, front: Front) -> BaseException:
        """The exception, with what there is so far."""
        if getattr(error, "partial", None) is None:
            status = "error" if isinstance(error, Exception) else "cancelled"
            result = self.run.result(status, str(error))  # type: ignore[arg-type]
            try:
                error.partial = self._prediction(result, front)  # type: ignore[attr-defined]
            except AttributeError:  # an exception with slots
                pass
        return error

    def close(self) -> None:
        self.backend.close()
        if self.recorder:
            self.recorder.close()
            if self.recorder.problem:
                logger.warning("%s", self.recorder.problem)

    def _prediction(self, result: Result, front: Front) -> RLMPrediction:
        answered = result
        if result.status != "answered" and self.run.judge.misfit:  # never a value of another type in a field
            answered = replace(result, answer=None)
        fields = inputs.fields_of(self.rlm.signature, answered)
        return RLMPrediction.of(result, fields, front.extracted, self.run.contract)


def _other_limits(limits: Limits | None) -> Limits:
    limits = Limits() if limits is None else limits
    if not isinstance(limits, Limits):
        raise TypeError(f"limits={limits!r}: must be a Limits, such as Limits(cost=1.0)")
    for name, argument in (
        ("iterations", "max_iters"),
        ("sub_calls", "max_llm_calls"),
        ("output_chars", "max_output_chars"),
    ):
        if getattr(limits, name) != getattr(Limits(), name):
            raise ValueError(f"Limits({name}=...): give {argument}= to RLM instead")
    return limits


def _field_info(name: str, field: Any) -> dict[str, Any]:
    """As upstream tells an interpreter of an output field."""
    info = {"name": name}
    if field.annotation in SIMPLE_TYPES:
        info["type"] = field.annotation.__name__
    return info


def install() -> None:
    """Makes `dspy.RLM` this one, in this process."""
    import dspy.predict
    import dspy.predict.rlm

    dspy.RLM = dspy.predict.RLM = dspy.predict.rlm.RLM = RLM
