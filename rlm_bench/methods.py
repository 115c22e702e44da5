"""What is measured: ways to answer a question about a text.  All get the same question and the same text.

direct        one call with the text; its two ends where it is too long for the model's window
direct-head   the same, but its head is kept
direct-tail   the same, but its tail is kept
direct-error  the same, but a text that is too long has no answer
rag           one call with the pieces that BM25 finds
chunked       notes on all pieces, and one call that answers from them
rlm0 rlm1 rlm2
              an RLM at depth 0 (code alone), 1 (sub-calls), 2 (child RLMs)
dspy_rlm      dspy_rlm.RLM
dspy          upstream's dspy.RLM, in Deno where there is one, else in our sandbox
rlms          the official package; it runs the model's code in this process, without a sandbox
oracle        the true answer: checks the suite, as 100%
empty         no answer; heuristic: the task's simple rule; all_pairs: every pair; majority: always the same.
              What chance is worth
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib import metadata
from typing import Any

from rlm_bench import traces
from rlm_bench.models import Meter, Metered, cost_reached, counter
from rlm_bench.rows import plain
from rlm_bench.samples import Sample
from rlm_bench.tasks import get
from rlm_core import baselines, contract, strategies
from rlm_core.context import Context
from rlm_core.events import Event
from rlm_core.finding import Finder, Span, covered
from rlm_core.limits import Limits, RunUsage
from rlm_core.lms import LM, LMCallError
from rlm_core.loop import DEFAULT_WINDOW, Result
from rlm_core.pieces import Pieces, texts_of

COST = Limits().cost or math.inf  # dollars of an RLM on one sample
SHRINK = 0.8  # of the window, where a model refuses what was estimated to fit


@dataclass(frozen=True)
class Settings:
    """How methods are to work; the same for all samples of a run, and part of what a row is filed under.

    strategy    an RLM's; None: the one that suits the model
    iterations, sub_calls, seconds
                limits of an RLM on one sample
    sandbox     "auto" or "weak"
    """

    strategy: str | None = None
    iterations: int = 20
    sub_calls: int = 200
    seconds: float = 600.0
    sandbox: str = "auto"


@dataclass(frozen=True)
class Setting:
    """What a method is given beside the sample."""

    root: LM
    sub: LM
    settings: Settings = Settings()
    cost: float | None = None  # dollars that this sample may cost


@dataclass
class Outcome:
    """What a method came to.

    status     answered; not_found; budget or timeout: ended by a limit, with the best answer so far; gave_up:
               the model did not do what the method needs of it, and too_long: the text does not fit, which
               both count as wrong; error: something outside the model failed, or the run's --max-cost ended
               the sample, which does not count
    truncated  whether the model, or retrieval, was shown less than the text
    coverage   share of the text's characters that models were shown, where that is known
    steps      an RLM's: code, output and error of each, and its sub-calls; other methods' sub-calls, in one
    """

    answer: Any = None
    status: str = "answered"
    reason: str = ""
    usage: RunUsage = field(default_factory=RunUsage)
    seconds: float = 0.0
    first_seconds: float | None = None
    truncated: bool | None = None
    coverage: float | None = None
    unverified: bool | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)


Perform = Callable[[Sample, Setting, Meter], Outcome]


class GaveUp(Exception):
    """The model did not do what the method needs of it."""


class MethodFailed(Exception):
    """A method cannot work here: something it needs is missing.  One line that says what to do."""


def names() -> list[str]:
    return list(METHODS)


def needs_model(name: str) -> bool:
    return name not in MODELLESS


def perform(name: str, sample: Sample, setting: Setting) -> Outcome:
    """The outcome of one method on one sample.  Failures of models and sandboxes are in its status.

    Raises LMCallError of kind "auth", and MethodFailed: the next sample would fail as well."""
    from rlm_core.sandbox.protocol import SandboxError

    with ALONE.get(name, nullcontext()):
        meter, start = Meter(setting.cost), time.monotonic()
        try:
            outcome = METHODS[name](sample, setting, meter)
        except LMCallError as error:
            if error.kind == "auth":
                raise
            outcome = Outcome(None, "error", str(error))
        except GaveUp as error:
            outcome = Outcome(None, "gave_up", str(error))
        except baselines.TooLong as error:
            outcome = Outcome(None, "too_long", str(error))
        except SandboxError as error:
            outcome = Outcome(None, "error", str(error))
        outcome.seconds = time.monotonic() - start
    if meter.refused:
        outcome.status, outcome.reason = "error", meter.refused
    if meter.usage.calls:
        outcome.usage, outcome.first_seconds = meter.usage, meter.first_seconds
    if meter.sub_calls:
        outcome.steps.append({"calls": meter.sub_calls})
    return outcome


def config(name: str, setting: Setting) -> dict[str, Any]:
    """What decides, beside sample and models, what a method does: two rows of one config compare."""
    if name in MODELLESS:
        return {"method": name}
    told: dict[str, Any] = {"method": name, "window": setting.root.window or DEFAULT_WINDOW}
    if name.startswith("direct") or name in ("rag", "chunked"):
        told["prompts"] = [baselines.ANSWER, baselines.NOTE, baselines.MERGE]
        return told
    told |= asdict(setting.settings)
    if name in PACKAGES:
        told |= {"version": version_of(name), "interpreter": _interpreter() if name == "dspy" else None}
        return told
    strategy = strategy_of(setting)
    told["strategy"] = strategies.to_dict(strategy)
    told["wording"] = asdict(contract.WORDINGS[strategy.wording])
    return told


def version_of(package: str) -> str | None:
    """The installed version, None where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def digest(told: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=plain).encode()).hexdigest()[:16]


# ---- one call, or many over pieces


def text_of(context: Any) -> str:
    """Any context as one text; documents under their names."""
    value = Context.of(context).value
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return "\n\n".join(f"# {name}\n\n{text}" for name, text in value.items())
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return "\n\n".join(value)
    return json.dumps(value, ensure_ascii=False, default=str)


Work = Callable[[str, str, int, Callable[[str], int]], str]
"""A baseline: (text, query, window, count) -> answer."""


def _ask(work: Work, sample: Sample, lm: LM, window: int) -> str:
    """What `work` gives.  Where the model refuses a prompt that was estimated to fit, the window is taken to
    be smaller and all is done again."""
    text = text_of(sample.context)
    for _ in range(5):
        try:
            return work(text, sample.query, window, counter(lm))
        except LMCallError as error:
            if error.kind != "overflow":
                raise
            window = int(window * SHRINK)
    return work(text, sample.query, window, counter(lm))


def _direct(keep: baselines.Keep) -> Perform:
    def direct(sample: Sample, setting: Setting, meter: Meter) -> Outcome:
        return _one_call(partial(baselines.direct, keep=keep), sample, setting, meter)

    return direct


def rag(sample: Sample, setting: Setting, meter: Meter) -> Outcome:
    return _one_call(baselines.rag, sample, setting, meter)


def _one_call(baseline: Callable[..., str], sample: Sample, setting: Setting, meter: Meter) -> Outcome:
    ask = _Watched(setting.root, meter)
    answer = _ask(
        lambda text, query, window, count: baseline(ask, text, query, window, count=count),
        sample,
        setting.root,
        setting.root.window or DEFAULT_WINDOW,
    )
    size = len(text_of(sample.context))
    shown = min(size, ask.chars - len(baselines.ANSWER.format(text="", query=sample.query)))
    return Outcome(answer, truncated=shown < size, coverage=shown / size if size else 1.0)


def chunked(sample: Sample, setting: Setting, meter: Meter) -> Outcome:
    ask, note = Metered(setting.root, "root", meter), Metered(setting.sub, "sub", meter)
    at_once = setting.sub.concurrency or 8
    answer = _ask(
        lambda text, query, window, count: baselines.chunked(ask, text, query, window, at_once, note, count),
        sample,
        setting.sub,
        min(lm.window or DEFAULT_WINDOW for lm in (setting.root, setting.sub)),
    )
    return Outcome(answer, truncated=False, coverage=1.0)


class _Watched(Metered):
    """Remembers how long its last prompt was."""

    def __init__(self, lm: LM, meter: Meter):
        super().__init__(lm, "root", meter)
        self.chars = 0

    def __call__(self, prompt: str) -> str:
        self.chars = len(prompt)
        return super().__call__(prompt)


# ---- RLMs


def strategy_of(setting: Setting) -> strategies.Strategy:
    from rlm_core.home import home

    own = getattr(setting.root, "strategy", "default")
    return strategies.load(setting.settings.strategy or str(own), home() / "strategies")


def _limits(setting: Setting, depth: int) -> Limits:
    """But for iterations and sub-calls, which `dspy_rlm.RLM` takes as upstream does, and nowhere else."""
    return Limits(
        depth=depth,
        seconds=setting.settings.seconds,
        cost=COST if setting.cost is None else min(COST, setting.cost),
    )


def _rlm(depth: int) -> Perform:
    def rlm(sample: Sample, setting: Setting, meter: Meter) -> Outcome:
        from rlm_core.events import Chunk, Replied
        from rlm_core.rlm import RLM, Finished

        made = RLM(
            setting.root,
            setting.sub,
            limits=replace(
                _limits(setting, depth),
                iterations=setting.settings.iterations,
                sub_calls=setting.settings.sub_calls,
            ),
            strategy=strategy_of(setting),
            sandbox=setting.settings.sandbox,
        )
        start, first, failed = time.monotonic(), None, False
        events: list[Event] = []
        for event in made.stream(sample.context, sample.query):
            if isinstance(event, Replied) and not event.path:
                first = first or time.monotonic() - start
                failed = bool(event.error)
            elif isinstance(event, Finished):
                outcome = _outcome(event.result, failed, events)
                if event.result.limit == "cost" and setting.cost is not None and setting.cost < COST:
                    outcome.status, outcome.reason = "error", cost_reached(setting.cost)
                outcome.first_seconds = first
                outcome.coverage = _coverage(sample, events)
                return outcome
            if not isinstance(event, Chunk):
                events.append(event)
        raise RuntimeError("the run ended without a result")

    return rlm


def _coverage(sample: Sample, events: Sequence[Event]) -> float | None:
    """Share of the context that stands in what models were shown; None where looking for it takes too
    long."""
    inputs = {"context": sample.context}
    texts = dict(texts_of(inputs))
    pieces, finder = Pieces(inputs), Finder(texts)
    spans: list[Span] = []
    for text in _shown(events):
        quoted = [piece for piece in pieces.cut(text) if not isinstance(piece, str)]
        spans += quoted or finder.find(text)
    size = sum(map(len, texts.values()))
    return None if finder.late or not size else covered(spans) / size


def _shown(events: Sequence[Event]) -> Iterator[str]:
    from rlm_core.events import Started, Stepped, SubCalled

    for event in events:
        if isinstance(event, Started):
            yield event.card
        elif isinstance(event, Stepped):
            yield event.shown
        elif isinstance(event, SubCalled):
            yield event.prompt


def _outcome(result: Result, failed: bool, events: Sequence[Event] = ()) -> Outcome:
    """`failed`: whether the last call of the root model failed, rather than the model itself."""
    status = result.status
    if status == "limit":
        named = "timeout" if result.limit == "seconds" else "budget"
    elif status == "error":
        named = "error" if failed else "gave_up"
    else:
        named = status
    steps = traces.steps(result.trajectory, events)
    return Outcome(
        result.answer, named, result.reason, result.usage, unverified=result.unverified, steps=steps
    )


def dspy_rlm(sample: Sample, setting: Setting, meter: Meter) -> Outcome:
    with _dspy_lms(setting, meter) as (root, sub):
        from dspy_rlm import RLM, RLMError

        told = setting.settings
        module = RLM(
            "context, query -> answer",
            max_iters=told.iterations,
            max_llm_calls=told.sub_calls,
            sub_lm=sub,
            limits=_limits(setting, 1),
            strategy=strategy_of(setting),
            sandbox=told.sandbox,
            window=root.window,
            sub_window=sub.window,
        )
        try:
            run = module(context=sample.context, query=sample.query).run
        except RLMError as error:  # the model's own failure
            if error.partial is None or error.partial.run is None:
                raise
            run = error.partial.run
        return _outcome(run, False)


def dspy_upstream(sample: Sample, setting: Setting, meter: Meter) -> Outcome:
    with _dspy_lms(setting, meter) as (_, sub):
        import dspy

        from dspy_rlm import RestrictedInterpreter

        told = setting.settings
        where = {} if _interpreter() == "deno" else {"interpreter_factory": RestrictedInterpreter}
        module = dspy.RLM(
            "context, query -> answer",
            max_iters=told.iterations,
            max_llm_calls=told.sub_calls,
            sub_lm=sub,
            **where,
        )
        value = Context.of(sample.context).value
        prediction = module(context=value, query=sample.query)
        steps = [dict(step) for step in prediction.trajectory]
        return Outcome(prediction.answer, steps=steps)


def _interpreter() -> str:
    """Where upstream's `dspy.RLM` runs code."""
    return "deno" if shutil.which("deno") else "ours"


@contextmanager
def _dspy_lms(setting: Setting, meter: Meter) -> Iterator[tuple[Any, Any]]:
    """The models as DSPy's.  What DSPy raises on the way is told as an LMCallError."""
    try:
        import dspy

        from dspy_rlm import as_dspy
    except ImportError:
        raise MethodFailed("this method needs DSPy: pip install 'llm-rlm[dspy]'") from None
    root = as_dspy(Metered(setting.root, "root", meter), cache=False)
    sub = as_dspy(Metered(setting.sub, "sub", meter), cache=False)
    try:
        with dspy.context(lm=root):
            yield root, sub
    except (LMCallError, MethodFailed):
        raise
    except dspy.AdapterParseError as error:
        raise GaveUp(str(error)) from error
    except Exception as error:
        raise LMCallError(f"{type(error).__name__}: {error}") from error


def rlms(sample: Sample, setting: Setting, meter: Meter) -> Outcome:
    try:
        from rlm.utils.exceptions import TimeoutExceededError

        from rlm_bench import peers
    except ImportError:
        raise MethodFailed("this method needs the package rlms: pip install rlms") from None
    try:
        return Outcome(peers.rlms(sample, setting, meter))
    except TimeoutExceededError as error:
        return Outcome(error.partial_answer, "timeout", str(error))
    except LMCallError:
        raise
    except Exception as error:
        raise LMCallError(f"{type(error).__name__}: {error}") from error


# ---- what needs no model


def oracle(sample: Sample, setting: Setting, meter: Meter) -> Outcome:
    if sample.meta.get("unanswerable"):
        return Outcome(None, "not_found")
    return Outcome(sample.answer)


def empty(sample: Sample, setting: Setting, meter: Meter) -> Outcome:
    return Outcome("")


def heuristic(sample: Sample, setting: Setting, meter: Meter) -> Outcome:
    answer = get(sample.task).heuristic(sample)
    return Outcome(answer, "not_found" if answer is None else "answered")


def _rule(name: str) -> Perform:
    """A baseline of the task's; of tasks that have none of that name, no answer."""

    def rule(sample: Sample, setting: Setting, meter: Meter) -> Outcome:
        of_task = get(sample.task).baselines.get(name)
        return Outcome(of_task(sample) if of_task else "")

    return rule


PACKAGES = ("dspy", "rlms")  # methods that are other packages, by the name of which they go

ALONE = {"rlms": threading.Lock()}
"""Methods of which one sample at a time is done in a process: they change its folder and its stdout."""

MODELLESS: dict[str, Perform] = {
    "oracle": oracle,
    "empty": empty,
    "heuristic": heuristic,
    "all_pairs": _rule("all_pairs"),
    "majority": _rule("majority"),
}
METHODS: dict[str, Perform] = {
    "direct": _direct("ends"),
    "direct-head": _direct("head"),
    "direct-tail": _direct("tail"),
    "direct-error": _direct("all"),
    "rag": rag,
    "chunked": chunked,
    "rlm0": _rlm(0),
    "rlm1": _rlm(1),
    "rlm2": _rlm(2),
    "dspy_rlm": dspy_rlm,
    "dspy": dspy_upstream,
    "rlms": rlms,
    **MODELLESS,
}
