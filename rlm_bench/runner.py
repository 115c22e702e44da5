"""Running a plan: which samples, by which methods, in which order, and what is left of each.

`perform_one` is a plain function of plain data, so that it can be called anywhere: on threads here, or as
tasks on a Ray cluster."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rlm_bench import methods, rows, scorers, tasks
from rlm_bench.methods import Outcome, Setting, Settings
from rlm_bench.models import SCRIPTED, Model
from rlm_bench.presets import Preset
from rlm_bench.rows import Row
from rlm_bench.samples import Sample, flat
from rlm_core.lms import LM, estimate_tokens
from rlm_core.pool import CostReached, Places, Purse, Threads, performed

if TYPE_CHECKING:
    from rlm_core.ray_pool import Cluster

ERRORS_IN_A_ROW = 10  # of a method, that end a run: what fails so often will not work the next time
DEFAULTS = Settings()
META_CHARS = 400  # of a sample's meta, that a row keeps by item


@dataclass(frozen=True)
class Spec:
    """Which sample.  It is generated wherever it is needed, and never stored."""

    task: str
    params: tuple[tuple[str, Any], ...]
    seed: int = 0
    index: int = 0

    @classmethod
    def of(cls, task: str, params: Mapping[str, Any], seed: int = 0, index: int = 0) -> Spec:
        """ValueError for values that are no plain ones."""
        for name, value in params.items():
            if not isinstance(value, str | int | float | None):
                raise ValueError(f"{name}={value!r}: must be a number, a text, true, false or null")
        return cls(task, tuple(sorted(params.items())), seed, index)

    def sample(self) -> Sample:
        return _generated(self)


@lru_cache(maxsize=2)
def _generated(spec: Spec) -> Sample:
    """The methods of one sample come one after another: it is made once for them."""
    return tasks.get(spec.task).sample(seed=spec.seed, index=spec.index, **dict(spec.params))


@dataclass(frozen=True)
class Models:
    """The models of a run.  `sub` answers sub-calls; `root` where it is None.  An LM of `rlm_core` may stand
    in place of a `Model`, where all is done in this process."""

    root: Model | LM = SCRIPTED
    sub: Model | LM | None = None

    def lms(self) -> tuple[LM, LM]:
        """Raises ModelNotFound."""
        root = _lm(self.root)
        return root, root if self.sub is None else _lm(self.sub)

    def with_keys(self) -> Models:
        """With the keys that are stored here, to be taken elsewhere.  Raises ModelNotFound."""
        root = self.root.with_key() if isinstance(self.root, Model) else self.root
        return Models(root, self.sub.with_key() if isinstance(self.sub, Model) else self.sub)

    @property
    def names(self) -> tuple[str, str]:
        root = _name(self.root)
        return root, root if self.sub is None else _name(self.sub)


def _lm(model: Model | LM) -> LM:
    return model.lm() if isinstance(model, Model) else model


def _name(model: Model | LM) -> str:
    if not isinstance(model, Model):
        return model.model
    options = "".join(f" {name}={value}" for name, value in model.options)
    return f"{model.name}{options}"


@dataclass(frozen=True)
class Job:
    """One row to be."""

    spec: Spec
    method: str
    epoch: int = 0


def plan(preset: Preset, methods: Sequence[str], seed: int = 0, epochs: int = 1) -> list[Job]:
    """All jobs, round by round over the cells: what is broken off has samples in every cell, and a sample's
    methods stand together."""
    rounds = max((cell.n for cell in preset.cells), default=0)
    return [
        Job(Spec.of(cell.task, cell.params, seed, index), method, epoch)
        for epoch in range(epochs)
        for index in range(rounds)
        for cell in preset.cells
        if index < cell.n
        for method in methods
    ]


# ---- one job


def perform_one(
    job: Job,
    models: Models,
    settings: Settings = DEFAULTS,
    run: str = "",
    cost: float | None = None,
) -> Row:
    """The row of one job.  `cost`: dollars that it may cost.

    Raises what would fail for the next job as well: BuildError, ModelNotFound, MethodFailed, and LMCallError
    of kind "auth"."""
    sample = job.spec.sample()
    setting = Setting(*models.lms(), settings, cost)
    outcome = methods.perform(job.method, sample, setting)
    return row_of(job, sample, setting, models, outcome, run)


def key_of(job: Job, models: Models, cfg: str) -> str:
    """What a row is filed under: of equal keys only one need be done."""
    spec = job.spec
    task = tasks.get(spec.task)
    params = sorted({**task.defaults, **dict(spec.params)}.items())
    names = models.names if methods.needs_model(job.method) else (None, None)
    return rows.key(
        spec.task, task.version, params, spec.seed, spec.index, job.epoch, job.method, cfg, *names
    )


def config_sha(method: str, models: Models, settings: Settings) -> str:
    return methods.digest(methods.config(method, Setting(*models.lms(), settings)))


def row_of(
    job: Job, sample: Sample, setting: Setting, models: Models, outcome: Outcome, run: str = ""
) -> Row:
    cfg = methods.digest(methods.config(job.method, setting))
    scored = None
    if outcome.status != "error":
        scored = scorers.score(sample, outcome.answer, outcome.status)
    names = models.names if methods.needs_model(job.method) else (None, None)
    text = flat(sample.context)
    errors = [step.get("error") or "" for step in outcome.steps]
    return Row(
        key=key_of(job, models, cfg),
        run=run,
        task=sample.task,
        task_version=sample.version,
        params=dict(sample.params),
        seed=sample.seed,
        index=sample.index,
        epoch=job.epoch,
        method=job.method,
        method_cfg_sha=cfg,
        model=names[0],
        sub_model=names[1],
        sample=sample.id,
        context_sha256=sample.sha256,
        context_chars=len(text),
        est_tokens=estimate_tokens(text),
        query=sample.query,
        gold=sample.answer,
        unanswerable=bool(sample.meta.get("unanswerable")),
        cluster=str(sample.meta.get("cluster", sample.id)),
        meta={name: value for name, value in sample.meta.items() if len(repr(value)) <= META_CHARS},
        answer=outcome.answer,
        status=outcome.status,
        reason=outcome.reason,
        score=None
        if scored is None
        else {"strict": scored.strict, "compat": scored.compat, "partial": scored.partial},
        error_class="error" if scored is None else scored.error_class,
        iterations=sum("code" in step for step in outcome.steps),
        calls={role: outcome.usage.of(role).calls for role in _roles(outcome)},
        tokens=_tokens(outcome),
        cost_usd=outcome.usage.cost if outcome.usage.calls else 0.0,
        wall_s=round(outcome.seconds, 4),
        ttfa_s=None if outcome.first_seconds is None else round(outcome.first_seconds, 4),
        truncated=outcome.truncated,
        coverage=None if outcome.coverage is None else round(outcome.coverage, 4),
        exec_errors=sum(bool(error) for error in errors),
        syntax_errors=sum("SyntaxError" in error for error in errors),
        unverified=outcome.unverified,
        trace=outcome.steps,
    )


def _roles(outcome: Outcome) -> list[str]:
    return list(dict.fromkeys(row.role for row in outcome.usage.rows))


def _tokens(outcome: Outcome) -> dict[str, dict[str, int]]:
    return {
        role: {"in": used.input, "out": used.output, "cached": used.cached}
        for role in _roles(outcome)
        if (used := outcome.usage.of(role))
    }


# ---- all jobs


@dataclass
class Tally:
    """Where a run stands.  `unpriced`: calls were made whose cost is not known."""

    total: int
    done: int = 0
    errors: int = 0
    cost: float = 0.0
    unpriced: bool = False
    working: dict[Job, None] = field(default_factory=dict)  # in the order in which they were begun
    failing: Counter[str] = field(default_factory=Counter)  # errors in a row, by method
    stopped: str = ""  # why, where it was before the end

    def add(self, row: Row) -> None:
        self.done += 1
        self.errors += row.status == "error"
        self.cost += row.cost_usd or 0.0
        self.unpriced = self.unpriced or row.cost_usd is None
        failing = self.failing[row.method] + 1 if row.status == "error" else 0
        self.failing[row.method] = failing
        if failing >= ERRORS_IN_A_ROW:
            self.stopped = f"{failing} samples in a row failed by {row.method}, the last with: {row.reason}"


@dataclass(frozen=True)
class Work:
    """How the jobs of a run become rows."""

    models: Models
    settings: Settings
    run: str

    def __call__(self, job: Job, cost: float | None) -> Row:
        return perform_one(job, self.models, self.settings, self.run, cost)

    def lost(self, job: Job, why: str) -> Row:
        """The row of a job that was begun and never ended."""
        setting = Setting(*self.models.lms(), self.settings)
        return row_of(job, job.spec.sample(), setting, self.models, Outcome(None, "error", why), self.run)


@contextmanager
def places(work: Work, cluster: Cluster | None) -> Iterator[Places[Job, Row]]:
    """Where jobs are done: threads here, or a Ray cluster.  Raises ClusterError."""
    if cluster is None:
        yield Threads(work)
        return
    from rlm_core.ray_pool import Tasks, connected

    with connected(cluster) as (ray, stays):
        yield Tasks(ray, stays, cluster, work, lambda job: (job,), work.lost)


def run(
    jobs: Iterable[Job],
    places: Places[Job, Row],
    keep: Callable[[Row], None],
    tally: Tally,
    *,
    concurrency: int = 1,
    max_cost: float | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Tally:
    """Performs all jobs, some at once, and hands each row to `keep` before the next job is begun.

    max_cost  no job is begun once so much is spent, and each begun may spend a share of what is left; the
              first is done alone, and tells what one costs
    tick      called a few times a second

    Ends early, with `tally.stopped` saying why, by the cost or by too many errors in a row.  Raises what
    the work raises.  After an exception, KeyboardInterrupt too, nothing more is begun, and calls that wait
    are given up."""

    def begun() -> Iterator[Job]:
        for job in jobs:
            tally.working[job] = None
            yield job

    left = None if max_cost is None else max(0.0, max_cost - tally.cost)
    purse = Purse(left, concurrency, first_alone=True)
    try:
        with closing(performed(begun(), places, concurrency, purse, lambda row: row.cost_usd, tick)) as done:
            for job, row in done:
                del tally.working[job]
                keep(row)
                tally.add(row)
                if tally.stopped:
                    break
    except CostReached:
        tally.stopped = f"${max_cost:g} is spent"
    tick()
    return tally


def left_to_do(jobs: Sequence[Job], done: Iterable[Row], keys: Callable[[Job], str]) -> Iterator[Job]:
    """Jobs that have no row yet, or only one of an error."""
    there = {row.key for row in done if row.status != "error"}
    return (job for job in jobs if keys(job) not in there)


def now() -> str:
    return time.strftime("%Y%m%d-%H%M%S")
