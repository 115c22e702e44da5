"""`llm rlm ...`.  Each command imports what it needs when it runs: llm loads this file whenever it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click_default_group import DefaultGroup

from llm_rlm import runs
from llm_rlm.map import map_

if TYPE_CHECKING:
    from rlm_core.strategies import Strategy


@click.group()
def rlm() -> None:
    """
    Ask questions of texts of any length (Recursive Language Models)

    Every model has a twin, rlm-MODEL:

    \b
        llm -m rlm-gpt-4o -f rlm:notes/ 'Which of these mention the harbour?'
        llm -m rlm-local < huge.log 'When did the first error occur?'
        llm models -q rlm
    """


runs.register(rlm)
rlm.add_command(map_)


# ---- the local model


@rlm.command()
def models() -> None:
    """
    List the local models and whether they are there

    \b
        llm rlm models
        llm rlm download 1.5b
    """
    from rlm_core import weights

    for model in weights.describe():
        there = str(model.path) if model.path else f"not there: llm rlm download {model.name}"
        click.echo(f"{model.name:<6} {model.title:<28} {model.size / 1e6:>6,.0f} MB  {there}")


@rlm.command()
@click.argument("model", default="0.5b")
def download(model: str) -> None:
    """
    Fetch a local model, once: 0.5b (491 MB) or 1.5b (1,117 MB)

    \b
        llm rlm download
        llm rlm download 1.5b
        llm -m rlm-local < huge.log 'When did the first error occur?'
    """
    from rlm_core import weights

    try:
        click.echo(weights.weights(model))
    except weights.WeightsError as error:
        raise click.ClickException(str(error)) from None


# ---- what this machine can do


@rlm.command()
def doctor() -> None:
    """
    Check that runs are safe and possible on this machine

    Each wall of the sandbox is tried. Exits with 1 where one that must stand does not.

    \b
        llm rlm doctor
        llm rlm doctor && llm -m rlm-gpt-4o -f rlm:notes/ 'Which of these mention the harbour?'
    """
    from rlm_core.home import home
    from rlm_core.sandbox.doctor import checks

    done = checks()
    for check in done:
        click.echo(f"{'ok' if check.ok else 'FAILED':<7} {check.name.replace('_', ' '):<17} {check.detail}")
    click.echo(f"\nWeights, strategies and journal are kept in {home()}")
    if not all(check.ok for check in done):
        raise click.exceptions.Exit(1)


# ---- strategies


@rlm.group(cls=DefaultGroup, default="list", default_if_no_args=True)
def strategies() -> None:
    """
    Manage strategies: what a root model is advised, picked by -o strategy NAME

    \b
        llm rlm strategies
        llm rlm strategies show frugal > mine.json
        llm rlm strategies add mine.json --name mine
        llm -m rlm-gpt-4o -o strategy mine -f huge.txt 'question'
    """


@strategies.command(name="list")
def strategies_list() -> None:
    """List strategies by name"""
    from rlm_core.strategies import BUILT_IN, StrategyError, load

    for strategy in BUILT_IN.values():
        click.echo(_row(strategy, "built in"))
    for path in sorted(_folder().glob("*.json")):
        try:
            click.echo(_row(load(path), str(path)))
        except StrategyError as error:
            click.echo(f"{path.stem:<12} {error}", err=True)


def _row(strategy: Strategy, where: str) -> str:
    examples = len(strategy.examples)
    what = f"{len(strategy.advice):,} characters of advice, {examples} example{'' if examples == 1 else 's'}"
    return f"{strategy.name:<12} {what:<42} {where}"


@strategies.command(name="show")
@click.argument("name")
def strategies_show(name: str) -> None:
    """Print a strategy as JSON, as `add` reads it"""
    import dataclasses
    import json

    from rlm_core.strategies import FORMAT

    strategy = {"format": FORMAT, **dataclasses.asdict(_load(name))}
    click.echo(json.dumps(strategy, indent=2, ensure_ascii=False))


@strategies.command(name="add")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Name to keep it by, its own by default")
@click.option("--replace", is_flag=True, help="Take the place of one that has this name")
def strategies_add(path: Path, name: str | None, replace: bool) -> None:
    """
    Keep a strategy file under its name

    \b
        llm rlm strategies add optimized.json --name mine
    """
    import dataclasses

    from rlm_core.strategies import BUILT_IN, save

    strategy = _load(str(path))
    name = name or strategy.name
    if name in BUILT_IN:
        raise click.ClickException(f"{name} is built in and stays: choose another name with --name NAME")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise click.ClickException(f"{name!r} cannot be the name: choose letters and digits with --name NAME")
    place = _folder() / f"{name}.json"
    if place.exists() and not replace:
        raise click.ClickException(f"there is a strategy {name!r} already: --replace, or --name OTHER")
    save(dataclasses.replace(strategy, name=name), place)
    click.echo(f"Added {name}: llm -m rlm-MODEL -o strategy {name} ...", err=True)


@strategies.command(name="remove")
@click.argument("name")
def strategies_remove(name: str) -> None:
    """Remove a strategy that was added"""
    from rlm_core.strategies import BUILT_IN

    if name in BUILT_IN:
        raise click.ClickException(f"{name} is built in and stays")
    place = _folder() / f"{name}.json"
    if not place.is_file():
        raise click.ClickException(f"there is no strategy {name!r}: llm rlm strategies lists them")
    place.unlink()
    click.echo(f"Removed {name}", err=True)


def _folder() -> Path:
    from rlm_core.home import home

    return home() / "strategies"


def _load(name: str) -> Strategy:
    from rlm_core.strategies import StrategyError, load

    try:
        return load(name)
    except StrategyError as error:
        raise click.ClickException(str(error)) from None
