"""`llm rlm map`: a run for each of many questions, on this machine or on a Ray cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from llm_rlm import recording, schema
from llm_rlm.answers import Answers, AnswersError, Told
from llm_rlm.as_lm import CalleeLM
from llm_rlm.report import fitting
from rlm_core.batch import CostReached, Outcome, Remote, Row, map_runs, read
from rlm_core.context import Context, ContextError
from rlm_core.limits import Limits
from rlm_core.loop import Result, Run, Task
from rlm_core.rlm import RLM
from rlm_core.sandbox.protocol import SandboxUnavailable
from rlm_core.terminal import safe

if TYPE_CHECKING:
    from llm_rlm.settings import Settings
    from rlm_core.ray_pool import Cluster


@dataclass(frozen=True)
class Making:
    """All that makes a batch's RLM, here or on a node, which has llm's models and not the keys."""

    model: str
    options: dict[str, str]
    json_schema: dict[str, Any] | None = None
    keys: tuple[str | None, str | None] = field(default=(None, None), repr=False)  # of root and sub-model

    def __call__(self) -> RLM:
        return _RLM(self.settings(), self.json_schema)

    def settings(self) -> Settings:
        """Raises click.ClickException."""
        import llm
        from pydantic import ValidationError

        from llm_rlm.family import GENERIC, twin_of
        from llm_rlm.options import in_words
        from llm_rlm.settings import settle

        try:
            twin = twin_of(self.model or GENERIC)
        except llm.UnknownModelError as error:
            raise click.ClickException(
                f"{error.args[0]}; `llm models -q rlm` lists those that there are"
            ) from None
        try:
            settings = settle(twin, twin.Options(**self.options), self.keys[0])
        except ValidationError as error:
            names = list(twin.Options.model_fields)
            raise click.ClickException("; ".join(in_words(each, names) for each in error.errors())) from None
        except llm.ModelError as error:
            raise click.ClickException(str(error)) from None
        if self.keys[1]:
            settings.sub.key = self.keys[1]
        return settings

    def with_keys(self, key: str | None) -> Making:
        """With the keys that are stored here.  Raises click.ClickException where one is missing."""
        import llm

        settings = replace(self, keys=(key, None)).settings()
        try:
            found = tuple(callee.check_key() for callee in (settings.root, settings.sub))
        except (llm.NeedsKeyException, llm.ModelError) as error:
            raise click.ClickException(str(error)) from None
        return replace(self, keys=(found[0], found[1]))


def shared(path: Path | None) -> Any:
    """The context that rows share, read once.  Raises click.ClickException."""
    if path is None:
        return None
    try:
        return Context.of(path)
    except ContextError as error:
        raise click.ClickException(f"--context: {error}") from None


def cluster(address: str | None) -> Cluster | None:
    from rlm_core.ray_pool import Cluster

    return Cluster(address) if address else None


class _RLM(RLM):
    source = "map"

    def __init__(self, settings: Settings, json_schema: dict[str, Any] | None):
        super().__init__(
            CalleeLM(settings.root),
            CalleeLM(settings.sub),
            settings.limits,
            settings.strategy,
            sandbox=settings.sandbox,
            journal=recording.journal(settings),
        )
        self.settings, self.json_schema = settings, json_schema

    def setup(self, run: Run) -> dict[str, Any]:
        return recording.setup(run, self.settings, self.json_schema)

    def task(self, context: Context, query: str) -> Task:
        task, wanted = super().task(context, query), self.json_schema
        if wanted is None:
            return task
        return replace(task, schema=schema.words(wanted), check=partial(schema.checked, schema=wanted))

    def recorded(self, context: Any, query: str, limits: Limits, run: str = "") -> tuple[Result, str]:
        result, run = super().recorded(context, query, limits, run)
        return fitting(result, self.json_schema), run


def run(
    making: Making,
    answers: Answers,
    rows: Callable[[], Iterator[Row]],
    workers: int,
    max_cost: float | None,
    cluster: Cluster | None,
) -> None:
    """Answers what is not yet answered, and tells what it came to.  Raises click.exceptions.Exit where not
    all is."""
    from tqdm import tqdm

    from rlm_core.ray_pool import ClusterError

    unpriced = making.settings().unpriced
    if max_cost is not None and unpriced:
        names = " and ".join(unpriced)
        click.echo(
            f"Prices of {names} are not known: --max-cost holds only if the API reports costs", err=True
        )
    answers.expected = total = _survey(rows(), answers)
    waiting: dict[str, str] = {}

    def ask() -> Iterator[Row]:
        for row in rows():
            if row.id not in answers.rows:
                waiting[row.id] = row.query
                yield row

    told, begun = Told(), Told()  # begun, and not finished
    for row in answers.rows.values():
        told.add(row)
    left = None if max_cost is None else max(0.0, max_cost - told.cost)
    bar = tqdm(
        total=total,
        initial=told.rows,
        unit=" rows",
        dynamic_ncols=True,
        disable=not (sys.stderr and sys.stderr.isatty()),
        leave=False,
    )

    def take(outcome: Outcome) -> None:
        told.add(answers.add(waiting.pop(outcome.id, ""), outcome))
        bar.set_postfix_str(told.dollars(), refresh=False)
        bar.update()

    def broken_off(outcome: Outcome) -> None:
        if outcome.status in ("answered", "not_found"):  # it was about to be taken
            try:
                take(outcome)
                return
            except AnswersError:
                pass  # which is why all this was broken off
        begun.add(asdict(outcome))

    backend: Literal["threads", "ray"] = "threads" if cluster is None else "ray"
    outcomes = map_runs(
        ask(),
        making,
        backend,
        workers=workers,
        name=answers.batch,
        max_cost=left,
        cluster=cluster,
        tick=bar.refresh,
        broken_off=broken_off,
    )
    began = time.monotonic()
    stopped, code = "--max-cost is too little for some", 4  # where the rows end with some left over
    try:
        with bar:
            for outcome in outcomes:
                if outcome.unpaid:
                    begun.add(asdict(outcome))
                else:
                    take(outcome)
    except CostReached:
        stopped = f"--max-cost of ${max_cost:g} is spent"
    except AnswersError as error:
        stopped, code = str(error), 1
    except (ClusterError, SandboxUnavailable) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        stopped, code = "interrupted", 1
    finally:
        outcomes.close()
    left_over = total - told.rows
    click.echo(f"{told.summary()}, {time.monotonic() - began:.0f} s", err=True)
    if left_over:
        where = f"{left_over:,} rows are left"
        if begun.tokens:
            where += f", {begun.rows:,} of them begun, for {begun.tokens:,} tokens, {begun.dollars()}"
        click.echo(f"Stopped: {stopped}; {where}. The same command goes on with them.", err=True)
        raise click.exceptions.Exit(code)
    if told.statuses["error"]:
        click.echo("--retry-errors asks the rows that ended in an error again.", err=True)
        raise click.exceptions.Exit(1)


def _survey(rows: Iterator[Row], answers: Answers) -> int:
    """How many rows there are.  Raises click.ClickException where none can be asked, or where the file
    answers other questions."""
    count, asked, problem = 0, False, ""
    for row in rows:
        count += 1
        asked = asked or not row.problem
        problem = problem or row.problem
        known = answers.rows.get(row.id)
        if known and row.query and known.get("question") not in (row.query, ""):
            raise click.ClickException(
                f"{answers.path} answers another question for {row.id!r}: {known.get('question')!r}. "
                "Give another -o FILE"
            )
    if problem and not asked:
        raise click.ClickException(f"no row of the questions can be asked; the first: {safe(problem)}")
    return count


def forecast(making: Making, rows: Iterator[Row]) -> str:
    """What a batch would read and may cost, plain text; nothing is sent.  Texts at URLs are not fetched."""
    from llm_rlm.forecast import REPLY, SHORT, SHORT_OUTPUT, facts, priced, steps
    from rlm_core.lms import estimate_tokens
    from rlm_core.loop import DEFAULT_WINDOW
    from rlm_core.views import View

    settings, rlm = making.settings(), making()
    count = unread = chars = 0
    problems: list[str] = []
    sent = got = 0
    for row in rows:
        count += 1
        if isinstance(row.context, Remote) and not row.problem:
            unread += 1
            continue
        try:
            if row.problem:
                raise ContextError(row.problem)
            run = rlm.prepare(read(row.context), row.query)
        except ContextError as error:
            problems.append(f"{row.id}: {error}")
            continue
        chars += run.task.chars
        view = View(run.contract, run.strategy, run.card, run.task.query)
        first = sum(estimate_tokens(message["content"]) for message in view.messages())
        short = steps(first, SHORT, REPLY + SHORT_OUTPUT, settings.root.window or DEFAULT_WINDOW)
        sent, got = sent + short[0], got + short[1]
    read_once = estimate_tokens(chars)
    code_alone = priced(settings.root, (sent, got), settings.sub, (0, 0))
    all_read = priced(settings.root, (sent, got), settings.sub, (read_once, 0))
    lines = [
        f"rows        {count:,}" + (f", {len(problems):,} of which cannot be asked" if problems else ""),
        f"texts       {chars:,} characters, about {read_once:,} tokens",
        f"            {unread:,} at URLs, which were not fetched" if unread else "",
        f"root model  {facts(settings.root)}",
        f"sub-calls   {facts(settings.sub)}" if settings.sub is not settings.root else "",
        f"short runs  {code_alone} (code alone)",
        f"            {all_read} (and all of it read once)",
        *(f"problem     {safe(problem)}" for problem in problems[:10]),
        "Nothing was sent.",
    ]
    return "\n".join(filter(None, lines))
