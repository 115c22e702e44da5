"""Sub-agents: `dspy.Predict("a -> b")(a=...)` and its like in generated code, as upstream documents them.

The REPL has a module `dspy` (`in_repl.py`) whose calls come here.  A `dspy.RLM` is a child of the run, in the
same sandbox.  Any other predictor is built on the host, and runs on the run's sub-LM, each call of which is
counted at a desk: limits, usage and events of the one tree."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dspy
from dspy.signatures.signature import make_signature
from pydantic_core import PydanticSerializationError, to_jsonable_python

from dspy_rlm import inputs
from dspy_rlm.prediction import RLMPrediction
from dspy_rlm.tools import described, normalized
from dspy_rlm.usage import Meter
from rlm_core.delegates import Child, Desk
from rlm_core.lms import LMCallError
from rlm_core.loop import Result
from rlm_core.requests import Failed

try:
    from dspy.clients._deprecation import adapter_message_call
except ImportError:  # DSPy 3.5 has no messages= any more, nor the warning

    def adapter_message_call(lm: Any, messages: Any) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


if TYPE_CHECKING:
    from dspy_rlm.module import RLM

MODULE = "dspy"
SOURCE = Path(__file__).with_name("in_repl.py").read_text(encoding="utf-8")

TAUGHT = """\
Sub-agents: the REPL has `dspy`, for subtasks with structured inputs and outputs.
- dspy.Predict("question -> answer: list[str]")(question=...).answer, or dspy.ChainOfThought(...): one LM call
- dspy.ReActV2("question -> answer", tools=[...])(question=...): several steps, with tools that you were given
- dspy.RLM("context, query -> answer")(context=..., query=...): one like yourself, with its own REPL
Prefer llm_query for a plain prompt."""

KINDS = ("Predict", "ChainOfThought", "RLM", "CodeAct", "ProgramOfThought", "ReAct", "ReActV2")
SIGNATURE, TOOL = "__dspy_sig__", "__dspy_tool__"
"""Keys of the dicts as which signatures and tools cross; upstream's, so that its own `dspy` for interpreters
may stand in the place of ours."""

CODES_OWN = {
    *("temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "n", "seed", "logprobs"),
    *("top_logprobs", "response_format", "reasoning", "reasoning_effort", "tools", "tool_choice"),
    *("parallel_tool_calls", "cache", "rollout_id", "prompt_cache", "prompt_cache_key"),
}
"""Settings of an LM call that are the code's to choose.  Model, endpoint, keys and headers are not."""

CHILD_LIMITS = {"max_iters": "iterations", "max_llm_calls": "sub_calls", "max_output_chars": "output_chars"}
"""Options of `dspy.RLM` -> what they limit in a child."""


class SubAgents:
    """The sub-agents that the code of one call of an RLM may start.

    interpreter_factory  for predictors that run code of their own
    """

    module, source = MODULE, SOURCE

    def __init__(self, rlm: RLM, interpreter_factory: Callable[[], Any]):
        self.rlm, self.interpreter_factory = rlm, interpreter_factory

    # ---- Delegates

    def kind(self, *args: Any) -> str:
        return f"dspy.{args[0]}"

    def child(self, *args: Any) -> Child | None:
        kind, signature, options, given = _checked(args)
        if kind != "RLM":
            return None
        made = _signature(signature)
        inputs.check_names(made, given)
        options = {name: self._with_tools(value) for name, value in options.items()}
        tools = described(normalized(options.pop("tools", None)))
        options.pop("verbose", None)
        if unknown := sorted(options.keys() - CHILD_LIMITS.keys()):
            raise TypeError(f"dspy.RLM in the REPL takes {', '.join(CHILD_LIMITS)} and tools, not {unknown}")
        limits = {CHILD_LIMITS[name]: max(0, int(value)) for name, value in options.items()}
        task = inputs.task(made, given)
        return Child(task, functools.partial(_fields_of, made), tools, limits)

    # ---- those that the front runs

    def run(self, args: tuple[Any, ...], desk: Desk, lm: Any) -> dict[str, Any]:
        """The fields of the prediction of the sub-agent that `args` ask for, on the LM given."""
        predictor, given = self._built(args)
        with _as_sub_agent(DeskLM(lm, desk)):
            return _fields(predictor(**given))

    async def arun(self, args: tuple[Any, ...], desk: Desk, lm: Any) -> dict[str, Any]:
        predictor, given = self._built(args)
        with _as_sub_agent(DeskLM(lm, desk)):
            if hasattr(predictor, "aforward"):
                return _fields(await predictor.acall(**given))
            return _fields(await asyncio.to_thread(predictor, **given))

    def _built(self, args: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
        kind, signature, options, given = _checked(args)
        made = {name: self._with_tools(value) for name, value in options.items()}
        cls = getattr(dspy, kind)
        if "interpreter_factory" in inspect.signature(cls.__init__).parameters:
            made["interpreter_factory"] = self.interpreter_factory
        return cls(_signature(signature), **made), given

    def _with_tools(self, value: Any) -> Any:
        """An option with the caller's tools in the places of their names."""
        if isinstance(value, dict) and TOOL in value:
            name = value[TOOL]
            if name not in self.rlm.tools:
                raise ValueError(
                    f"{name!r} is none of the tools that were given to this run: a function that is defined "
                    "in the REPL cannot be handed to a sub-agent"
                )
            return self.rlm.tools[name]
        if isinstance(value, (list, tuple)):
            return [self._with_tools(item) for item in value]
        if isinstance(value, dict):
            return {name: self._with_tools(item) for name, item in value.items()}
        return value


def _checked(args: tuple[Any, ...]) -> tuple[str, Any, dict[str, Any], dict[str, Any]]:
    """What the REPL sent, as it should be: its worker is not trusted."""
    if len(args) != 4 or not isinstance(args[2], dict) or not isinstance(args[3], dict):
        raise TypeError("a sub-agent is called by keyword: dspy.Predict('a -> b')(a=...)")
    kind, signature, options, given = args
    if kind not in KINDS or not hasattr(dspy, kind):
        raise ValueError(f"dspy.{kind} is not available in the REPL; there are: {', '.join(KINDS)}")
    if "interpreter_factory" in options:
        raise ValueError(
            f"dspy.{kind} in the REPL runs on this run's interpreter: leave interpreter_factory out"
        )
    if any(not isinstance(name, str) for name in (*options, *given)):
        raise TypeError("names of options and inputs must be str")
    return kind, signature, options, given


def _signature(signature: Any) -> type[dspy.Signature]:
    """Raises ValueError and SyntaxError for what is none."""
    if isinstance(signature, dict) and signature.get(SIGNATURE):
        made = _signature(signature["signature"])
        if signature.get("instructions"):
            made = made.with_instructions(str(signature["instructions"]))
        for name, desc in (signature.get("descs") or {}).items():
            made = made.with_updated_fields(name, desc=str(desc))
        return made
    if not isinstance(signature, str):
        raise TypeError(f"a signature is a str like 'question -> answer', not a {type(signature).__name__}")
    return make_signature(signature)  # type: ignore[no-any-return]


def _fields(prediction: dspy.Prediction) -> dict[str, Any]:
    """As JSON: what upstream's code gets."""
    fields = {}
    for name, value in prediction.items():
        try:
            fields[name] = to_jsonable_python(value)
            json.dumps(fields[name])
        except (PydanticSerializationError, TypeError, ValueError) as error:
            raise TypeError(f"the field {name!r} cannot reach the REPL: {error}") from error
    return fields


def _fields_of(signature: type[dspy.Signature], result: Result) -> dict[str, Any] | Failed:
    """What a child's result gives to its parent's code."""
    if result.answer is None and result.status != "not_found":
        return Failed(f"the dspy.RLM ended without an answer ({result.status}: {result.reason})")
    return _fields(RLMPrediction.of(result, inputs.fields_of(signature, result), False))


@contextlib.contextmanager
def _as_sub_agent(lm: DeskLM) -> Iterator[None]:
    """Its LM calls are no steps of the program: they leave nothing in the trace, nor in the stream."""
    with dspy.context(lm=lm, trace=None, send_stream=None):
        yield


# ---- its LM


class DeskLM(dspy.BaseLM):  # type: ignore[misc]
    """The sub-LM as code may use it through a predictor: only CODES_OWN may be set, and every call is counted
    at the desk.  `lm` may be any callable."""

    def __init__(self, lm: Any, desk: Desk):
        super().__init__(getattr(lm, "model", None), getattr(lm, "model_type", "chat"))
        self.kwargs = {k: v for k, v in (getattr(lm, "kwargs", None) or {}).items() if k in CODES_OWN}
        self._lm, self._desk = lm, desk

    def __getattribute__(self, name: str) -> Any:
        """What adapters choose their ways by is as of the LM behind."""
        if name.startswith("supports_") or name == "supported_params":
            lm = object.__getattribute__(self, "_lm")
            return getattr(lm, name) if hasattr(lm, name) else super().__getattribute__(name)
        return super().__getattribute__(name)

    def copy(self, **kwargs: Any) -> DeskLM:
        _check_settings(kwargs)
        return DeskLM(self._lm.copy(**kwargs), self._desk)

    def __deepcopy__(self, memo: dict[int, Any]) -> DeskLM:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._counted(args, kwargs) as counted:
            return counted.got(self._lm(*args, **kwargs))

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        with self._counted(args, kwargs) as counted:
            return counted.got(await self._lm.acall(*args, **kwargs))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with self._counted(args, kwargs) as counted:
            return counted.got(self._lm.forward(*args, **kwargs))

    async def aforward(self, *args: Any, **kwargs: Any) -> Any:
        with self._counted(args, kwargs) as counted:
            return counted.got(await self._lm.aforward(*args, **kwargs))

    @contextlib.contextmanager
    def _counted(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[_Got]:
        _check_settings(
            {name: v for name, v in kwargs.items() if name not in ("prompt", "messages", "request")}
        )
        prompt = _prompt(args, kwargs)
        count = max(1, int(kwargs.get("n") or self.kwargs.get("n") or 1))
        reserved = self._desk.reserve(len(prompt), count)
        started, got = time.monotonic(), _Got()
        try:
            # The adapter that calls this LM calls the one behind it: DSPy warns others of messages=.
            with Meter(prompt, self._lm) as meter, adapter_message_call(self._lm, kwargs.get("messages")):
                yield got
        except BaseException as error:
            usage = error.usage if isinstance(error, LMCallError) else None
            failed = Failed(str(error) or type(error).__name__, usage=usage)
            self._desk.settle(reserved, prompt, failed, time.monotonic() - started)
            raise
        self._desk.settle(reserved, prompt, meter.completion(got.text), time.monotonic() - started)


def _check_settings(settings: Mapping[str, Any]) -> None:
    if refused := sorted(settings.keys() - CODES_OWN):
        raise TypeError(
            f"code may not set LM option(s) {refused}; it may set: {', '.join(sorted(CODES_OWN))}"
        )


class _Got:
    """What a call returned, as text for its event."""

    text = ""

    def got(self, outputs: Any) -> Any:
        first = outputs[0] if isinstance(outputs, list) and outputs else outputs
        text = first.get("text") if isinstance(first, dict) else getattr(first, "text", first)
        self.text = text if isinstance(text, str) else str(first)
        return outputs


def _prompt(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """All that is sent, as one text."""
    prompt = args[0] if args else kwargs.get("prompt")
    messages = kwargs.get("messages")
    if messages is None:
        asked = prompt if prompt is not None else kwargs.get("request")
        return asked if isinstance(asked, str) else _request_text(asked)
    return "\n\n".join(str(message.get("content") or "") for message in messages if isinstance(message, dict))


def _request_text(request: Any) -> str:
    messages = getattr(request, "messages", None)
    if messages is None:
        return str(request)
    system = getattr(request, "system", None)
    parts = [system if isinstance(system, str) else "".join(getattr(p, "text", "") for p in system or ())]
    return "\n\n".join([*parts, *(str(getattr(message, "text", "") or "") for message in messages)])
