"""llm-rlm: a twin, `rlm-MODEL`, for every model that llm knows, which answers questions about texts of any
length.

Only hooks live here.  llm imports this file whenever it starts, so each hook imports what it needs when it
is called; and since a plugin that raises takes all of llm down, none of them does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import llm


@llm.hookimpl(trylast=True)
def register_models(register: Callable[..., None], model_aliases: list[Any]) -> None:
    with _never_fatal("the rlm- models"):
        from llm_rlm import family

        if family.others_are_picked(model_aliases):
            return
    with _never_fatal("the local model"):
        from llm_rlm import local_model

        local_model.register_models(register)
    with _never_fatal("the rlm- models"):
        from llm_rlm import family

        family.register(register, model_aliases)


@llm.hookimpl
def register_commands(cli: click.Group) -> None:
    with _never_fatal("`llm rlm`"):
        from llm_rlm.commands import rlm

        cli.add_command(rlm)


@llm.hookimpl
def register_fragment_loaders(register: Callable[..., None]) -> None:
    with _never_fatal("`-f rlm:`"):
        from llm_rlm import loader

        register("rlm", loader.load)


_told: set[str] = set()


@contextmanager
def _never_fatal(what: str) -> Iterator[None]:
    try:
        yield
    except click.ClickException:  # what the user did wrong
        raise
    except Exception as error:
        if what not in _told:  # llm calls the hooks several times a command
            _told.add(what)
            click.echo(f"llm-rlm: {what} cannot be used: {type(error).__name__}: {error}", err=True)
