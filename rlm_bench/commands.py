"""`llm rlm bench ...` and `python -m rlm_bench ...`."""

from __future__ import annotations

import json
import sys
import textwrap
from itertools import chain
from pathlib import Path
from typing import Any

import click

from llm_rlm.dollars import dollars
from rlm_bench.plugin import HELP
from rlm_bench.telling import Group, or_say, width

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def seconds(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not 0 < value < float("inf"):
        raise click.BadParameter(f"{value:g} is no number of seconds above 0")
    return value


@click.group(help=HELP, cls=Group)
def bench() -> None:
    pass


# ---- what there is


@bench.command(name="list")
def list_() -> None:
    """List tasks with their parameters, presets, and methods"""
    from rlm_bench import methods, options, tasks
    from rlm_bench.presets import presets

    click.echo("Tasks")
    for name in tasks.names():
        task = tasks.get(name)
        told = (f"{key}={options.told(value)}" for key, value in task.defaults.items())
        click.echo(f"  {name:<14} {' '.join(told)}")
    click.echo("\nPresets")
    for preset in presets().values():
        click.echo(f"  {preset.name:<14} {preset.samples:>5} samples: {preset.about}")
    click.echo("\nMethods")
    about = (methods.__doc__ or "").partition("\n\n")[2]
    click.echo(textwrap.indent(textwrap.dedent(about).rstrip(), "  "))


@bench.command()
@click.argument("task")
@click.option("-p", "--param", "params", multiple=True, help="A parameter of the task: NAME=VALUE")
@click.option("--corpus", type=FOLDER, help="A folder of text files to hide needles in")
@click.option("--n", type=click.IntRange(1), default=1, show_default=True, help="How many samples")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file, not stdout")
def gen(
    task: str, params: tuple[str, ...], corpus: Path | None, n: int, seed: int, output: Path | None
) -> None:
    """
    Print samples of a task as JSON lines

    The same task, parameters, seed and index give the same sample on every machine.

    \b
        llm rlm bench gen niah -p size=100000 -p pos=0.9 --n 5 -o niah.jsonl
    """
    from rlm_bench import options, rows
    from rlm_bench.runner import Spec

    given = or_say(lambda: options.params(options.pinned(params, corpus)))
    samples = (or_say(lambda index=index: Spec.of(task, given, seed, index).sample()) for index in range(n))  # type: ignore[misc]
    first = next(samples)  # before a file that is there is written over
    out = output.open("w", encoding="utf-8") if output else sys.stdout
    for sample in chain((first,), samples):
        told = {name: getattr(sample, name) for name in sample.__dataclass_fields__}
        told["context_sha256"] = sample.sha256
        if isinstance(sample.context, Path):
            told["path"] = str(told.pop("context"))
        print(json.dumps(told, ensure_ascii=False, default=rows.plain), file=out)
    if output:
        out.close()
        click.echo(f"{n} samples in {output}", err=True)


@bench.command()
@click.argument("task", nargs=-1)
@click.option("--seeds", type=click.IntRange(1), default=20, show_default=True, help="Samples of each kind")
@click.option("--size", type=click.IntRange(5_000), default=10_000, show_default=True, help="Characters")
def check(task: tuple[str, ...], seeds: int, size: int) -> None:
    """
    Check the suite itself: every kind of every task, and its scores

    The true answer must have all points, no answer and changed answers none; what a simple rule has is told
    beside, and the seconds and memory that a sample took at most.

    \b
        llm rlm bench check --seeds 200
        llm rlm bench check --seeds 1 --size 10000000
    """
    from rlm_bench import questions, selfcheck, tasks

    wanted = [or_say(lambda name=name: tasks.get(name)).name for name in task] or tasks.names()  # type: ignore[misc]
    if questions.TASK.name in wanted:
        raise click.ClickException("questions of your own are checked as they are read: run --questions FILE")
    told = ("samples", "oracle", "empty", "changed", "heuristic", "chars", "s", "MB")
    click.echo(f"{'task':<14}" + "".join(f"{name:>11}" for name in told))
    wrong = False
    for found in selfcheck.each(wanted, size, seeds):
        shares = (found.oracle, found.empty, found.changed, found.heuristic)
        click.echo(
            f"{found.task:<14}{found.samples:>11,}"
            + "".join(f"{100 * share:>10.0f}%" for share in shares)
            + f"{found.chars:>11,}{found.seconds:>11.1f}{found.megabytes:>11.0f}"
        )
        for failure in found.failures[:5]:
            click.echo(f"  {failure}")
        wrong = wrong or bool(found.failures)
    if wrong:
        raise click.ClickException("the suite is wrong where a line above says so")


# ---- running


@bench.command()
@click.option("--preset", help="What to run: llm rlm bench list shows them")
@click.option("--task", "task_names", multiple=True, help="Or these tasks (repeat), at their defaults and -p")
@click.option("-p", "--param", "params", multiple=True, help="A parameter of the tasks: NAME=VALUE")
@click.option("--corpus", type=FOLDER, help="A folder of text files to hide needles in, with --task")
@click.option(
    "--tokens", type=click.IntRange(1_000), help="The tasks' size in tokens of the model, with --task"
)
@click.option(
    "--questions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Or your own: JSON lines of context or path, query, answer and, if you like, scorer",
)
@click.option(
    "-m", "--model", help="Any model of llm's; by default `scripted`, which needs none and knows none"
)
@click.option("--sub-model", help="Another model for sub-calls and for the notes of `chunked`")
@click.option("-o", "--option", "options", nargs=2, multiple=True, help="An option of the model: NAME VALUE")
@click.option("--method", "method_names", multiple=True, help="What to measure (repeat)")
@click.option("--n", type=click.IntRange(1), help="Samples in each cell, instead of the preset's")
@click.option("--seed", default=0, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=1, show_default=True, help="Times each is asked")
@click.option("--strategy", help="The RLMs' strategy, instead of the one that suits the model")
@click.option("--max-iterations", type=click.IntRange(1), default=20, show_default=True, help="Of an RLM")
@click.option(
    "--max-seconds",
    type=float,
    default=600.0,
    show_default=True,
    callback=seconds,
    help="Of an RLM on a sample",
)
@click.option(
    "--concurrency", type=click.IntRange(1), help="Samples at once; by default what the model bears"
)
@click.option(
    "--max-cost",
    type=float,
    callback=dollars,
    help="Dollars after which no sample is begun, where prices are known",
)
@click.option(
    "--ray", "address", help="Run on a Ray cluster: its head's HOST:PORT, auto, or local for this machine"
)
@click.option("--dry-run", is_flag=True, help="Say how many samples, tokens and dollars, and send nothing")
@click.option(
    "--resume",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Go on with this run",
)
@click.option(
    "--dir", "folder", type=click.Path(file_okay=False, path_type=Path), help="The run's new folder"
)
@click.option("--sandbox", type=click.Choice(["auto", "weak"]), default="auto", help="As of rlm- models")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    resume: Path | None,
    concurrency: int | None,
    max_cost: float | None,
    address: str | None,
    **given: Any,
) -> None:
    """
    Run methods on samples; every sample is kept as it is done

    \b
        llm rlm bench run --preset smoke
        llm rlm bench run --preset quick -m local --method rlm0 --method direct
        llm rlm bench run --task niah -p size=1000000 -p pos=0.9 --n 10 -m gpt-5-mini --max-cost 2
        llm rlm bench run --questions mine.jsonl -m gpt-5-mini --method rlm1 --method direct
        llm rlm bench run --resume runs/20260102-120000-quick
    """
    from rlm_bench import options, rows

    dry, folder = given.pop("dry_run"), given.pop("folder")
    from rlm_bench.setups import Setup

    if resume:
        _nothing_else(ctx)
        setup, folder = or_say(lambda: Setup.begun(resume, dry)), resume
    else:
        given = {**given, "option": [list(pair) for pair in given.pop("options")]}
        if given["questions"]:
            from rlm_bench import questions

            given["questions"] = or_say(lambda: questions.reference(given["questions"]))
        corpus = given.pop("corpus")
        given["params"] = or_say(lambda: options.pinned(given["params"], corpus))
        if folder and (folder / rows.CONFIG).exists():
            raise click.ClickException(f"{folder} holds a run already: --resume {folder}, or another --dir")
        setup = or_say(lambda: Setup(given, dry))
    if dry:
        click.echo(or_say(lambda: setup.forecast(resume)))
        return
    setup.run(folder or rows.new(Path("runs") / _name(given)), concurrency, max_cost, address)


def _name(given: dict[str, Any]) -> str:
    from rlm_bench.runner import now

    what = given["preset"] or "-".join(given["task_names"])
    if given.get("questions"):
        what = Path(given["questions"]["file"]).stem
    model = (given["model"] or "scripted").replace("/", "-")
    return f"{now()}-{what}-{model}"


def _nothing_else(ctx: click.Context) -> None:
    """A run that goes on is described by its config.json alone."""
    free = {"resume", "concurrency", "max_cost", "address", "dry_run"}
    given = [
        param
        for param in ctx.command.params
        if param.name not in free
        and ctx.get_parameter_source(param.name or "") is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.ClickException(
            f"--resume goes on with the options of its config.json: leave out {given[0].opts[-1]}"
        )


# ---- telling


@bench.command()
@click.argument("run", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder for the report"
)
def report(run: tuple[Path, ...], output: Path | None) -> None:
    """
    Write report.md and report.html of one or more runs, and print the tables

    RUN is a run's folder, or a samples.jsonl or samples.jsonl.gz; several are read as one, in which
    what stands in two of them counts once.

    \b
        llm rlm bench report runs/20260102-120000-quick
    """
    from rlm_bench import page
    from rlm_bench import report as reports

    rows = _read(run)
    output = output or (run[0] if run[0].is_dir() else run[0].parent)
    output.mkdir(parents=True, exist_ok=True)
    title = ", ".join(reports.titles(run))
    (output / "report.md").write_text(reports.markdown(rows, title), "utf-8", "replace")
    (output / "report.html").write_text(page.page(rows, title), "utf-8", "replace")
    click.echo(reports.terminal(rows, width()))
    click.echo(f"{output / 'report.md'}\n{output / 'report.html'}", err=True)


@bench.command()
@click.argument("one", type=click.Path(exists=True, path_type=Path))
@click.argument("other", type=click.Path(exists=True, path_type=Path))
def compare(one: Path, other: Path) -> None:
    """
    Compare two runs on the samples that both have, method by method

    Where they have none in common, samples of the same tasks and parameters are compared, unpaired.

    \b
        llm rlm bench compare runs/BEFORE runs/AFTER
    """
    from rlm_bench.compare import compared
    from rlm_bench.report import titles

    names = titles((one, other))
    click.echo(or_say(lambda: compared(_read((one,)), _read((other,)), names, width())))


# ---- plumbing


def _read(paths: tuple[Path, ...]) -> list[Any]:
    from rlm_bench import rows

    read = rows.latest(
        row
        for path in paths
        for row in or_say(lambda path=path: rows.read(path))  # type: ignore[misc]
    )
    if not read:
        raise click.ClickException(f"{paths[0]} holds no rows yet")
    return read
