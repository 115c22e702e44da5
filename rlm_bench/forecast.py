"""`--dry-run`: how many samples, and about how many tokens and dollars, with nothing sent.

What an RLM will do is not known; its figures are those of a short run, and of one that goes on until its
limit of steps.  Sub-calls come on top: they are as many as the model's code makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from llm_rlm.as_lm import CalleeLM
from rlm_bench import tasks
from rlm_bench.methods import Setting, Settings, needs_model, strategy_of
from rlm_bench.models import counter
from rlm_bench.report import plain
from rlm_bench.runner import Job, Spec
from rlm_bench.samples import Sample, flat
from rlm_core import baselines, prices
from rlm_core.context import Context
from rlm_core.limits import Budget
from rlm_core.lms import LM, Usage, estimate_tokens
from rlm_core.loop import DEFAULT_WINDOW, Run, Task
from rlm_core.views import View

REPLY = 300  # tokens of a reply
STEP = 500  # tokens that a step's output and the words around it add to the prompt
SHORT = 3  # steps of a short run
SAMPLED = 20_000  # characters whose tokens are counted, for the density of all


@dataclass
class Expected:
    """Tokens of one method: of the model that answers, at least and at most, and of the one that takes
    notes."""

    samples: int = 0
    least: Usage = field(default_factory=Usage)
    most: Usage = field(default_factory=Usage)
    notes: Usage = field(default_factory=Usage)


def forecast(jobs: Sequence[Job], root: LM, sub: LM, settings: Settings) -> str:
    """A table for the terminal."""
    setting = Setting(root, sub, settings)
    known: dict[tuple[str, Spec], tuple[Usage, Usage, Usage]] = {}
    expected: dict[str, Expected] = {}
    for job in jobs:  # a cell's samples are of one size, and told by its first; each question by itself
        cell = replace(job.spec, index=0) if "size" in tasks.get(job.spec.task).defaults else job.spec
        of = expected.setdefault(job.method, Expected())
        of.samples += 1
        if not needs_model(job.method):
            continue
        if (job.method, cell) not in known:
            known[job.method, cell] = _tokens(job.method, cell.sample(), setting)
        least, most, notes = known[job.method, cell]
        of.least += least
        of.most += most
        of.notes += notes
    lines = [
        f"{len({job.spec for job in jobs})} samples, {len(jobs)} answers, window {root.window or 'unknown'}",
        "",
    ]
    body = []
    for method, of in expected.items():
        least, most = of.least + of.notes, of.most + of.notes
        told = [_span(least.input, most.input), _span(least.output, most.output), _cost(of, root, sub)]
        body.append([method, str(of.samples), *(told if needs_model(method) else ["no model", "", ""])])
    lines.append(plain((["method", "answers", "tokens in", "tokens out", "cost"], body)))
    lines.append("\nTokens are estimates; an RLM's sub-calls come on top.")
    return "\n".join(lines)


def _tokens(method: str, sample: Sample, setting: Setting) -> tuple[Usage, Usage, Usage]:
    """At least, at most, and of notes."""
    text = flat(sample.context)
    window = setting.root.window or DEFAULT_WINDOW
    if method == "chunked":
        window = min(window, setting.sub.window or DEFAULT_WINDOW)
    density = counter(setting.root, fetching=False)(text[:SAMPLED]) / max(1, len(text[:SAMPLED]))
    read = int(len(text) * density)
    room = window - baselines.REPLY
    if method.startswith("direct"):
        used = Usage(min(read, room), REPLY)
        return used, used, Usage()
    if method == "rag":
        used = Usage(min(read, room // 2), REPLY)
        return used, used, Usage()
    if method == "chunked":
        calls = -(-read // room)
        if calls == 1:
            return Usage(read, REPLY), Usage(read, REPLY), Usage()
        merging = Usage(calls * REPLY, REPLY)
        return merging, merging, Usage(read + calls * 80, calls * REPLY)
    run = Run(
        Task(sample.query, {"context": Context.of(sample.context)}),
        Budget(),
        strategy_of(setting),
        window=window,
    )
    view = View(run.contract, run.strategy, run.card, sample.query)
    first = sum(estimate_tokens(message["content"]) for message in view.messages())
    return _steps(first, SHORT, window), _steps(first, setting.settings.iterations, window), Usage()


def _steps(first: int, steps: int, window: int) -> Usage:
    each = [min(window, first + step * (REPLY + STEP)) for step in range(steps)]
    return Usage(sum(each), steps * REPLY)


def _span(least: int, most: int) -> str:
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _cost(of: Expected, root: LM, sub: LM) -> str:
    notes = _dollars(of.notes, sub) if of.notes.input else 0.0
    least, most = _dollars(of.least, root), _dollars(of.most, root)
    if least is None or most is None or notes is None:
        return "unknown"
    told = [f"${cost + notes:,.2f}" for cost in (least, most)]
    return told[0] if told[0] == told[1] else " to ".join(told)


def _dollars(used: Usage, lm: LM) -> float | None:
    return prices.cost(used, lm.callee.facts) if isinstance(lm, CalleeLM) else None
