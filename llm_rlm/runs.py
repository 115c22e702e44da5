"""`llm rlm runs`, `show`, `view`, `resume`, `replay`, `export`, `rm`: what the journal holds, to be looked
at and to go on with.

RUN is the beginning of a run's id; without it the newest run is meant."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rlm_core.journal import Journal


STATUSES = ("answered", "not_found", "limit", "error", "cancelled", "running", "broken off")


def register(rlm: click.Group) -> None:
    for command in (runs, show, view, resume, replay, export, remove):
        rlm.add_command(command)


def _with_journal(command: Callable[..., None]) -> Callable[..., None]:
    """Gives the command the journal, and turns what is wrong with it into a line for the user."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        from llm_rlm.recording import path
        from rlm_core.journal import Journal, JournalError

        if not path().exists():
            raise click.ClickException(f"no run is recorded yet in {path()}")
        try:
            command(Journal(path()), *args, **kwargs)
        except JournalError as error:
            raise click.ClickException(str(error)) from None

    return wrapped


# ---- looking


@click.command()
@click.option(
    "-n", "--count", default=20, type=click.IntRange(min=0), help="How many, the newest first; 0: all"
)
@click.option("-m", "--model", help="Runs of this model")
@click.option("-s", "--status", type=click.Choice(STATUSES), help="Runs that ended so, or have not ended")
@click.option("-q", "--query", help="Runs whose question or answer holds this")
@click.option("--json", "as_json", is_flag=True, help="As JSON")
@_with_journal
def runs(
    journal: Journal, count: int, model: str | None, status: str | None, query: str | None, as_json: bool
) -> None:
    """
    List the runs that are recorded

    \b
        llm rlm runs
        llm rlm runs -m gpt-4o --status limit
        llm rlm runs -q harbour --json
    """
    from llm_rlm.show import table

    where, values = ["1"], []
    if model:
        where.append("? IN (model, sub_model)")
        values.append(model)
    if query:
        where.append("(instr(lower(query), lower(?)) OR instr(lower(answer), lower(?)))")
        values += [query, query]
    if status in ("running", "broken off"):
        where.append("status IS NULL")
    elif status:
        where.append("status = ?")
        values.append(status)
    rows = [_row(journal, row) for row in journal.runs(count or -1, " AND ".join(where), *values)]
    rows = [row for row in rows if status in (None, row["status"])]
    click.echo(_json(rows, indent=2) if as_json else table(rows))


def _json(told: Any, indent: int | None = None) -> str:
    from rlm_core.terminal import safe_json

    return safe_json(json.dumps(told, indent=indent, ensure_ascii=False))


def _row(journal: Journal, row: dict[str, Any]) -> dict[str, Any]:
    """A row of `runs` for people and programs: what no end has settled is told by its events."""
    from rlm_core.journal import question, state

    status = state(row)
    told = {name: value for name, value in row.items() if name not in ("setup", "pid")}
    last = time.time()
    if row["steps"] is None:
        spent = journal.spent(row["id"])
        heard = spent.pop("at")
        told |= spent
        if status == "broken off":
            last = heard or row["started"]
    told["query"] = question(row)
    told["status"] = status
    told["seconds"] = (row["ended"] or last) - row["started"] - told.pop("paused")
    told["answer"] = None if row["answer"] is None else json.loads(row["answer"])
    return told


@click.command()
@click.argument("run", default="")
@click.option("--full", is_flag=True, help="All sub-calls, and outputs and answers whole")
@_with_journal
def show(journal: Journal, run: str, full: bool) -> None:
    """
    Show a run: its code, what that printed, its sub-calls

    \b
        llm rlm show
        llm rlm show 6921 --full | less -R
    """
    from llm_rlm.show import Show
    from rlm_core.trace import trace

    row = journal.run(run)
    told = trace(journal.events(row["id"], quoted=200))
    click.echo(Show(full).run(_row(journal, row), told))


@click.command()
@click.argument("run", default="")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it")
@click.option("--no-open", is_flag=True, help="Only write the page; do not open a browser")
@_with_journal
def view(journal: Journal, run: str, output: Path | None, no_open: bool) -> None:
    """
    Look at a run in the browser: one page that needs nothing else

    \b
        llm rlm view
        llm rlm view 6921 -o run.html
    """
    import tempfile
    import webbrowser

    from rlm_core.page import page

    row = journal.run(run)
    output = output or Path(tempfile.mkdtemp(prefix="rlm-")) / f"{row['id']}.html"
    made = page(journal, row)
    try:
        output.write_text(made, "utf-8")
    except OSError as error:
        raise click.ClickException(f"-o {output}: {error.strerror or error}") from None
    click.echo(output)
    if not no_open:
        webbrowser.open(output.absolute().as_uri())


@click.command()
@click.argument("run", default="")
@_with_journal
def export(journal: Journal, run: str) -> None:
    """
    Print a run as JSON lines: the run itself, then its events in order

    \b
        llm rlm export 6921 > run.jsonl
    """
    import msgspec

    row = journal.run(run)
    click.echo(_json({"type": "Run", **_row(journal, row)}))
    for at, number, event in journal.events(row["id"]):
        fields = msgspec.to_builtins(event, enc_hook=str)
        told = {"type": type(event).__name__, "at": at, "number": number, **fields}
        click.echo(_json(told))


@click.command(name="rm")
@click.argument("run", nargs=-1, required=True)
@click.option("--anyway", is_flag=True, help="Also where a process seems to be still at it")
@_with_journal
def remove(journal: Journal, run: tuple[str, ...], anyway: bool) -> None:
    """
    Forget runs, and their texts where no other run has them

    \b
        llm rlm rm 6921
    """
    for row in [journal.run(one) for one in run]:
        journal.remove(row["id"], anyway)
        click.echo(f"Removed {row['id']}", err=True)


# ---- going on


@click.command()
@click.argument("run", default="")
@click.option("--key", help="API key, or the name of a stored one")
@click.option("--anyway", is_flag=True, help="Also where a process seems to be still at it")
@click.option(
    "options",
    "-o",
    "--option",
    type=(str, str),
    multiple=True,
    help="Another limit than it had: max_iterations, max_tokens, max_cost or max_seconds",
)
@_with_journal
def resume(
    journal: Journal, run: str, key: str | None, anyway: bool, options: tuple[tuple[str, str], ...]
) -> None:
    """
    Go on with a run that was broken off or ended by a limit, and ask nothing again that was answered

    It keeps the models, options and limits that it began with, and what it has used counts.

    \b
        llm rlm resume
        llm rlm resume 6921
        llm rlm resume 6921 -o max_cost 10
    """
    from llm_rlm.again import resumed
    from llm_rlm.options import raised

    resumed(journal, run, key, anyway, raised(options))


@click.command()
@click.argument("run", default="")
@_with_journal
def replay(journal: Journal, run: str) -> None:
    """
    Run the code of a run again, with the answers that it got, and compare

    No model is called. Exits with 1 where something comes out otherwise.

    \b
        llm rlm replay 6921
    """
    from llm_rlm.again import replayed

    replayed(journal, run)
