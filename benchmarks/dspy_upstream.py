"""What the comparisons with `dspy.RLM` share: a scripted LM, and upstream's class on its interpreters.

Its default is Deno, which fetches Pyodide and a function `readLines` at its first start.  Where it does not
get the function, the few lines below stand for it: all else is upstream's own."""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
from dspy.predict.rlm import RLM as Upstream
from dspy.primitives.local_interpreter import LocalInterpreter
from dspy.primitives.python_interpreter import PythonInterpreter

from dspy_rlm import RLM

Maker = Callable[..., Any]


class Scripted(dspy.BaseLM):  # type: ignore[misc]
    """Says its replies in order to chats, and "ok" to plain prompts, each after `delay` seconds.  A str is
    code; an exception is raised; a list is said as it is.

    chars   of all chat prompts
    asked   calls
    widest  plain prompts (sub-calls) in flight at once, at most
    system  the last system prompt"""

    def __init__(self, *replies: Any, delay: float = 0.0, model: str = "scripted"):
        super().__init__(model, "chat", 0.0, 1000, False)
        self.replies, self.delay = list(replies), delay
        self.chars, self.asked, self.system = 0, 0, ""
        self.flying, self.widest, self.lock = 0, 0, threading.Lock()

    def __deepcopy__(self, memo: Any) -> Scripted:
        return self

    def _begin(self, messages: Any) -> None:
        with self.lock:
            self.asked += 1
            self.flying += messages is None
            self.widest = max(self.widest, self.flying)

    def _say(self, messages: Any) -> list[str]:
        with self.lock:
            self.flying -= messages is None
        if messages is None:
            return ["ok"]
        self.chars += sum(len(message["content"]) for message in messages)
        self.system = messages[0]["content"]
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, list):
            return reply
        return [
            f"[[ ## reasoning ## ]]\nr\n\n[[ ## code ## ]]\n```python\n{reply}\n```\n\n[[ ## completed ## ]]"
        ]

    def __call__(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[str]:
        self._begin(messages)
        time.sleep(self.delay)
        return self._say(messages)

    async def acall(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[str]:
        self._begin(messages)
        await asyncio.sleep(self.delay)
        return self._say(messages)


def call(rlm: Any, lm: Any, **inputs: Any) -> Any:
    with dspy.context(lm=lm):
        return rlm(**(inputs or {"context": "abc"}))


def ours(signature: str = "context -> answer", **kwargs: Any) -> Any:
    return RLM(signature, **kwargs)


def local(signature: str = "context -> answer", **kwargs: Any) -> Any:
    """Upstream's on LocalInterpreter: fast, and no sandbox."""
    kwargs.pop("limits", None)
    return Upstream(signature, interpreter_factory=LocalInterpreter, **kwargs)


def deno(signature: str = "context -> answer", **kwargs: Any) -> Any:
    """Upstream's on its default, Deno."""
    kwargs.pop("limits", None)
    return Upstream(signature, interpreter_factory=deno_interpreter, **kwargs)


NAMES = {local: "dspy.RLM, LocalInterpreter", deno: "dspy.RLM, Deno", ours: "dspy_rlm.RLM"}

READ_LINES = """
export async function* readLines(reader) {
  let parts = [];
  for await (const text of reader.readable.pipeThrough(new TextDecoderStream())) {
    const lines = text.split("\\n");
    for (const line of lines.slice(0, -1)) {
      yield parts.join("") + line;
      parts = [];
    }
    parts.push(lines.at(-1));
  }
  if (parts.join("")) yield parts.join("");
}
"""


def deno_interpreter() -> PythonInterpreter:
    return PythonInterpreter(deno_command=deno_command())


@functools.cache
def deno_command() -> list[str] | None:
    """None where Deno starts as upstream starts it, else the command that makes it start.  Raises what the
    interpreter raises where neither does."""
    try:
        _start(None)
        return None
    except Exception:
        folder = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        (folder / "lines.js").write_text(READ_LINES)
        imports = {"https://deno.land/std@0.186.0/io/mod.ts": "./lines.js"}
        (folder / "imports.json").write_text(json.dumps({"imports": imports}))
        program, run, *rest = PythonInterpreter().deno_command
        command = [program, run, f"--import-map={folder / 'imports.json'}", *rest]
        _start(command)
        return command


def _start(command: list[str] | None) -> None:
    interpreter = PythonInterpreter(deno_command=command)
    try:
        interpreter.execute("1")
    finally:
        interpreter.shutdown()


def deno_starts() -> bool:
    try:
        deno_command()
    except Exception:
        return False
    return True
