"""The models `local` and `local-1.5b`: small real ones that run in this process, without a key or a
server."""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import llm

if TYPE_CHECKING:
    from rlm_core.lms import Completion, Message
    from rlm_core.local import LocalLM

NAMES = {"local": "0.5b", "local-1.5b": "1.5b"}  # model id -> name of the weights


def register_models(register: Callable[..., None]) -> None:
    for model_id in NAMES:
        register(Local(model_id), AsyncLocal(model_id))


class _Local:
    """What the sync and the async model share."""

    can_stream = True
    strategy = "small"  # the profile that suits it as the root of an RLM
    concurrency = 1
    window = 16_384  # tokens, where -o window does not say otherwise; rlm_core.local.WINDOW

    def __init__(self, model_id: str):
        self.model_id = model_id

    def __str__(self) -> str:
        return f"Local: {self.model_id}"

    @cached_property
    def Options(self) -> type[llm.Options]:
        return _options()

    def tokens(self, text: str, **options: Any) -> int:
        """How many tokens the model reads `text` as."""
        return self._lm(options).tokens(text)

    def at_hand(self, **options: Any) -> bool:
        """Whether its weights are there, so that counting tokens fetches nothing."""
        from rlm_core import weights

        return weights.at_hand(self._lm(options).name)

    def fetch(self, **options: Any) -> None:
        """Has its weights fetched where they are not there yet, and loaded.  Raises LMCallError."""
        from rlm_core.local import Engine

        lm = self._lm(options)
        Engine.find(lm)
        with _ctrl_c_ends_the_process():
            Engine.get(lm)

    def interrupt(self, code: int) -> None:
        from rlm_core.local import Engine

        Engine.interrupted = code

    def _lm(self, options: dict[str, Any]) -> LocalLM:
        from rlm_core.local import LocalLM

        return LocalLM(options.pop("gguf", NAMES[self.model_id]), **options)

    def _settle(self, response: Any, completion: Completion) -> None:
        used = completion.usage
        response.set_usage(input=used.input, output=used.output, details={"cached_tokens": used.cached})


class Local(_Local, llm.Model):  # type: ignore[misc]
    """Qwen2.5-Coder in this process."""

    def execute(
        self, prompt: llm.Prompt, stream: bool, response: llm.Response, conversation: llm.Conversation | None
    ) -> Iterator[str]:
        for piece in self._lm(_given(prompt)).stream(_messages(prompt)):
            if isinstance(piece, str):
                yield piece
            else:
                self._settle(response, piece)


class AsyncLocal(_Local, llm.AsyncModel):  # type: ignore[misc]
    """Qwen2.5-Coder in this process."""

    async def execute(
        self,
        prompt: llm.Prompt,
        stream: bool,
        response: llm.AsyncResponse,
        conversation: llm.AsyncConversation | None,
    ) -> AsyncGenerator[str, None]:
        async for piece in self._lm(_given(prompt)).astream(_messages(prompt)):
            if isinstance(piece, str):
                yield piece
            else:
                self._settle(response, piece)


def _given(prompt: llm.Prompt) -> dict[str, Any]:
    return {name: value for name, value in prompt.options.model_dump().items() if value is not None}


def _messages(prompt: llm.Prompt) -> list[Message]:
    return [
        {"role": message.role, "content": "".join(getattr(part, "text", "") for part in message.parts)}
        for message in prompt.messages
    ]


def _options() -> type[llm.Options]:
    """Built on first use: a pydantic class takes a millisecond, and llm makes every model whenever it
    starts."""
    from pydantic import Field, create_model

    fields: dict[str, Any] = {
        "temperature": (
            float | None,
            Field(default=None, ge=0, le=2, allow_inf_nan=False, description="0, the default, is repeatable"),
        ),
        "max_tokens": (
            int | None,
            Field(default=None, ge=1, description="Tokens of the reply, default 1024"),
        ),
        "threads": (
            int | None,
            Field(default=None, ge=1, description="Threads, default one less than there are cores"),
        ),
        "window": (
            int | None,
            Field(default=None, ge=512, le=32_768, description="Tokens of prompt and reply, default 16384"),
        ),
        "gguf": (str | None, Field(default=None, description="Path of another model: a GGUF file")),
    }
    return create_model("Options", __base__=llm.Options, **fields)


@contextmanager
def _ctrl_c_ends_the_process() -> Iterator[None]:
    """For what holds the interpreter for seconds, as loading does: a handler of Python's has to wait."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
