"""The models that methods ask: llm's by their names, `scripted` for trying the suite itself, or any LM of
`rlm_core`.

A name and options are all that a worker elsewhere needs to find its models, so a run is described by them."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rlm_bench import traces
from rlm_core.limits import Budget, LimitReached, Limits, RunUsage
from rlm_core.lms import LM, Completion, LMCallError, Message, ScriptedLM, Usage, estimate_tokens
from rlm_core.loop import DEFAULT_WINDOW

if TYPE_CHECKING:
    from llm_rlm.callee import Callee


class ModelNotFound(ValueError):
    """No such model, or no key for it; one line that says what to do."""


@dataclass(frozen=True)
class Model:
    """A model by name: one of llm's, or "scripted".

    options  llm's, as (name, value)
    key      None: the one that is stored where it is asked"""

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    key: str | None = field(default=None, repr=False, compare=False)

    def lm(self) -> LM:
        """Raises ModelNotFound."""
        return _found(self)

    def with_key(self) -> Model:
        """With the key that is stored here.  Raises ModelNotFound."""
        callee = getattr(self.lm(), "callee", None)
        return self if callee is None else replace(self, key=callee.check_key())


SCRIPTED = Model("scripted")


@lru_cache(maxsize=8)
def _found(model: Model) -> LM:
    if model.name == SCRIPTED.name:
        if model.options:
            raise ModelNotFound(f"{model.name} takes no options: leave out -o")
        return ScriptedLM(_script, model=model.name, window=DEFAULT_WINDOW)
    import click
    import llm
    from pydantic import ValidationError

    from llm_rlm.as_lm import CalleeLM
    from llm_rlm.callee import Callee
    from llm_rlm.settings import find_model

    try:
        pair = find_model(model.name)
        given = dict(model.options)
        options = pair.model.Options(**given).model_dump(
            exclude_unset=True
        )  # checked, and of their own types
        callee = Callee(pair, model.key, options)
        callee.check_key()
    except llm.NeedsKeyException as error:
        raise ModelNotFound(str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(map(str, first["loc"]))
        raise ModelNotFound(f"{model.name} takes no option {option!r} like this: {first['msg']}") from None
    except (llm.ModelError, click.ClickException) as error:
        raise ModelNotFound(str(error).removeprefix("-o sub_model: ").removeprefix("-o sub_model ")) from None
    return CalleeLM(callee)


def fetch(*lms: LM) -> None:
    """Has the local model loaded, where they are that, on this thread: in others Ctrl-C would wait for it.
    Raises ModelNotFound."""
    import llm

    for callee in _callees(lms):
        try:
            callee.fetch()
        except llm.ModelError as error:
            raise ModelNotFound(str(error)) from None


def interrupt(*lms: LM, code: int) -> None:
    """Ctrl-C: no call of the local model is waited for when the process exits, with `code`."""
    for callee in _callees(lms):
        callee.interrupt(code)


def _callees(lms: Iterable[LM]) -> Iterator[Callee]:
    for lm in lms:
        callee = getattr(lm, "callee", None)
        if callee is not None:
            yield callee


class Metered:
    """An LM whose every call is counted, under the role that the caller plays: what a method used is the sum
    of its calls, never a reading of shared counters."""

    def __init__(self, lm: LM, role: str, meter: Meter):
        self.lm, self.role, self.meter = lm, role, meter
        self.model, self.window, self.concurrency = lm.model, lm.window, lm.concurrency

    def __deepcopy__(self, memo: dict[int, Any]) -> Metered:  # DSPy copies its LMs
        return self

    def complete(self, messages: Sequence[Message]) -> Completion:
        with self.meter.call(self.role, self.model, messages) as ended:
            return ended(self.lm.complete(messages))

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        with self.meter.call(self.role, self.model, messages, waits=False) as ended:
            return ended(await self.lm.acomplete(messages))

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Completion]:
        with self.meter.call(self.role, self.model, messages) as ended:
            for piece in self.lm.stream(messages):
                yield ended(piece) if isinstance(piece, Completion) else piece

    async def astream(self, messages: Sequence[Message]) -> AsyncIterator[str | Completion]:
        with self.meter.call(self.role, self.model, messages, waits=False) as ended:
            async for piece in self.lm.astream(messages):
                yield ended(piece) if isinstance(piece, Completion) else piece

    def __call__(self, prompt: str) -> str:
        return self.complete([{"role": "user", "content": prompt}]).text


class Meter:
    """What the calls of one sample used, by role and model.  Any thread may call.

    cost     dollars that the sample may cost; None: without end
    refused  why a call was not sent: they are spent
    """

    def __init__(self, cost: float | None = None) -> None:
        self.refused = ""
        self.first_seconds: float | None = None  # until the first reply
        self.sub_calls: list[dict[str, Any]] = []  # what they asked and got, as far as a row keeps it
        self._cost = cost
        self._budget = Budget(Limits(cost=cost, tokens=None, seconds=None))
        self._ended = 0  # calls
        self._changed = threading.Condition()

    @contextmanager
    def call(
        self, role: str, model: str, messages: Sequence[Message], waits: bool = True
    ) -> Iterator[Callable[[Completion], Completion]]:
        """Around a call; what it gives takes what came of that.  Where it `waits`, a call that may well pass
        the cost, beside those in flight, is begun after these.  Raises LMCallError where the cost is
        reached."""
        self._begin(role, waits)

        def ended(completion: Completion) -> Completion:
            self._record(role, completion.model or model, completion.usage)
            self._keep(role, messages, completion.text, completion.model or model)
            return completion

        try:
            yield ended
        except LMCallError as error:
            self._keep(role, messages, "", model, str(error))
            if error.usage:  # it was paid for all the same
                self._record(role, model, error.usage)
            raise
        finally:
            with self._changed:
                self._budget.release(0)
                self._ended += 1
                self._changed.notify_all()

    def _begin(self, role: str, waits: bool) -> None:
        with self._changed:
            while waits and self._crowded(role):
                self._changed.wait()
            try:
                self._budget.reserve(0)
            except LimitReached:
                self.refused = cost_reached(self._cost)
                raise LMCallError(self.refused) from None

    def _crowded(self, role: str) -> bool:
        if self._cost is None or not self._budget.in_flight:
            return False
        return not self._ended or self._budget.crowded(role)  # what a call costs, the first one tells

    def _record(self, role: str, model: str, usage: Usage) -> None:
        with self._changed:
            self._budget.record(role, 0, model, usage)
            if self.first_seconds is None:
                self.first_seconds = self._budget.seconds

    def _keep(self, role: str, messages: Sequence[Message], reply: str, model: str, error: str = "") -> None:
        if role == "sub" and len(self.sub_calls) < traces.MOST:
            prompt = "\n\n".join(str(message["content"]) for message in messages)
            self.sub_calls.append(traces.call(prompt, reply, model, error))

    @property
    def usage(self) -> RunUsage:
        return self._budget.usage


def cost_reached(cost: float | None) -> str:
    return f"the ${cost or 0.0:.4g} that --max-cost left for this sample were spent before its answer"


def counter(lm: LM, fetching: bool = True) -> Callable[[str], int]:
    """How an LM counts tokens: by its own tokenizer where it has one, else estimated; unless `fetching`, also
    where the tokenizer would have to be fetched first."""
    if not fetching and not all(callee.at_hand for callee in _callees([lm])):
        return estimate_tokens
    own: Callable[[str], int] = getattr(lm, "tokens", estimate_tokens)
    return own


# ---- an LM that plays by a script, offline


LOOK = """```repl
words = {words!r}
found = next((lines for lines in map(grep, words) if lines), [])
print(len(found), found[:2])
```"""
FIND = """```repl
SUBMIT(found[0].rstrip(".").split()[-1]) if found else NOT_FOUND("no line holds " + ", ".join(words))
```"""


def _script(messages: list[Message]) -> str:
    """Looks for the longest words of the question, and submits the last word of the first line found: enough
    to exercise all of a run, and no measure of anything."""
    if [message["role"] for message in messages] == ["user"]:
        return "NOTHING"
    if messages[-2]["role"] == "assistant":
        return FIND
    words = set(re.findall(r"[\w-]{5,}", messages[-1]["content"].rpartition("\n\n")[2]))
    return LOOK.format(words=sorted(words, key=lambda word: (-len(word), word))[:8])
