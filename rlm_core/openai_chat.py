"""A client for servers that speak OpenAI's /v1/chat/completions, over the `openai` package.

How a call goes is written once, as a generator without I/O (`_talk`): it yields what it wants done (`Pause`,
`Send`, `Next`, `Read`) and the pieces of the text, and a sync and an async runner do it.  The package's own
retries are switched off: they hide refusals from the throttle that a provider's LMs share, do not cover
replies that cannot be read, and in older versions send a call again before its Retry-After.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rlm_core import prices, throttle
from rlm_core.chat_format import Received, failure, one_line, read_usage
from rlm_core.keys import can_be_sent, redacted
from rlm_core.lms import Completion, LMCallError, Message, Usage, apause, estimate_tokens, pause
from rlm_core.retry import RetryRule


class Preset(NamedTuple):
    """A provider's address, and the environment variable that holds its key."""

    base_url: str
    key_variable: str


OPENAI = Preset("https://api.openai.com/v1", "OPENAI_API_KEY")
PRESETS = {"anannas": Preset("https://api.anannas.ai/v1", "ANANNAS_API_KEY")}


class OpenAIChat:
    """An LM behind /v1/chat/completions.  Any thread and any event loop may call it.

        OpenAIChat("gpt-5.2")                                     # key from OPENAI_API_KEY
        OpenAIChat("zai-org/glm-4.7", preset="anannas")           # key from ANANNAS_API_KEY
        OpenAIChat("qwen3", base_url="http://127.0.0.1:8000/v1")  # a server of one's own; no key needed

    base_url     the address that /chat/completions is added to; OPENAI_BASE_URL or OpenAI's own where None
    preset       a provider by name (PRESETS), in the place of base_url
    window       tokens; where None, what `prices` knows
    max_tokens   of one reply; where None, the server's own limit
    timeout      seconds of silence from the server; a reply that is not streamed is silent until it is whole
    retries      how often a failed call is sent again at most, or a whole `RetryRule`
    concurrency  calls at once; None: the run's limit.  Below it, the provider's own limit is learned from
                 its refusals (429), together with all other LMs at the same address
    options      further fields of the request, as the server documents them (top_p=0.9, seed=1, ...)

    A call that fails is sent again where that may help: after 429, 408, 409, 5xx, timeouts, resets, and
    replies that cannot be read; never once a piece of its text was handed on by `stream`.  A stream that
    stops in the middle of the text is an LMCallError of kind "broken_off", whose `usage` says what it cost
    about.  What the failed attempts of a call used is counted with it.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        preset: str | None = None,
        window: int | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        timeout: float = 300.0,
        retries: int | RetryRule = RetryRule(),  # noqa: B008 - frozen
        concurrency: int | None = None,
        **options: Any,
    ):
        if preset is not None and preset not in PRESETS:
            raise ValueError(f"no preset is called {preset!r}; there are: {', '.join(PRESETS)}")
        if preset is not None and base_url is not None:
            raise ValueError("give either preset or base_url")
        provider = PRESETS[preset] if preset else OPENAI
        address = base_url or (None if preset else os.environ.get("OPENAI_BASE_URL"))
        self.model = model
        self.base_url = address or provider.base_url
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"base_url={self.base_url!r} must look like {OPENAI.base_url}")
        self.host = parts.netloc.rpartition("@")[2]
        self.concurrency = concurrency
        self.timeout = timeout
        self.retries = RetryRule(retries=retries) if isinstance(retries, int) else retries
        self.throttle = throttle.of(self.base_url)
        self._window = window
        self._options = {"temperature": temperature, "max_tokens": max_tokens, **options}
        self._refused: set[str] = set()  # optional fields that the server has refused
        self._key = api_key
        self._key_variable = provider.key_variable
        self._key_needed = address is None
        self._lock = threading.Lock()
        self._client: Any = None
        self._async_clients: dict[Any, Any] = {}  # by event loop, with its keeper: connections belong to one

    def __repr__(self) -> str:
        return f"OpenAIChat({self.model!r}, base_url={self.base_url!r})"

    @functools.cached_property
    def facts(self) -> prices.ModelFacts:
        """Window and prices as far as they are known, and from where.  Raises prices.PriceTableError."""
        return prices.lookup(self.model, self.base_url)

    @property
    def window(self) -> int | None:
        return self.facts.window if self._window is None else self._window

    @window.setter
    def window(self, window: int | None) -> None:
        self._window = window

    # ---- the four ways to call it

    def complete(self, messages: Sequence[Message]) -> Completion:
        *_, completion = self._run(self._talk(messages, stream=False))
        assert isinstance(completion, Completion)
        return completion

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Completion]:
        return self._run(self._talk(messages, stream=True))

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        items = [item async for item in self._arun(self._talk(messages, stream=False))]
        assert isinstance(items[-1], Completion)
        return items[-1]

    def astream(self, messages: Sequence[Message]) -> AsyncIterator[str | Completion]:
        return self._arun(self._talk(messages, stream=True))

    # ---- how a call goes

    def _talk(self, messages: Sequence[Message], stream: bool) -> Talk:
        """One call with its retries; yields the pieces of its text, and returns its completion."""
        _ = self.facts  # a broken price table should be found before something is paid
        failures: list[LMCallError] = []
        while True:
            while (place := self.throttle.start()) is None:
                yield Pause(self.throttle.delay())
            hand_back = functools.partial(self.throttle.failed, place)
            received = Received()
            try:
                completion = yield from self._attempt(messages, stream, received)
                hand_back = functools.partial(self.throttle.succeeded, place)
                return self._with_failures(completion, failures)
            except LMCallError as error:
                failures.append(error)
                shown = stream and any(received.text)
                if shown and error.again:
                    error.kind = "broken_off"
                wait = None if shown else self.retries.wait(failures)
                if error.kind == "rate_limit":
                    asked_for = (error.retry_after or 0.0) if wait is not None else 0.0
                    hand_back = functools.partial(self.throttle.throttled, place, asked_for)
            finally:
                hand_back()
            if wait is None:
                raise self._explained(failures) from None
            yield Pause(wait)

    def _attempt(self, messages: Sequence[Message], stream: bool, received: Received) -> Talk:
        """Sends the call once.  Raises LMCallError with what the server said."""
        try:
            reply = yield from self._sent(messages, stream)
            if stream and "event-stream" in reply.response.headers.get("content-type", ""):
                while (chunk := (yield Next(reply))) is not None:
                    piece = received.read(_as_dict(chunk))
                    if piece:
                        yield piece
            else:  # also what a server sends that knows no streams
                piece = received.read(_as_json((yield Read(reply)) if stream else reply))
                received.finish = received.finish or "stop"
                if piece and stream:
                    yield piece
            self._check(received)
        except Exception as error:
            failed = self._read_error(error)
            if any(received.text) or any(received.reasoning) or received.usage:
                if failed.kind == "unreachable":
                    failed = LMCallError(f"{_stopped(received)}: {failed}", "bad_reply", again=True)
                failed.usage = self._usage(messages, received)
            raise failed from None
        return Completion(
            "".join(received.text),
            self._usage(messages, received),
            received.model or self.model,
            "".join(received.reasoning),
        )

    def _sent(self, messages: Sequence[Message], stream: bool) -> Talk:
        """The server's reply: the text of its body, or an open stream.  Does without the fields that this
        server refuses."""
        while True:
            fields = self._fields(stream)
            arguments = {"model": self.model, "messages": [_sendable(message) for message in messages]}
            try:  # extra_body takes the fields of any server, create's own parameters OpenAI's alone
                return (yield Send({**arguments, "stream": stream, "extra_body": fields}, stream))
            except Exception as error:
                if not self._concede(error, fields):
                    raise

    def _fields(self, stream: bool) -> dict[str, Any]:
        fields = {name: value for name, value in self._options.items() if value is not None}
        if stream and "stream_options" not in self._refused:
            fields.setdefault("stream_options", {"include_usage": True})
        if "max_tokens" in self._refused and "max_tokens" in fields:
            fields["max_completion_tokens"] = fields.pop("max_tokens")
        return fields

    def _concede(self, error: Exception, fields: dict[str, Any]) -> bool:
        """Whether the server has refused a field that this client can do without: older servers know no
        stream_options, and OpenAI's reasoning models call max_tokens max_completion_tokens."""
        if getattr(error, "status_code", None) not in (400, 422):
            return False
        said = error.response.text  # type: ignore[attr-defined]
        for field, word in (("stream_options", "stream_options"), ("max_tokens", "max_completion_tokens")):
            if field in fields and word in said:
                self._refused.add(field)
                return True
        return False

    def _check(self, received: Received) -> None:
        if received.finish == "content_filter":
            raise LMCallError("the reply was cut off", "content_filter")
        if not received.choices:
            raise LMCallError("a reply without choices", "bad_reply", again=True)
        if received.finish == "error" or not (received.finish or received.usage):
            raise LMCallError(_stopped(received), "bad_reply", again=True)

    def _usage(self, messages: Sequence[Message], received: Received) -> Usage:
        usage = read_usage(received.usage)
        if usage is None:
            asked = sum(estimate_tokens(message["content"]) for message in messages)
            said = estimate_tokens("".join(received.text)) + estimate_tokens("".join(received.reasoning))
            usage = Usage(asked, said, estimated=True)
        return usage if usage.cost is not None else _priced(usage, self.facts)

    # ---- errors

    def _read_error(self, error: Exception) -> LMCallError:
        """What went wrong, from whatever the package or its transport raised.  A bug of ours is raised on."""
        import openai

        if isinstance(error, LMCallError):
            return error
        if isinstance(error, openai.APIStatusError):
            return failure(error.status_code, error.response.text, error.response.headers)
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            return LMCallError(f"no JSON: {error}", "bad_reply", again=True)
        transport = type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2")
        if isinstance(error, openai.APIConnectionError) or transport:
            if isinstance(error, openai.APITimeoutError) or "Timeout" in type(error).__name__:
                return LMCallError(f"nothing for {self.timeout:g} s", "timeout", again=True)
            return LMCallError(_root_cause(error), "unreachable", again=True)
        if isinstance(error, openai.APIError):  # an error object in mid-stream
            code = error.body.get("code") if isinstance(error.body, dict) else None
            return failure(code if isinstance(code, int) else 500, {"error": error.body or str(error)})
        raise error

    def _explained(self, failures: Sequence[LMCallError]) -> LMCallError:
        """The last failure, as one line for the user that says what to do."""
        error = failures[-1]
        if error.kind == "cancelled":
            return error
        host, said = self.host, one_line(redacted(str(error), self._secret()))
        wait = "wait" if error.retry_after is None else f"wait {error.retry_after:,.0f} s"
        texts = {
            "auth": f"{host} refuses the key or the account ({said}): check {self._key_variable} or api_key",
            "rate_limit": f"{host} refuses so many calls ({said}): {wait}, or lower the concurrency",
            "overflow": f"the prompt exceeds the window of {self.model} ({said}): send less text in one call",
            "content_filter": f"the content filter of {host} refuses ({said}): rephrase, or change the model",
            "timeout": f"{host} does not answer ({said}): try again later, or raise timeout",
            "unreachable": f"{host} cannot be reached ({said}): check base_url and the network",
            "broken_off": f"{host} broke its reply off ({said}): try again",
            "bad_reply": f"{host} answers badly ({said}): try again, and check base_url if it lasts",
        }
        text = texts.get(error.kind)
        if text is None:
            advice = (
                "try again later" if error.again else f"check the model {self.model!r}, base_url and options"
            )
            text = f"{host} fails ({said}): {advice}"
        if len(failures) > 1:
            text += f"; sent {len(failures)} times"
        return LMCallError(
            text, error.kind, usage=_sum(failures), again=error.again, retry_after=error.retry_after
        )

    def _with_failures(self, completion: Completion, failures: Sequence[LMCallError]) -> Completion:
        spent = _sum(failures)
        if spent is None:
            return completion
        return Completion(completion.text, completion.usage + spent, completion.model, completion.reasoning)

    # ---- the runners

    def _run(self, talk: Talk) -> Iterator[str | Completion]:
        """Does what the talk wants done, on this thread."""
        value: Any = None
        error: Exception | None = None
        opened: Any = None
        try:
            while True:
                step = talk.send(value) if error is None else talk.throw(error)
                value = error = None
                if isinstance(step, str):
                    yield step
                    continue
                try:
                    if isinstance(step, Pause):
                        pause(step.seconds)
                    elif isinstance(step, Next):
                        value = next(step.stream, None)
                    elif isinstance(step, Read):
                        value = _body_text(step.stream.response.read(), step.stream.response)
                    else:
                        pause(0)
                        chat = self._sync_client().chat.completions
                        if step.stream:
                            value = opened = chat.create(**step.arguments)
                        else:
                            value = chat.with_raw_response.create(**step.arguments).http_response.text
                except Exception as failed:
                    error = failed
        except StopIteration as end:
            completion = end.value
        finally:
            talk.close()
            if opened is not None:
                opened.close()
        yield completion

    async def _arun(self, talk: Talk) -> AsyncIterator[str | Completion]:
        """Does what the talk wants done, on an event loop."""
        import asyncio

        value: Any = None
        error: Exception | None = None
        opened: Any = None
        try:
            while True:
                step = talk.send(value) if error is None else talk.throw(error)
                value = error = None
                if isinstance(step, str):
                    yield step
                    continue
                try:
                    if isinstance(step, Pause):
                        await apause(step.seconds)
                    elif isinstance(step, Next):
                        value = await anext(step.stream, None)
                    elif isinstance(step, Read):
                        value = _body_text(await step.stream.response.aread(), step.stream.response)
                    else:
                        await apause(0)
                        chat = (await self._async_client(asyncio.get_running_loop())).chat.completions
                        if step.stream:
                            value = opened = await chat.create(**step.arguments)
                        else:
                            raw = await chat.with_raw_response.create(**step.arguments)
                            value = raw.http_response.text
                except Exception as failed:
                    error = failed
        except StopIteration as end:
            completion = end.value
        finally:
            talk.close()
            if opened is not None:
                await opened.close()
        yield completion

    # ---- connections

    def _sync_client(self) -> Any:
        with self._lock:
            if self._client is None:
                import openai

                http = openai.DefaultHttpxClient(verify=_certificates())
                self._client = openai.OpenAI(http_client=http, **self._settings())
                weakref.finalize(self, http.close).atexit = False
            return self._client

    async def _async_client(self, loop: Any) -> Any:
        if loop not in self._async_clients:
            keeper = self._keep(loop)
            self._async_clients[loop] = (await anext(keeper), keeper)
        return self._async_clients[loop][0]

    async def _keep(self, loop: Any) -> AsyncGenerator[Any, None]:
        """Yields a client, and closes it when the loop shuts its async generators down, as asyncio.run does:
        its connections can be closed in good order on their own loop alone."""
        import openai

        # The package's own default client starts a task from __del__, on whatever loop runs then.
        http = openai.DefaultAsyncHttpxClient(verify=_certificates())
        try:
            yield openai.AsyncOpenAI(http_client=http, **self._settings())
        finally:
            self._async_clients.pop(loop, None)
            await http.aclose()

    def _settings(self) -> dict[str, Any]:
        import openai

        key = self._secret()
        if not key and self._key_needed:
            raise LMCallError(f"no key for {self.host}: set {self._key_variable}, or pass api_key", "auth")
        if not can_be_sent(key):
            raise LMCallError(
                f"the key for {self.host} holds characters that no key has: copy it again", "auth"
            )
        return {
            "base_url": self.base_url,
            "api_key": key or "none",  # the package wants one, and a server of one's own takes any
            "max_retries": 0,
            "timeout": openai.Timeout(self.timeout, connect=min(10.0, self.timeout)),
        }

    def _secret(self) -> str:
        return (self._key or os.environ.get(self._key_variable) or "").strip()


# ---- what a talk wants done


class Pause(NamedTuple):
    seconds: float


class Send(NamedTuple):
    """Gives the text of the reply's body, or an open stream.  `arguments` of the package's `create`."""

    arguments: dict[str, Any]
    stream: bool


class Next(NamedTuple):
    """Gives the next chunk of an open stream, None at its end."""

    stream: Any


class Read(NamedTuple):
    """Gives the body's text where a stream was asked for and something else came."""

    stream: Any


Talk = Generator[Pause | Send | Next | Read | str, Any, Any]


# ---- small readings


def _as_dict(chunk: Any) -> Any:
    """A chunk as it was sent: the package builds its objects without checking them."""
    return chunk.to_dict(warnings=False) if hasattr(chunk, "to_dict") else chunk


def _as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise LMCallError(f"no whole JSON but {text[:80]!r}", "bad_reply", again=True) from None


def _body_text(body: bytes, response: Any) -> str:
    return body.decode(response.encoding or "utf-8", "replace")


@functools.cache
def _certificates() -> Any:
    """The certificates that this machine trusts.  Reading them takes longer than all else that a run of two
    calls does, and every client would read its own."""
    import openai

    httpx = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
    return httpx.create_ssl_context()


def _stopped(received: Received) -> str:
    characters = sum(map(len, received.text)) + sum(map(len, received.reasoning))
    return f"its reply stopped in mid-stream after {characters:,} characters"


def _sendable(message: Message) -> Message:
    """JSON in UTF-8 has no place for lone surrogates; each goes as U+FFFD."""
    content = message["content"]
    if not isinstance(content, str) or content.isascii():
        return message
    try:
        content.encode("utf-8")
    except UnicodeEncodeError:
        whole = content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return {"role": message["role"], "content": whole}
    return message


def _root_cause(error: BaseException) -> str:
    """The innermost reason that says something: `Connection refused` rather than `Connection error.`"""
    said = str(error)
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
        said = str(error) or said
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return said


def _priced(usage: Usage, facts: prices.ModelFacts) -> Usage:
    return Usage(usage.input, usage.output, usage.cached, prices.cost(usage, facts), usage.estimated)


def _sum(failures: Sequence[LMCallError]) -> Usage | None:
    """What failed attempts used, None where that is nothing as far as is known."""
    spent = [error.usage for error in failures if error.usage is not None]
    return functools.reduce(Usage.__add__, spent) if spent else None
