"""A model of llm's as the loop calls it: messages in, a `Completion` out."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import llm
from llm.models import AsyncResponse, Prompt, Response

from llm_rlm.errors import BROKE_OFF, call_error
from llm_rlm.local_model import Local
from rlm_core import prices
from rlm_core.keys import can_be_sent
from rlm_core.lms import Completion, LMCallError, Message, Usage, apause, estimate_tokens, pause
from rlm_core.prices import ModelFacts
from rlm_core.retry import RetryRule

if TYPE_CHECKING:
    from llm.parts import StreamEvent

    from llm_rlm.family import Pair

RETRY = RetryRule(retries=3)
SYSTEM_REFUSED = re.compile(r"(system|developer) (prompts?|instructions?|messages?|role)", re.IGNORECASE)


def stored_options(model_id: str) -> dict[str, Any]:
    """What `llm models options set` keeps for a model.  llm itself applies it only to the model that is
    named by `-m`."""
    try:
        stored = json.loads((llm.user_dir() / "model_options.json").read_text())
    except (OSError, ValueError):
        return {}
    options = stored.get(model_id, {})
    return options if isinstance(options, dict) else {}


class Callee:
    """`key`: as the user gave it, or None for the stored one.  `options`: beside the model's stored ones."""

    def __init__(self, pair: Pair, key: str | None = None, options: dict[str, Any] | None = None):
        self.pair = pair
        self.model_id: str = pair.model.model_id
        self.key = key
        self.folds_system = False  # whether it has refused a system prompt
        self.options = {**stored_options(self.model_id), **(options or {})}

    def check_key(self) -> str | None:
        """The key, looked at before anything is sent.  Raises llm.NeedsKeyException where it is missing, and
        llm.ModelError where no server would take it: HTTP libraries quote such a key in their errors.  Both
        texts say what to do."""
        key: str | None = self.pair.model.get_key(self.key)
        if key and not can_be_sent(key):
            name = self.pair.model.needs_key or "NAME"
            raise llm.ModelError(
                f"{self.model_id}: the key holds characters that no key has, such as the end of a line: "
                f"copy it again, with llm keys set {name}"
            )
        return key

    @property
    def at_hand(self) -> bool:
        """Whether it can be asked for the tokens of a text with nothing fetched."""
        return not isinstance(self.pair.model, Local) or self.pair.model.at_hand(**self.options)

    def fetch(self) -> None:
        """Has the local model fetched and loaded, where it is that; for the main thread, where Ctrl-C is felt
        meanwhile.  Raises llm.ModelError."""
        if isinstance(self.pair.model, Local):
            try:
                self.pair.model.fetch(**self.options)
            except LMCallError as error:
                raise llm.ModelError(str(error)) from None

    def interrupt(self, code: int = 1) -> None:
        """Ctrl-C has ended what ran: a call of the local model that goes on need not be waited for when the
        process exits, with `code`."""
        if isinstance(self.pair.model, Local):
            self.pair.model.interrupt(code)

    def sees(self, attachment: llm.Attachment) -> bool:
        return attachment.resolve_type() in self.pair.model.attachment_types

    @property
    def in_process(self) -> bool:
        """Whether the model runs in this process: it needs no key and has no address."""
        return not self.pair.model.needs_key and not getattr(self.pair.model, "api_base", None)

    @cached_property
    def facts(self) -> ModelFacts:
        """Its window and prices, as far as they are known."""
        model = self.pair.model
        name = getattr(model, "model_name", None) or self.model_id
        address = "http://localhost" if self.in_process else getattr(model, "api_base", None)
        try:
            return prices.lookup(name, address)
        except prices.PriceTableError as error:
            raise llm.ModelError(str(error)) from None

    @cached_property
    def window(self) -> int | None:
        own = self.options.get("window") or getattr(self.pair.model, "window", None)
        return int(own) if own else self.facts.window

    # ---- calling

    def stream(
        self, messages: Sequence[Message], attachments: Sequence[llm.Attachment] = (), shown: bool = True
    ) -> Generator[StreamEvent, None, Completion]:
        """Yields text and reasoning as they come.  Raises LMCallError.  What has begun is not sent again, if
        it is `shown` to somebody."""
        failures: list[LMCallError] = []
        while True:
            begun, folded = False, self.folds_system
            try:
                response = self._begin(self.pair.model, messages, attachments, folded)
                for event in response.stream_events():
                    if event.chunk and event.type in ("text", "reasoning"):
                        begun = True
                        yield event
                return self._completion(response, messages)
            except Exception as error:
                wait = self._wait(failures, error, begun, shown, folded)
            pause(wait)

    def complete(self, messages: Sequence[Message], attachments: Sequence[llm.Attachment] = ()) -> Completion:
        events = self.stream(messages, attachments, shown=False)
        while True:
            try:
                next(events)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]

    async def astream(
        self, messages: Sequence[Message], attachments: Sequence[llm.Attachment] = (), shown: bool = True
    ) -> AsyncGenerator[StreamEvent | Completion, None]:
        """As `stream`; the `Completion` comes last.  A model that has no async version is called on a
        thread."""
        if self.pair.async_model is None:
            yield await _on_thread(lambda: self.complete(messages, attachments))
            return
        failures: list[LMCallError] = []
        while True:
            begun, folded = False, self.folds_system
            try:
                response = self._begin(self.pair.async_model, messages, attachments, folded)
                async for event in response.astream_events():
                    if event.chunk and event.type in ("text", "reasoning"):
                        begun = True
                        yield event
                yield self._completion(response, messages)
                return
            except Exception as error:
                wait = self._wait(failures, error, begun, shown, folded)
            await apause(wait)

    async def acomplete(
        self, messages: Sequence[Message], attachments: Sequence[llm.Attachment] = ()
    ) -> Completion:
        async for item in self.astream(messages, attachments, shown=False):
            if isinstance(item, Completion):
                return item
        raise RuntimeError("a call ended without its completion")

    def _wait(
        self, failures: list[LMCallError], error: Exception, begun: bool, shown: bool, folded: bool
    ) -> float:
        """Seconds after which the call may be sent again.  Raises LMCallError where it has failed for
        good."""
        if SYSTEM_REFUSED.search(str(error)) and not (begun or folded):
            self.folds_system = True
            return 0.0
        failures.append(self._failure(error, begun))
        wait = RETRY.wait(failures)
        if (begun and shown) or wait is None:
            raise failures[-1] from error
        return wait

    def _failure(self, error: Exception, begun: bool) -> LMCallError:
        """What went wrong, without the key: some servers say it back, and this is shown and written down."""
        try:
            key = self.pair.model.get_key(self.key)
        except llm.NeedsKeyException:
            key = None
        return call_error(error, self.model_id, begun, key or "")

    # ---- from messages to llm's conversation, and back

    def _begin(
        self, model: Any, messages: Sequence[Message], attachments: Sequence[llm.Attachment], folded: bool
    ) -> Any:
        """A response that is not yet asked for, at the end of a conversation that holds the turns before it.

        Some plugins read `prompt.messages`, others walk `conversation.responses`: both find the same here."""
        if self.key and not isinstance(model, (llm.KeyModel, llm.AsyncKeyModel)):
            model = copy.copy(model)  # it takes no key with a call
            model.key = self.key
        model = _sends_once(model)
        system, turns, last = _turns(_folded(messages) if folded else messages)
        if turns and not getattr(model, "supports_conversation", True):
            system, turns, last = "", [], _transcript(messages)
        conversation = model.conversation()
        kind = AsyncResponse if isinstance(conversation, llm.AsyncConversation) else Response
        chain = [llm.system(system)] if system else []
        for user, assistant in turns:
            chain = [*chain, llm.user(user)]
            prompt = Prompt(user, model=model, system=system or None, messages=chain)
            response = kind(prompt, model, False, conversation)
            response._chunks, response._done = [assistant], True
            conversation.responses.append(response)
            chain = [*chain, llm.assistant(assistant)]
        return conversation.prompt(
            last,
            system=system or None,
            attachments=list(attachments),
            stream=model.can_stream,
            key=self.key,
            options=self.options,
        )

    def _completion(self, response: Any, messages: Sequence[Message]) -> Completion:
        text = "".join(response._chunks)
        _check_whole(response)
        usage = _usage(response, text, messages)
        if usage.cost is None:
            usage = replace(usage, cost=prices.cost(usage, self.facts))
        return Completion(text, usage, self.model_id)


def _sends_once(model: Any) -> Any:
    """A model whose OpenAI client, where it has one, does not send again by itself: `RETRY` does."""
    make = getattr(model, "get_client", None)
    if make is None:
        return model

    def get_client(*args: Any, **kwargs: Any) -> Any:
        client = make(*args, **kwargs)
        return client.with_options(max_retries=0) if hasattr(client, "with_options") else client

    model = copy.copy(model)
    model.get_client = get_client
    return model


def _check_whole(response: Any) -> None:
    """Raises LMCallError for a stream that ended without its end: llm's own OpenAI models take it for a whole
    reply."""
    body = response.response_json
    streamed = isinstance(body, dict) and "content" in body
    if streamed and not body.get("finish_reason") and not (body["content"] and body.get("usage")):
        raise LMCallError(BROKE_OFF, "bad_reply")


def _turns(messages: Sequence[Message]) -> tuple[str, list[tuple[str, str]], str]:
    """The system prompt, (user, assistant) pairs, and the user's last message."""
    system = messages[0]["content"] if messages[0]["role"] == "system" else ""
    rest = [message["content"] for message in messages if message["role"] != "system"]
    return system, list(zip(rest[:-1:2], rest[1:-1:2], strict=True)), rest[-1]


def _folded(messages: Sequence[Message]) -> Sequence[Message]:
    """The system prompt at the beginning of the first user message, for models that take none."""
    if messages[0]["role"] != "system":
        return messages
    system, first, *rest = messages
    return [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *rest]


def _transcript(messages: Sequence[Message]) -> str:
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)


# ---- usage: llm has the tokens; each provider reports the rest under names of its own

_CACHED = ("cached_tokens", "cachedContentTokenCount", "cache_read_input_tokens")


def _usage(response: Any, text: str, messages: Sequence[Message]) -> Usage:
    if response.input_tokens is None and response.output_tokens is None:
        sent = sum(estimate_tokens(message["content"]) for message in messages)
        return Usage(sent, estimate_tokens(text), estimated=True)
    details = dict(_numbers(response.token_details or {}))
    sent = response.input_tokens or 0
    cached = next((int(details[name]) for name in _CACHED if name in details), 0)
    for apart in (
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ):  # Anthropic does not count them in
        sent += int(details.get(apart, 0))
    body = response.response_json if isinstance(response.response_json, dict) else {}
    cost = details.get("cost", dict(_numbers(body.get("usage") or {})).get("cost"))
    return Usage(sent, response.output_tokens or 0, cached, cost)


def _numbers(value: Any) -> Iterator[tuple[str, float]]:
    for name, item in value.items() if isinstance(value, dict) else ():
        if isinstance(item, (int, float)):
            yield name, item
        else:
            yield from _numbers(item)


async def _on_thread(work: Any) -> Any:
    """On a daemon thread, which keeps no process alive after Ctrl-C, as asyncio.to_thread would."""
    import asyncio
    import contextvars
    import threading

    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if future.cancelled():
            return
        future.set_exception(error) if error else future.set_result(value)

    def run() -> None:
        value, error = None, None
        try:
            value = context.run(work)
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(settle, value, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            pass

    context = contextvars.copy_context()
    threading.Thread(target=run, name="rlm-call", daemon=True).start()
    return await future
