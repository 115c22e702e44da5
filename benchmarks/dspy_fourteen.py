"""`dspy.RLM` in fourteen situations, `dspy_rlm.RLM` beside it: python benchmarks/dspy_fourteen.py [--deno]

Upstream's class runs on its LocalInterpreter, and with --deno on its default too, where that starts.  Every
LM is scripted.  `tests/dspy/test_fourteen.py` holds ours to it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import logging
import os
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dspy
import pydantic
from dspy.predict.rlm import RLM as Upstream
from dspy.primitives.local_interpreter import LocalInterpreter
from dspy.teleprompt import GEPA
from dspy_upstream import NAMES, Maker, Scripted, call, deno, deno_starts, local, ours
from gepa.strategies.component_selector import RoundRobinReflectionComponentSelector

from dspy_rlm import Limits, feedback, used_components


def ends(action: Callable[[], Any]) -> str:
    """What an action came to, in a line."""
    try:
        return str(action()).replace("\n", " ")[:110]
    except Exception as error:
        kept = getattr(error, "partial", None)
        return f"raises {type(error).__name__}, {len(kept.trajectory) if kept else 'no'} steps kept"


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """No progress bars."""
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def bad_step(make: Maker) -> Iterator[str]:
    """1  one bad action loses the run"""
    odd = Scripted("print(1)", ["I do not know."], ["Nor now."], "SUBMIT('went on')")
    yield "a reply that cannot be read: " + ends(lambda: call(make(), odd).answer)
    full = Scripted(
        "print('x' * 9000)", "print('y' * 9000)", dspy.ContextWindowExceededError(message="too long"),
        *["SUBMIT('went on')"] * 2,
    )  # fmt: skip
    yield "the window overflows: " + ends(lambda: call(make(), full).answer)
    lost = Scripted("print(1)", dspy.LMTransportError("reset"))
    yield "the connection breaks: " + ends(lambda: call(make(), lost).answer)


def sandbox(make: Maker) -> Iterator[str]:
    """2  the default sandbox is slow to start, the fast one is none"""
    start = time.monotonic()
    call(make(), Scripted("SUBMIT('x')"))
    yield f"a run of one step: {time.monotonic() - start:.2f} s"
    os.environ["A_SECRET"] = "read"
    lm = Scripted("import os\nx = os.environ.get('A_SECRET')\nSUBMIT(x)", "SUBMIT('not read')")
    yield "the host's environment: " + ends(lambda: call(make(), lm).answer)
    lm = Scripted("x = open('/etc/passwd').read(5)\nSUBMIT(x)", "SUBMIT('not read')")
    yield "the host's files: " + ends(lambda: call(make(), lm).answer)


class Counting(LocalInterpreter):  # type: ignore[misc]
    """Counts the characters of what it is handed."""

    chars = 0

    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        type(self).chars += len(str((variables or {}).get("context", "")))
        return super().execute(code, variables)


def context(make: Maker) -> Iterator[str]:
    """3  the context is handed over at every step, which undoes the model's edits"""
    lm = Scripted("context = 'the edit'", "SUBMIT(context)")
    yield "after an edit the next step sees " + ends(lambda: call(make(), lm, context="the input").answer)
    if make is not deno:
        Counting.chars = 0
        made = make()
        made._interpreter_factory = Counting
        call(made, Scripted(*map(str, range(9)), "SUBMIT('x')"), context="x" * 1000)
        yield f"1,000 characters, 10 steps: {Counting.chars:,} handed over"


def history(make: Maker) -> Iterator[str]:
    """4  no compaction"""
    lm = Scripted(*(f"print('x' * 10_000)  # {n}" for n in range(39)), "SUBMIT('end')")
    call(make(max_iters=40), lm)
    yield f"40 steps that print 10,000 characters each: {lm.chars:,} sent"


def contract(make: Maker) -> Iterator[str]:
    """5  optimizers can delete the REPL's rules, and loading makes them stale"""
    rlm, lm = make(), Scripted("SUBMIT('x')")
    rlm.generate_action.signature = rlm.generate_action.signature.with_instructions("Be swift.")
    call(rlm, lm)
    told = [name for name in ("SUBMIT(", "llm_query(", "context") if name in lm.system]
    yield f"other instructions; still told of: {', '.join(told) or 'nothing'}"

    def lookup(word: str) -> str:
        """Looks a word up."""
        return word

    with tempfile.TemporaryDirectory() as folder:
        make().save(Path(folder, "program.json"))
        loaded, lm = make(tools=[lookup], max_llm_calls=7), Scripted("SUBMIT('x')")
        loaded.load(Path(folder, "program.json"))
    call(loaded, lm)
    yield (
        f"loaded where there is a tool and a limit of 7: told of the tool {'lookup' in lm.system}, "
        f"of the limit {' 7 ' in lm.system or '~7 ' in lm.system}"
    )


def gepa(make: Maker) -> Iterator[str]:
    """6  GEPA spends steps on `extract`, and reflects on one step"""

    def metric(gold: Any, pred: Any, *rest: Any) -> Any:
        return dspy.Prediction(score=0.0, feedback="Wrong.")

    class Root(Scripted):
        def _say(self, messages: Any) -> list[str]:
            self.replies[:] = [
                "SUBMIT('x')" if messages and "first" in str(messages[1:]) else "print('first')"
            ]
            return super()._say(messages)

    class Reflecting(Scripted):
        whole = 0

        def _say(self, messages: Any) -> list[str]:
            told = "\n".join(message["content"] for message in messages)
            self.whole += all(step in told for step in ("print('first')", "SUBMIT('x')"))
            fields = {*re.findall(r"\[\[ ## (\w+) ## \]\]", told)}
            self.replies[:] = [["\n".join(f"[[ ## {name} ## ]]\nDo better." for name in fields)]]
            return super()._say(messages)

    chosen: list[str] = []

    class Picks(RoundRobinReflectionComponentSelector):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> list[str]:
            pick = used_components if make is ours else super().__call__
            names: list[str] = pick(*args, **kwargs)
            chosen.extend(names)
            return names

    reflecting = Reflecting()
    examples = [dspy.Example(context=f"text {n}", answer="a").with_inputs("context") for n in range(2)]
    with dspy.context(lm=Root()), silenced():
        GEPA(
            metric=feedback(metric) if make is ours else metric,
            max_metric_calls=14 if make is not deno else 6,
            reflection_lm=reflecting,
            num_threads=1,
            reflection_minibatch_size=1,
            component_selector=Picks(),
        ).compile(make(), trainset=examples, valset=examples)
    yield f"steps of GEPA: {len(chosen)}, on `extract`, which never ran: {chosen.count('extract')}"
    yield f"reflections that saw the whole run: {reflecting.whole} of {reflecting.asked}"


def overlap(make: Maker) -> Iterator[str]:
    """7  `aforward` blocks the event loop"""
    lm = Scripted(*["x = llm_query('q')\nSUBMIT(x)"] * 4, delay=0.5)

    async def four() -> None:
        with dspy.context(lm=lm):
            await asyncio.gather(*(make().acall(context="abc") for _ in range(4)))

    start = time.monotonic()
    asyncio.run(four())
    took = time.monotonic() - start
    yield f"four runs, a step and a sub-call of 0.5 s each: {lm.widest} sub-calls at once, {took:.1f} s"


def timeout(make: Maker) -> Iterator[str]:
    """8  a step that runs over ends the run"""
    if make is deno:
        yield "there is no time limit on a step"
        return
    made = make(limits=Limits(step_seconds=1.0))
    if make is local:
        made._interpreter_factory = lambda: LocalInterpreter(execution_timeout=1.0)
    lm = Scripted("x = 1", "while True: pass", "SUBMIT(f'x is {x}')")
    yield "an endless loop, then: " + ends(lambda: call(made, lm).answer)


def budget(make: Maker) -> Iterator[str]:
    """9  a count of calls is the only limit"""
    lm = Scripted(*(f"print('x' * 8_000)  # {n}" for n in range(12)), "SUBMIT('end')")
    call(make(limits=Limits(tokens=20_000)), lm)
    yield f"a limit of 20,000 tokens{'' if make is ours else ' cannot be given'}: {lm.chars // 4:,} sent"
    block = "try:\n    llm_query_batched('abc')\nexcept Exception:\n    pass\nx = llm_query('q')\nSUBMIT(x)"
    lm = Scripted(block, "SUBMIT('refused')")
    yield "three sub-calls allowed, after a str as a batch: " + ends(
        lambda: call(make(max_llm_calls=3), lm).answer
    )


def positional(make: Maker) -> Iterator[str]:
    """10  tools with positional arguments"""

    def join(a: str, b: str) -> str:
        return a + b

    lm = Scripted("x = join('a', 'b')\nSUBMIT(x)", "SUBMIT('failed')")
    yield "join('a', 'b'): " + ends(lambda: call(make(tools=[join]), lm).answer)


def batch(make: Maker) -> Iterator[str]:
    """11  batches are eight wide, and `llm_query` takes a prompt alone"""
    lm = Scripted("SUBMIT(str(len(llm_query_batched(['q'] * 32))))", delay=0.1)
    call(make(limits=Limits(concurrency=32)), lm)
    yield f"32 sub-calls: {lm.widest} at once"
    sub = dspy.LM("scripted/small")
    asked: list[str] = []
    sub.copy = lambda model: asked.append(model) or Scripted(model=model)
    lm = Scripted("x = llm_query('q', model='scripted/large')\nSUBMIT(x)", "SUBMIT('refused')")
    yield "llm_query('q', model='scripted/large'): " + ends(lambda: call(make(sub_lm=sub), lm).answer)


def told(make: Maker) -> Iterator[str]:
    """12  no events, no usage by depth"""

    class Listener(dspy.utils.BaseCallback):  # type: ignore[misc]
        heard = 0

        def on_rlm_event(self, rlm: Any, event: Any) -> None:
            self.heard += 1

    listener = Listener()
    with dspy.context(callbacks=[listener]):
        prediction = call(make(), Scripted("SUBMIT(llm_query('q'))"))
    run = getattr(prediction, "run", None)
    rows = ", ".join(f"{row.role} at depth {row.depth}: {row.calls}" for row in run.usage.rows) if run else ""
    yield f"usage: {rows or 'none by role or depth'}; events: {listener.heard}"


class Pet(pydantic.BaseModel):
    name: str


def late(make: Maker) -> Iterator[str]:
    """13  inputs that fail after the first paid call"""
    given = {"a set": {1, 2}, "bytes": b"ab", "a pydantic object": Pet(name="Rex"), "a module": os}
    for kind, value in given.items():
        lm = Scripted("x = str(type(context))\nSUBMIT(x)", *["SUBMIT('not there')"] * 2)
        outcome = ends(lambda lm=lm, value=value: call(make(), lm, context=value).answer)
        yield f"{kind}: {outcome} ({lm.asked} calls paid)"


def set_lm(make: Maker) -> Iterator[str]:
    """14  `set_lm` does not reach sub-calls, and a deep copy copies the sub-LM"""
    rlm = make()
    rlm.set_lm(Scripted("x = llm_query('q')\nSUBMIT(x)", "SUBMIT('not reached')"))
    with dspy.context(lm=None):
        yield "a sub-call after set_lm: " + ends(lambda: rlm(context="abc").answer)
    rlm = make(sub_lm=dspy.LM("scripted/small"))
    yield f"a deep copy has the same sub-LM: {rlm.deepcopy().sub_lm is rlm.sub_lm}"


SITUATIONS = (
    bad_step, sandbox, context, history, contract, gepa, overlap, timeout, budget, positional, batch, told,
    late, set_lm,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deno", action="store_true", help="upstream's class on Deno too: minutes")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    makers = [local, *([deno] if options.deno and deno_starts() else []), ours]
    if options.deno and deno not in makers:
        print("Deno does not start here (pip install deno)")
    print(f"dspy {dspy.__version__}: {Upstream.__module__}.RLM")
    for situation in SITUATIONS:
        print(f"\n{situation.__doc__}")
        for make in makers:
            try:
                for line in situation(make):
                    print(f"    {NAMES[make]:<28} {line}", flush=True)
            except Exception as error:
                print(f"    {NAMES[make]:<28} raises {type(error).__name__}: {str(error)[:80]}", flush=True)


if __name__ == "__main__":
    main()
