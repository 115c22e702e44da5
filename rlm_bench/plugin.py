"""Adds `bench` to `llm rlm`.  llm loads this file whenever it starts, so it holds a name and a line of help;
the commands are loaded when one is asked for."""

from __future__ import annotations

import click
import llm


class Bench(click.Group):
    """The group of `rlm_bench.commands`, which is imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from rlm_bench.commands import bench

        return bench.list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from rlm_bench.commands import bench

        return bench.get_command(ctx, cmd_name)


@llm.hookimpl(trylast=True)
def register_commands(cli: click.Group) -> None:
    rlm = cli.commands.get("rlm")
    if isinstance(rlm, click.Group):
        rlm.add_command(Bench("bench", help=HELP))


HELP = """
Measure models and methods on long texts

\b
    llm rlm bench list
    llm rlm bench run --preset smoke
    llm rlm bench run --preset quick -m local --method rlm0 --method rag
    llm rlm bench report runs/NAME
    llm rlm bench compare runs/ONE runs/OTHER
"""
