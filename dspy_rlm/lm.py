"""LMs of `rlm_core` as LMs of DSPy: the local model above all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import dspy
from dspy import lm15

from rlm_core.lms import LM, Completion, LMCallError, Message


def local_lm(name: str | Path = "0.5b", *, cache: bool = True, **settings: Any) -> dspy.LM:
    """The embedded model as a `dspy.LM`: no key, no server; fetched at its first call.

    name      "0.5b", "1.5b", or the path of a GGUF file
    settings  as of `rlm_core.LocalLM`: threads, window, temperature, max_tokens, stop

    `copy()` shares what is loaded and keeps settings apart.  Greedy unless a temperature is given."""
    from rlm_core.local import LocalLM

    return as_dspy(LocalLM(name, **settings), cache=cache)


def as_dspy(lm: LM, *, cache: bool = True) -> dspy.LM:
    """Any LM of `rlm_core` as a `dspy.LM`."""
    # Its settings go into each request too, and so into the key of DSPy's cache.
    settings = {name: getattr(lm, name, None) for name in ("temperature", "max_tokens")}
    if stop := getattr(lm, "stop", ()):
        settings["stop"] = list(stop)
    made = dspy.LM(
        f"rlm/{lm.model}",
        engine=CoreEngine(lm),
        async_engine=AsyncCoreEngine(lm),
        cache=cache,
        num_retries=0,
        **{name: value for name, value in settings.items() if value is not None},
    )
    made.window = lm.window  # read by `dspy_rlm.usage`
    return made


def counter(lm: Any) -> Callable[[str], int] | None:
    """How many tokens the LM reads a text as, by its own tokenizer; None where that is not known."""
    engine = getattr(lm, "engine", None)
    return getattr(engine.lm, "tokens", None) if isinstance(engine, CoreEngine) else None


class CoreEngine:
    """DSPy's engine interface over an LM: one request, one attempt."""

    def __init__(self, lm: LM):
        self.lm = lm

    def __deepcopy__(self, memo: dict[int, Any]) -> CoreEngine:
        return self

    def complete(self, request: lm15.Request) -> lm15.Response:
        try:
            return _response(_set(self.lm, request).complete(_messages(request)), request)
        except LMCallError as error:
            raise _error(error) from error

    def stream(self, request: lm15.Request) -> Iterator[Any]:
        return iter(lm15.response_to_events(self.complete(request)))

    def close(self) -> None:
        """The LM is its maker's."""


class AsyncCoreEngine:
    def __init__(self, lm: LM):
        self.lm = lm

    def __deepcopy__(self, memo: dict[int, Any]) -> AsyncCoreEngine:
        return self

    async def complete(self, request: lm15.Request) -> lm15.Response:
        try:
            return _response(await _set(self.lm, request).acomplete(_messages(request)), request)
        except LMCallError as error:
            raise _error(error) from error

    async def stream(self, request: lm15.Request) -> AsyncIterator[Any]:
        for event in lm15.response_to_events(await self.complete(request)):
            yield event

    async def aclose(self) -> None:
        """The LM is its maker's."""


def _set(lm: LM, request: lm15.Request) -> LM:
    """The LM with the request's own settings, where it has such settings."""
    config = request.config
    wanted = {"temperature": config.temperature, "max_tokens": config.max_tokens, "stop": config.stop or None}
    changes = {name: value for name, value in wanted.items() if value is not None and hasattr(lm, name)}
    copy = getattr(lm, "copy", None)
    changed: LM = copy(**changes) if changes and copy else lm
    return changed


def _messages(request: lm15.Request) -> list[Message]:
    messages: list[Message] = []
    if request.system is not None:
        parts = request.system if isinstance(request.system, str) else "".join(p.text for p in request.system)
        messages.append({"role": "system", "content": parts})
    messages += [{"role": message.role, "content": message.text or ""} for message in request.messages]
    return messages


def _response(completion: Completion, request: lm15.Request) -> lm15.Response:
    used = completion.usage
    return lm15.Response(
        id=None,
        model=completion.model or request.model,
        message=lm15.Message.assistant([lm15.TextPart(completion.text)]),
        finish_reason="stop",
        usage=lm15.Usage(
            input_tokens=used.input,
            output_tokens=used.output,
            total_tokens=used.input + used.output,
            cache_read_tokens=used.cached or None,
        ),
    )


def _error(error: LMCallError) -> Exception:
    kind = {
        "overflow": lm15.ContextLengthError,
        "auth": lm15.AuthError,
        "rate_limit": lm15.RateLimitError,
        "timeout": lm15.TimeoutError,
        "unreachable": lm15.TransportError,
    }.get(error.kind, lm15.ProviderError)
    made: Exception = kind(str(error))
    return made
