"""`llm rlm map`: a run for each of many questions, on this machine or on a Ray cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llm_rlm.answers import Answers, AnswersError, Told
from llm_rlm.making import Making
from rlm_core.batch import CostReached, Outcome, Remote, Row, map_runs, read
from rlm_core.chat_format import one_line
from rlm_core.context import Context, ContextError
from rlm_core.sandbox.protocol import SandboxUnavailable
from rlm_core.terminal import safe

if TYPE_CHECKING:
    from llm_rlm.settings import Settings
    from rlm_core.ray_pool import Cluster

REFUSED = 3  # rows in a row whose key, or account, was refused: then the others would be too


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


class Refused(Exception):
    """The key, or the account, is refused; the text is one line that says what to do."""


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
    from rlm_core.ray_pool import ClusterError

    settings = making.settings()
    _tell_unpriced(settings, max_cost)
    answers.expected = _survey(rows(), answers)
    if cluster is None and len(answers.rows) < answers.expected:
        _fetch(settings)
    batch, began = _Batch(answers), time.monotonic()
    outcomes = map_runs(
        batch.asked(rows()),
        making,
        "threads" if cluster is None else "ray",
        workers=workers,
        name=answers.batch,
        max_cost=None if max_cost is None else max(0.0, max_cost - batch.told.cost),
        cluster=cluster,
        tick=batch.bar.refresh,
        broken_off=batch.broken_off,
    )
    stopped, code = "", 1
    try:
        with batch.bar:
            for outcome in outcomes:
                batch.take(outcome)
        # where the rows end with some left over
        stopped, code = (batch.refusal, 1) if batch.refusal else ("--max-cost is too little for some", 4)
    except CostReached:
        stopped, code = f"--max-cost of ${max_cost:g} is spent", 4
    except (AnswersError, Refused) as error:
        stopped = str(error)
    except (ClusterError, SandboxUnavailable) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        stopped = "interrupted"
        for callee in (settings.root, settings.sub):
            callee.interrupt(code)
    finally:
        outcomes.close()
    batch.tell(stopped, code, time.monotonic() - began)


def _tell_unpriced(settings: Settings, max_cost: float | None) -> None:
    if max_cost is not None and settings.unpriced:
        click.echo(
            f"Prices of {' and '.join(settings.unpriced)} are not known: --max-cost holds only if the API "
            "reports costs",
            err=True,
        )


def _fetch(settings: Settings) -> None:
    import llm

    try:
        for callee in (settings.root, settings.sub):
            callee.fetch()
    except llm.ModelError as error:
        raise click.ClickException(str(error)) from None


class _Batch:
    """What becomes of the rows: in the file, on the bar, and in words.

    told     the rows that are in the file
    begun    those that were begun, and are left over
    refused  rows in a row that ended with the key, or the account, refused; `refusal`: what the last said"""

    def __init__(self, answers: Answers):
        from tqdm import tqdm

        self.answers = answers
        self.told, self.begun = Told(), Told()
        self.refused, self.refusal = 0, ""
        for row in answers.rows.values():
            self.told.add(row)
        self.bar = tqdm(
            total=answers.expected,
            initial=self.told.rows,
            unit=" rows",
            dynamic_ncols=True,
            disable=not (sys.stderr and sys.stderr.isatty()),
            leave=False,
        )
        self._waiting: dict[str, str] = {}  # questions of rows under way, by id

    def asked(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows that have no answer yet."""
        for row in rows:
            if row.id not in self.answers.rows:
                self.answers.begin()
                self._waiting[row.id] = row.query
                yield row

    def take(self, outcome: Outcome) -> None:
        """Raises AnswersError and Refused."""
        if outcome.failure == "auth":  # not written: it is to be asked again, with another key
            self.begun.add(asdict(outcome))
            self.refused, self.refusal = self.refused + 1, outcome.reason
            if self.refused == REFUSED:
                raise Refused(self.refusal)
            return
        self.refused = 0
        if outcome.unpaid:
            self.begun.add(asdict(outcome))
        else:
            self._write(outcome)

    def broken_off(self, outcome: Outcome) -> None:
        if outcome.status in ("answered", "not_found"):  # it was about to be taken
            try:
                self._write(outcome)
                return
            except AnswersError:
                pass  # which is why all this was broken off
        self.begun.add(asdict(outcome))

    def _write(self, outcome: Outcome) -> None:
        self.told.add(self.answers.add(self._waiting.pop(outcome.id, ""), outcome))
        self.bar.set_postfix_str(self.told.dollars(), refresh=False)
        self.bar.update()

    def tell(self, stopped: str, code: int, seconds: float) -> None:
        """What it came to.  `stopped`: why, where rows are left over; then `code` is how it ends.  Raises
        click.exceptions.Exit where not all is answered."""
        told, begun = self.told, self.begun
        left_over = self.answers.expected - told.rows
        click.echo(f"{told.summary()}, {seconds:.0f} s", err=True)
        if left_over:
            where = f"{left_over:,} {'row is' if left_over == 1 else 'rows are'} left"
            if begun.tokens:
                where += f", {begun.rows:,} of them begun, for {begun.tokens:,} tokens, {begun.dollars()}"
            click.echo(f"Stopped: {stopped}; {where}. The same command goes on with them.", err=True)
            raise click.exceptions.Exit(code)
        if told.statuses["error"]:
            row = next(row for row in self.answers.rows.values() if row["status"] == "error")
            click.echo(f"The first error: {row['id']}: {one_line(str(row.get('reason')))}", err=True)
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
