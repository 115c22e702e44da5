"""The embedded model: llama.cpp in this process, by way of xllamacpp.

    lm = LocalLM()                      # Qwen2.5-Coder-0.5B, fetched on the first call
    lm.complete([{"role": "user", "content": "hi"}]).text

A loaded model is an `Engine`.  There is one for each (file, threads, window) in a process, however many
`LocalLM`s speak through it, and it serves one call at a time.  A call runs on a daemon thread of its own, and
its caller waits on a queue: so Ctrl-C is felt at once, and a process never stays alive for a call that nobody
waits for.

Reading is the slow part (about 50 tokens a second and core, measured), and a run's calls share their
beginning: contract and worked examples.  llama.cpp keeps what it has read within a process.  Across processes
the engine does, in files under `home()/prefixes`: what the first call of a process would have to read before
its last message is read once on its own, saved, and restored by the next process.  The files hold what was in
those messages, so they are the user's alone to read.

xllamacpp also opens an HTTP port on the loopback device, which cannot be turned off.  It gets a random key,
and no other origins; saving and restoring goes through it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import hashlib
import importlib
import importlib.util
import json
import os
import queue
import secrets
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rlm_core import weights
from rlm_core.home import home
from rlm_core.lms import Completion, LMCallError, Message, Usage, well_formed

THREADS = "RLM_LOCAL_THREADS"  # environment: threads of a model, for who cannot pass `threads`
WINDOW = 16_384  # tokens; the model can do twice as much, at 12 KB of memory a token
BATCH = 128  # tokens read between two looks at whether the caller still waits
EXIT_SECONDS = 0.8  # that a process waits for a call under way to end
PREFIX_CHARS = 1_500  # a shorter beginning is read faster than it is worth saving
PREFIXES = 8  # saved beginnings that are kept, the latest used
PREFIX_BYTES = 512_000_000  # of all of them, but for the latest alone
ABANDONED = 3600.0  # seconds after which no process is still writing a file


class LocalLM:
    """A GGUF model that runs in this process; an `LM` (see `rlm_core.lms`) whose calls cost nothing.

    name         "0.5b", "1.5b", or the path of a GGUF file with a chat template
    threads      None: `RLM_LOCAL_THREADS`, else one less than there are cores.  llama.cpp's threads wait for
    each other
                 spinning, so that one thread too many on a busy machine costs more than one too few
    window       tokens of prompt and reply together
    temperature  0 is greedy and repeatable
    max_tokens   the most that a reply may take
    stop         texts that end a reply

    Loading waits for the first call; a copy shares what is loaded."""

    concurrency: int | None = 1

    def __init__(
        self,
        name: str | Path = weights.DEFAULT,
        *,
        threads: int | None = None,
        window: int = WINDOW,
        temperature: float = 0.0,
        max_tokens: int = 1_024,
        stop: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.threads = threads
        self.window: int | None = window
        self.temperature = temperature
        self.max_tokens = max_tokens
        self.stop = tuple(stop)
        self.model = f"local-{name}" if str(name) in weights.MODELS else Path(name).stem

    def copy(self, **changes: Any) -> LocalLM:
        """The same model with other settings: `lm.copy(temperature=0.7)`.  What is loaded is shared."""
        other = copy(self)
        for setting, value in changes.items():
            if not hasattr(other, setting):
                raise TypeError(f"LocalLM has no setting {setting!r}")
            setattr(other, setting, value)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> LocalLM:
        return self

    def tokens(self, text: str) -> int:
        """How many tokens the model reads `text` as.  Raises LMCallError."""
        return Engine.get(self).tokens(text)

    def complete(self, messages: Sequence[Message]) -> Completion:
        *_, completion = self.stream(messages)
        assert isinstance(completion, Completion)
        return completion

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Completion]:
        pieces: queue.SimpleQueue[str | Completion | Exception] = queue.SimpleQueue()
        Engine.find(self)  # a fetch belongs to the caller's thread, where Ctrl-C ends it in good order
        call = self._start(messages, pieces.put)
        try:
            while True:
                piece = pieces.get()
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                if isinstance(piece, Completion):
                    return
        finally:
            call.unwanted.set()

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        async for piece in self.astream(messages):
            if isinstance(piece, Completion):
                return piece
        raise AssertionError("a stream ends with its completion")

    async def astream(self, messages: Sequence[Message]) -> AsyncIterator[str | Completion]:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | Completion | Exception] = asyncio.Queue()

        def put(piece: str | Completion | Exception) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        call = self._start(messages, put)
        try:
            while True:
                piece = await pieces.get()
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                if isinstance(piece, Completion):
                    return
        finally:
            call.unwanted.set()

    def _start(
        self, messages: Sequence[Message], put: Callable[[str | Completion | Exception], None]
    ) -> _Call:
        request = {
            "messages": [{**one, "content": well_formed(one["content"])} for one in messages],
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "stop": list(self.stop),
            "cache_prompt": True,
        }
        call = _Call(self, request, put)
        threading.Thread(target=call.run, name=f"{self.model} call", daemon=True).start()
        return call


def default_threads() -> int:
    chosen = os.environ.get(THREADS, "")
    if chosen and not (chosen.isdecimal() and int(chosen)):
        raise LMCallError(f"{THREADS}={chosen}: give a number of threads, 1 or more")
    return int(chosen) if chosen else max(1, _cores() - 1)


def _cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(eq=False)
class _Call:
    """One request, on its own thread; `put` gets the pieces of the reply and the completion, or one
    exception."""

    lm: LocalLM
    request: dict[str, Any]
    put: Callable[[str | Completion | Exception], None]

    def __post_init__(self) -> None:
        self.unwanted = threading.Event()
        self.text: list[str] = []
        self.usage = Usage(cost=0.0)
        self.error: dict[str, Any] | None = None

    def run(self) -> None:
        try:
            engine = Engine.get(self.lm)
            with engine.lock:
                if self.unwanted.is_set():
                    return
                engine.warm(self.request["messages"], self.unwanted)
                engine.chat(self.request, self._chunk)
            if self.error:
                raise _call_error(self.error)
            self.put(Completion("".join(self.text), self.usage, self.lm.model))
        except Exception as error:
            self.put(error)

    def _chunk(self, chunk: dict[str, Any]) -> bool:
        """Takes one chunk of the stream; True ends the call.  Called by llama.cpp, which drops exceptions."""
        self.error = chunk.get("error")
        for choice in chunk.get("choices", ()):
            if text := choice["delta"].get("content"):
                self.text.append(text)
                self.put(text)
        if used := chunk.get("usage"):
            cached = used.get("prompt_tokens_details", {}).get("cached_tokens", 0)
            self.usage = Usage(used["prompt_tokens"], used["completion_tokens"], cached, cost=0.0)
        return self.unwanted.is_set() or Engine.closing.is_set()


def _call_error(error: dict[str, Any]) -> LMCallError:
    if error.get("type") == "exceed_context_size_error":
        return LMCallError(
            f"too many tokens: the prompt has {error.get('n_prompt_tokens'):,}, and the local model's window "
            f"is {error.get('n_ctx'):,}; send less, or set a larger window",
            "overflow",
        )
    return LMCallError(f"the local model failed: {error.get('message', error)}")


# ---- the loaded model


class Engine:
    """A model in memory.  Hold `lock` for every call."""

    _loaded: ClassVar[dict[tuple[Path, int, int], Engine]] = {}
    _loading = threading.Lock()
    closing = threading.Event()
    interrupted: ClassVar[int | None] = None  # after Ctrl-C: the code that the process is to end with at once

    @classmethod
    def close(cls) -> None:
        """Ends calls that are under way when the process exits: a thread of llama.cpp that called back into
        an interpreter that is gone would abort it.  After Ctrl-C nothing is waited for, since a long prompt
        is read in batches of seconds; and llama.cpp would end its own threads as slowly."""
        cls.closing.set()
        if cls.interrupted is not None:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                with contextlib.suppress(OSError):
                    stream.flush()
            os._exit(cls.interrupted)
        for engine in cls._loaded.values():
            engine.lock.acquire(timeout=EXIT_SECONDS)

    @classmethod
    def get(cls, lm: LocalLM) -> Engine:
        """The engine that an LM speaks through, fetched and loaded where it is not yet.  Raises
        LMCallError."""
        path = cls.find(lm)
        key = (path, lm.threads or default_threads(), lm.window or WINDOW)
        with cls._loading:
            if key not in cls._loaded:
                if not cls._loaded:
                    atexit.register(cls.close)
                cls._loaded[key] = Engine(*key)
            return cls._loaded[key]

    @staticmethod
    def find(lm: LocalLM) -> Path:
        """The model's file, fetched where it is not there yet, if there is a runtime for it.  Raises
        LMCallError."""
        if importlib.util.find_spec("xllamacpp") is None:
            raise LMCallError(
                "the local model needs xllamacpp; install it with llm install 'llm-rlm[local]', "
                "or pip install 'llm-rlm[local]'"
            )
        try:
            return weights.weights(lm.name).resolve()
        except weights.WeightsError as error:
            raise LMCallError(str(error)) from error

    def __init__(self, path: Path, threads: int, window: int) -> None:
        xllamacpp = importlib.import_module("xllamacpp")
        self.path = path
        self.lock = threading.Lock()
        self.fresh = True  # it has read nothing yet
        self.key = secrets.token_hex(16)
        self.folder = home() / "prefixes"
        with contextlib.suppress(OSError):  # without the folder nothing is saved, and all else works
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.version = f"{xllamacpp.__version__}"
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = window
        params.n_parallel = 1
        params.n_batch = params.n_ubatch = BATCH
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.warmup = False
        params.verbosity = -1  # llama.cpp would log on stderr
        params.cache_ram_mib = 512  # beginnings that other calls displaced
        params.api_keys = [self.key]
        params.cors_origins = "null"
        params.ui = params.endpoint_slots = False
        params.slot_save_path = f"{self.folder}{os.sep}"
        try:
            self.server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise LMCallError(
                f"{path}: llama.cpp cannot load it; is it a whole GGUF file of a chat model?"
            ) from error

    def chat(self, request: dict[str, Any], chunk: Callable[[dict[str, Any]], bool]) -> None:
        """One streamed chat completion.  `chunk` is also called between batches of the prompt, so that it can
        end the call."""
        self.fresh = False
        try:
            self.server.handle_chat_completions(
                {
                    **request,
                    "stream": True,
                    "stream_options": {"include_usage": True},
                    "return_progress": True,
                },
                chunk,
            )
        except (RuntimeError, ValueError) as error:
            raise LMCallError(f"the local model failed: {error}") from error

    def warm(self, messages: Sequence[Message], unwanted: threading.Event) -> None:
        """Where nothing has been read yet: restores what an earlier process read of these messages before the
        last one, or reads it and saves it.  Its failures are not the call's."""
        before = list(messages[:-1])
        if not self.fresh or sum(len(message["content"]) for message in before) < PREFIX_CHARS:
            return
        file = self.folder / f"{self._fingerprint(before)}.kv"
        if file.exists() and self._slot("restore", file.name):
            os.utime(file)
            return
        self.chat(
            {"messages": before, "max_tokens": 1, "cache_prompt": True},
            lambda _: unwanted.is_set() or self.closing.is_set(),
        )
        if unwanted.is_set():
            return
        part = file.with_suffix(f".{os.getpid()}")
        if self._slot("save", part.name):
            os.replace(part, file)
            file.chmod(0o600)
        part.unlink(missing_ok=True)
        tidy(self.folder)

    def _fingerprint(self, messages: Sequence[Message]) -> str:
        stat = self.path.stat()
        told = json.dumps([str(self.path), stat.st_size, stat.st_mtime_ns, self.version, messages])
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def tokens(self, text: str) -> int:
        try:
            return len(self._post("/tokenize", {"content": text})["tokens"])
        except (OSError, ValueError, KeyError) as error:
            raise LMCallError(f"the local model failed to count tokens: {error}") from error

    def _slot(self, action: str, file: str) -> bool:
        try:
            self._post(f"/slots/0?action={action}", {"filename": file})
        except OSError:
            return False
        return True

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self.server.listening_address}{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
        with opener.open(request, timeout=30) as reply:
            return json.load(reply)


def tidy(folder: Path) -> None:
    """Keeps the saved beginnings that were used last, `PREFIXES` and `PREFIX_BYTES` at most, and removes what
    killed processes left half written."""
    kept = size = 0
    with contextlib.suppress(OSError):  # another process tidies too
        for file in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True):
            stat = file.stat()
            if file.suffix == ".kv":
                kept, size = kept + 1, size + stat.st_size
                goes = kept > PREFIXES or (kept > 1 and size > PREFIX_BYTES)
            else:
                goes = time.time() - stat.st_mtime > ABANDONED
            if goes:
                file.unlink(missing_ok=True)
