"""The packages that are measured: how each is had, spoken to, and asked.

The model's script is the same for all: Python with gaps for what each REPL calls its things.  A candidate
says how its REPL names them, how a reply with code looks, and how a run is made.  What a run asks for is at
most what the package offers; concurrency is set to 64 where that can be set and works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

TOP = Path(__file__).resolve().parents[2]
ROOT, SUB = (
    "root",
    "sub",
)  # names of models: a child's root, and a sub-call, go to `sub` where that can be said
KEY = "none-needed"
CONCURRENCY = 64


class Settings(NamedTuple):
    turns: int = 10
    depth: int = 1
    seconds: float = 600.0


class Candidate(NamedTuple):
    """
    requires   what pip installs into an environment of its own
    imports    what its users import
    context    the context's name in its REPL
    sub_calls  an expression: answers to the prompts "leaf 0", "leaf 1", ...; {n} of them
    children   an expression: answers of {n} child runs, each with a REPL; None where it has none
    submit     ends a run with the text in {value}
    fence      a whole reply with {code}
    ask        (url, context, query, settings) -> the answer; runs in its own environment
    """

    requires: tuple[str, ...]
    imports: str
    context: str
    sub_calls: str
    children: str | None
    submit: str
    fence: str
    ask: Callable[[str, str, str, Settings], Any]

    @property
    def package(self) -> str:
        return OURS if self.requires[0] == "-e" else self.requires[0].partition("==")[0]

    def reply(self, code: str) -> str:
        return self.fence.replace("{code}", code)

    def final(self, value: str) -> str:
        return self.submit.replace("{value}", value)


def _ours(url: str, context: str, query: str, settings: Settings) -> Any:
    from rlm_core import RLM, Limits, OpenAIChat

    limits = Limits(iterations=settings.turns, depth=settings.depth, sub_calls=None, concurrency=CONCURRENCY)
    root, sub = OpenAIChat(ROOT, base_url=url), OpenAIChat(SUB, base_url=url)
    return RLM(root, sub, limits).completion(context, query).answer


def _rlms(url: str, context: str, query: str, settings: Settings) -> Any:
    from rlm import RLM

    def model(name: str) -> dict[str, Any]:
        return {"model_name": name, "base_url": url, "api_key": KEY}

    made = RLM(
        backend="openai",
        backend_kwargs=model(ROOT),
        other_backends=["openai"],
        other_backend_kwargs=[model(SUB)],
        max_depth=settings.depth,
        max_iterations=settings.turns,
        max_concurrent_subcalls=CONCURRENCY,
    )
    return made.completion(context, root_prompt=query).response


def _recursive_llm(url: str, context: str, query: str, settings: Settings) -> Any:
    from rlm import RLM

    made = RLM(
        model=f"openai/{ROOT}",
        recursive_model=f"openai/{SUB}",
        api_base=url,
        api_key=KEY,
        max_depth=settings.depth,
        max_iterations=settings.turns,  # and 4 sub-calls at once, as it comes: with more it hangs on 2 CPUs
        repl_timeout=settings.seconds,
    )
    return made.complete(query, context)


def _minrlm(url: str, context: str, query: str, settings: Settings) -> Any:
    from minrlm import RLM

    made = RLM(model=ROOT, base_url=url, api_key=KEY, max_iterations=settings.turns)
    return made.completion(query, context).response


def _dspy(url: str, context: str, query: str, settings: Settings) -> Any:
    import dspy
    from dspy.primitives.local_interpreter import LocalInterpreter

    def model(name: str) -> Any:
        return dspy.LM(f"openai/{name}", api_base=url, api_key=KEY, cache=False)

    rlm = dspy.RLM(
        "context, query -> answer",
        max_iters=settings.turns,
        max_llm_calls=1_000,
        sub_lm=model(SUB),
        interpreter_factory=LocalInterpreter,
    )
    with dspy.context(lm=model(ROOT)):
        return rlm(context=context, query=query).answer


PYTHON = "```python\n{code}\n```"
REPL = "```repl\n{code}\n```"
DSPY = f"[[ ## reasoning ## ]]\nScripted.\n\n[[ ## code ## ]]\n{PYTHON}\n\n[[ ## completed ## ]]"
LEAVES = "[f'leaf {i}' for i in range({n})]"
READY = "answer['content'] = str({value})\nanswer['ready'] = True"

OURS = "llm-rlm"
CANDIDATES: dict[str, Candidate] = {
    OURS: Candidate(
        requires=("-e", str(TOP)),
        imports="from rlm_core import RLM, OpenAIChat",
        context="context",
        sub_calls=f"llm_query_batched({LEAVES})",
        children="rlm_query_batched([(f'child {i}', 'text') for i in range({n})])",
        submit="SUBMIT(str({value}))",
        fence=REPL,
        ask=_ours,
    ),
    "rlms": Candidate(
        requires=("rlms==0.1.3",),
        imports="from rlm import RLM",
        context="context",
        sub_calls=f"llm_query_batched({LEAVES})",
        children="rlm_query_batched([f'child {i}' for i in range({n})], model='sub')",
        submit=READY,
        fence=REPL,
        ask=_rlms,
    ),
    "recursive-llm": Candidate(
        requires=("recursive-llm==0.5.0",),
        imports="from rlm import RLM",
        context="context",
        sub_calls=f"llm_query_batched({LEAVES})",
        children="rlm_query_batched([f'child {i}' for i in range({n})], ['text'] * {n})",
        submit=READY,
        fence="{code}",
        ask=_recursive_llm,
    ),
    "minrlm": Candidate(
        requires=("minrlm==0.1.5",),
        imports="from minrlm import RLM",
        context="input_0",
        sub_calls="sub_llm_batch([(f'leaf {i}', '') for i in range({n})])",
        children=None,
        submit="FINAL(str({value}))",
        fence=PYTHON,
        ask=_minrlm,
    ),
    "dspy": Candidate(
        requires=("dspy==3.4.1",),
        imports="import dspy; dspy.RLM",
        context="context",
        sub_calls=f"llm_query_batched({LEAVES})",
        children="[dspy.RLM('context, query -> answer')(context='text', query=f'child {i}').answer "
        "for i in range({n})]",
        submit="SUBMIT(answer=str({value}))",
        fence=DSPY,
        ask=_dspy,
    ),
}
