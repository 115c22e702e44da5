"""A run of the bench, from its options to its last row."""

from __future__ import annotations

import platform
import shlex
import subprocess
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click

from llm_rlm.as_lm import CalleeLM
from rlm_bench import methods, options, report, rows, runner, tasks
from rlm_bench.forecast import forecast
from rlm_bench.methods import Settings
from rlm_bench.models import SCRIPTED, Model, counter, fetch, interrupt
from rlm_bench.progress import Progress
from rlm_bench.samples import SUITE_VERSION
from rlm_bench.telling import say, width
from rlm_core import prices
from rlm_core.home import home
from rlm_core.lms import Usage
from rlm_core.pool import LEAST
from rlm_core.ray_pool import Cluster

INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it


class Setup:
    """A run as its options describe it; they stand in its config.json, and `--resume` reads them there."""

    def __init__(self, given: dict[str, Any], dry: bool = False):
        self.given = given
        model = given["model"] or SCRIPTED.name
        sub = given["sub_model"]
        self.models = runner.Models(
            Model(model, tuple((name, value) for name, value in given["option"])), Model(sub) if sub else None
        )
        self.settings = Settings(
            strategy=given["strategy"],
            iterations=given["max_iterations"],
            seconds=given["max_seconds"],
            sandbox=given["sandbox"],
        )
        self.root, self.sub = self.models.lms()  # is it there, has it a key
        self.preset = options.preset(given, counter(self.root, fetching=not dry))
        self.methods = options.methods(given)
        self.jobs = runner.plan(self.preset, self.methods, given["seed"], given["epochs"])
        self.shas = {name: runner.config_sha(name, self.models, self.settings) for name in self.methods}

    @classmethod
    def begun(cls, folder: Path, dry: bool = False) -> Setup:
        """As the config of a run's folder has it.  Raises RowsError."""
        try:
            return cls(rows.config(folder)["given"], dry)
        except (LookupError, TypeError, AttributeError) as error:
            raise rows.RowsError(
                f"{folder / rows.CONFIG} is not as a run wrote it ({type(error).__name__}: {error}): put "
                f"that back, or start another run"
            ) from error

    def run(self, folder: Path, concurrency: int | None, max_cost: float | None, address: str | None) -> None:
        again = partial(_again, folder, concurrency, address)
        at_once = concurrency or min(lm.concurrency or 4 for lm in (self.root, self.sub))
        cluster = Cluster(address) if address else None
        work = runner.Work(self.models.with_keys() if cluster else self.models, self.settings, folder.name)
        try:
            with runner.places(work, cluster) as places, rows.Folder(folder) as kept:
                before = list(rows.written(folder))
                todo = self.left_to_do(before)
                if (folder / rows.CONFIG).exists():
                    self.same_texts(rows.config(folder))
                else:
                    kept.configure(self.config())
                spent = sum(row.cost_usd or 0.0 for row in before)
                tally = runner.Tally(len(todo), cost=spent)
                click.echo(
                    f"{len(todo)} samples to do, {len(self.jobs) - len(todo)} done, in {folder}", err=True
                )
                calls = any(map(methods.needs_model, self.methods))
                if todo and calls and max_cost is not None:
                    self.say_unpriced()
                if todo and calls and not cluster:
                    fetch(self.root, self.sub)
                with Progress(tally) as progress:

                    def keep(row: rows.Row) -> None:
                        kept.append(row)
                        progress.note(row)

                    runner.run(
                        todo,
                        places,
                        keep,
                        tally,
                        concurrency=at_once,
                        max_cost=max_cost,
                        tick=progress.draw,
                    )
        except KeyboardInterrupt:
            click.echo(f"Stopped. What was done is kept: {again(max_cost)}", err=True)
            interrupt(self.root, self.sub, code=INTERRUPTED)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except Exception as error:
            say(error)
            raise
        none_left = max_cost is not None and tally.cost > max_cost - LEAST
        self.after(folder, tally, max_cost, again("DOLLARS" if none_left else max_cost))

    def say_unpriced(self) -> None:
        lms = {lm.model: lm for lm in (self.root, self.sub) if isinstance(lm, CalleeLM)}
        for name, lm in lms.items():
            if prices.cost(Usage(1, 1), lm.callee.facts) is None:
                click.echo(
                    f"No price of {name} is known, so --max-cost cannot be held: give it in "
                    f"{home() / 'prices.toml'}",
                    err=True,
                )

    def left_to_do(self, before: Iterable[rows.Row]) -> list[runner.Job]:
        return list(
            runner.left_to_do(
                self.jobs, before, lambda job: runner.key_of(job, self.models, self.shas[job.method])
            )
        )

    def same_texts(self, begun: dict[str, Any]) -> None:
        """RowsError where texts that are made here would not be those that the run began with."""
        python = begun.get("python")
        if python != platform.python_version() and any(of_library(job.spec) for job in self.jobs):
            raise rows.RowsError(
                f"texts of code are the library's of Python, and this run began with Python {python}: go on "
                f"with that one, or start another run"
            )

    def after(self, folder: Path, tally: runner.Tally, max_cost: float | None, again: str) -> None:
        """`again`: the command that goes on."""
        click.echo(report.terminal(rows.read(folder), width()))
        if max_cost is not None and tally.unpriced:
            click.echo("Some calls have no known price: --max-cost could not be held.", err=True)
        if max_cost is not None and tally.cost > max_cost + LEAST:
            click.echo(
                f"${tally.cost:.4g} were spent, more than --max-cost: what a call costs is known once it has "
                f"come back. With --concurrency 1 none is sent beside others.",
                err=True,
            )
        if tally.errors:
            click.echo(
                f"{tally.errors} errors, which no score counts, and which are tried again by: {again}",
                err=True,
            )
        click.echo(f"Report: llm rlm bench report {folder}", err=True)
        if tally.stopped:
            raise click.ClickException(f"stopped: {tally.stopped}. Go on: {again}")

    def config(self) -> dict[str, Any]:
        packages = ("llm-rlm", "llm", "dspy", "xllamacpp", "RestrictedPython", "rlms")
        setting = methods.Setting(self.root, self.sub, self.settings)
        return {
            "given": self.given,
            "suite_version": SUITE_VERSION,
            "models": self.models.names,
            "windows": [self.root.window, self.sub.window],
            "methods": {name: methods.config(name, setting) for name in self.methods},
            "cells": [
                {"task": cell.task, "n": cell.n, "params": dict(cell.params)} for cell in self.preset.cells
            ],
            "versions": {name: methods.version_of(name) for name in packages},
            "commit": _commit(),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
        }

    def forecast(self, begun: Path | None = None) -> str:
        """Of what is left to do of the run that was `begun` in that folder; of all without one."""
        jobs = self.left_to_do(rows.written(begun)) if begun else self.jobs
        return forecast(jobs, self.root, self.sub, self.settings)


def _again(folder: Path, concurrency: int | None, address: str | None, max_cost: float | str | None) -> str:
    """The command that goes on with a run, in the same way."""
    words = ["llm", "rlm", "bench", "run", "--resume", str(folder)]
    given = {"--concurrency": concurrency, "--ray": address, "--max-cost": max_cost}
    for option, value in given.items():
        words += [option, f"{value}"] if value is not None else []
    return shlex.join(words)


def of_library(spec: runner.Spec) -> bool:
    """Whether its text is of the interpreter's own library."""
    params = {**tasks.get(spec.task).defaults, **dict(spec.params)}
    return params.get("haystack") == "code" or ("src" in params and not params["src"])


def _commit() -> str | None:
    """The commit of this checkout, and whether it has changes; None where it is none."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12", "--dirty"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
