"""A recorded run once more: gone on with, or replayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import llm

from llm_rlm import recording
from llm_rlm.exits import CODES
from llm_rlm.front import Front, ToolFailed
from llm_rlm.progress import Progress
from llm_rlm.report import closing, fitting, spent, text_of
from rlm_core.drive import drive
from rlm_core.journal import Journal, Recorder, about, check_source
from rlm_core.loop import Result, Run
from rlm_core.narrate import Narrator
from rlm_core.replay import replay
from rlm_core.sandbox.host import LocalSandbox
from rlm_core.sandbox.protocol import SandboxError
from rlm_core.terminal import safe


def resumed(
    journal: Journal, name: str, key: str | None, anyway: bool, raised: Mapping[str, float | None]
) -> None:
    """Goes on, and leaves as `llm prompt` would: the answer on stdout, the rest on stderr, the exit code."""
    row = journal.run(name)
    check_source(row)
    if row["source"] == "map":
        raise click.ClickException(
            f"run {row['id']} is a row of a batch: the same `llm rlm map` command goes on with it"
        )
    if row["source"] != "llm":
        raise click.ClickException(
            f"run {row['id']} was made by {row['source']}: RLM(..., journal={str(journal.path)!r}).resume("
            f"{row['id']!r}) goes on with it"
        )
    told = about(row)
    try:
        root, sub = recording.callees(told, key)
        root.check_key()
        sub.check_key()
    except llm.ModelError as error:
        raise click.ClickException(str(error)) from None
    recorder = journal.resume(row["id"], anyway, raised)
    run = recording.made_again(recorder.about, recorder.inputs, recorder.seconds)
    progress = Progress(lambda: run.budget.usage)
    setup, seen = told.setup, recording.attachments(told)
    front = _Front(root, sub, None, setup["concurrency"], seen, progress.hold)
    result = fitting(_drive(run, front, recorder, progress, weak=setup["sandbox"] == "weak"), setup["schema"])
    text = text_of(result, setup["schema"])
    if text:
        click.echo(text)
    for line in closing(result):
        click.echo(safe(line), err=True)
    raise click.exceptions.Exit(CODES[result.status])


def _drive(run: Run, front: Front, recorder: Recorder, progress: Progress, weak: bool) -> Result:
    backend = LocalSandbox(weak=weak)
    events = drive(run, front, backend, recorder)
    narrator = Narrator(end_apart=True)
    try:
        for callee in (front.root, front.sub):
            callee.fetch()
        with progress:
            while True:
                progress.release()
                try:
                    event = next(events)
                except StopIteration as stop:
                    return stop.value  # type: ignore[no-any-return]
                progress.note(event)
                text = narrator.tell(event)
                if text:
                    progress.hold()
                    progress.wrote(text)
                    click.echo(click.style(text, dim=True), nl=False, err=True)
    except (SandboxError, llm.ModelError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo(f"Cancelled. Spent: {spent(run.budget.usage, run.budget.seconds)}.", err=True)
        front.root.interrupt()
        front.sub.interrupt()
        raise
    finally:
        events.close()
        backend.close()
        recorder.close()
        if recorder.problem:
            click.echo(recorder.problem, err=True)


class _Front(Front):
    """Tools are found by their names among those of llm's plugins; those of `--functions` are gone."""

    def tool(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tool = llm.get_tools().get(name)
        if not isinstance(tool, llm.Tool) or tool.implementation is None:
            raise ToolFailed(f"{name} is no tool of a plugin, so a run that goes on cannot call it")
        self.hush()
        return str(tool.implementation(*args, **kwargs))


def replayed(journal: Journal, name: str) -> None:
    row = journal.run(name)
    check_source(row)
    told = about(row)
    backend = LocalSandbox(weak=told.setup.get("sandbox") == "weak")
    try:
        done = replay(journal, row["id"], recording.made_again(told, journal.inputs(row)), backend)
    except SandboxError as error:
        raise click.ClickException(str(error)) from error
    finally:
        backend.close()
    click.echo(text_of(done.result, told.setup.get("schema")))
    for difference in done.differences:
        click.echo(safe(difference), err=True)
    if done.differences:
        raise click.exceptions.Exit(1)
    click.echo("Everything came out as it is recorded.", err=True)
