"""The command `llm rlm map`.  What it does is in `llm_rlm.batch`: llm loads this file whenever it starts."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, cast

import click

from llm_rlm.dollars import dollars


@click.command(name="map")
@click.argument("files", nargs=-1)
@click.option("-m", "--model", default="", help="Model, as rlm-MODEL or MODEL; by default llm's own")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSONL file that the answers go to",
)
@click.option("--question", help="One question, asked of each of FILES: paths, patterns or URLs")
@click.option(
    "--context",
    type=click.Path(exists=True, path_type=Path),
    help="File or folder for the rows that name no text",
)
@click.option(
    "--option", "options", type=(str, str), multiple=True, help="Option of the model, as -o of llm prompt"
)
@click.option("--schema", help="JSON schema, or llm's short form of it, for each answer")
@click.option("--key", help="API key to use")
@click.option("--workers", type=click.IntRange(1), default=8, show_default=True, help="Runs at once")
@click.option("--max-cost", type=float, callback=dollars, help="Dollars for all rows together")
@click.option("--retry-errors", is_flag=True, help="Ask the rows again that ended in an error")
@click.option(
    "--dry-run", is_flag=True, help="Show what would be read and what it may cost, and send nothing"
)
@click.option(
    "--ray", "address", help="Run on a Ray cluster: its head's HOST:PORT, auto, or local for this machine"
)
def map_(
    files: tuple[str, ...],
    model: str,
    output: Path | None,
    question: str | None,
    context: Path | None,
    options: tuple[tuple[str, str], ...],
    schema: str | None,
    key: str | None,
    workers: int,
    max_cost: float | None,
    retry_errors: bool,
    dry_run: bool,
    address: str | None,
) -> None:
    """
    Answer many questions, or one question of many texts

    FILES is a file of questions, JSONL or CSV, with question, id, and one of context, path, glob or url in
    each row (- is standard input, as JSONL); or, with --question, the texts:

    \b
        llm rlm map -m rlm-gpt-4o questions.jsonl -o answers.jsonl --max-cost 20
        llm rlm map -m rlm-local --question 'What failed first?' 'logs/*.gz' -o answers.jsonl

    The answers come as JSONL in any order. Started again, after Ctrl-C, a crash or a full disk, the same
    command goes on: what is answered stays, and no answered call is paid for again.
    """
    from llm_rlm import batch
    from llm_rlm.answers import Answers, AnswersError
    from llm_rlm.making import Making
    from llm_rlm.questions import QuestionsError, from_file, over_files

    making = Making(model, dict(options), _schema(schema))
    try:
        shared = batch.shared(context)
        if question is not None:
            rows = over_files(question, files, shared)
        elif len(files) == 1:
            rows = from_file(files[0], shared)
        else:
            raise click.UsageError("give one file of questions; or --question 'TEXT' and the files to ask")
        if dry_run:
            click.echo(batch.forecast(making, rows()))
            return
        if output is None or str(output) == "-":
            raise click.UsageError(
                "give -o FILE: the same command, started again, goes on from what is there"
            )
        making = making.with_keys(key)
        with Answers(output, retry_errors) as answers:
            batch.run(making, answers, rows, workers, max_cost, batch.cluster(address))
    except (QuestionsError, AnswersError) as error:
        raise click.ClickException(str(error)) from None


def _schema(given: str | None) -> dict[str, Any] | None:
    """As `llm prompt --schema` takes it."""
    if not given:
        return None
    import sqlite_utils
    from llm.cli import load_template, logs_db_path
    from llm.utils import resolve_schema_input

    logs = logs_db_path()
    db = sqlite_utils.Database(logs) if logs.exists() else sqlite_utils.Database(memory=True)
    try:
        return cast(dict[str, Any], resolve_schema_input(db, given, load_template))
    except sqlite3.OperationalError:  # there are no schemas in the log
        raise click.BadParameter("Invalid schema") from None
