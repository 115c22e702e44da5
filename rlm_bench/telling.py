"""What commands say to people: the width that they may take, and errors that a user can mend, in a line."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Any

import click


class Telling(click.Command):
    """A command that says in a line which file could not be read or written.  What a terminal cannot show,
    such as half of a surrogate pair, it shows as its escape."""

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # of `| head`: click ends quietly
            raise
        except OSError as error:
            raise click.ClickException(f"{error.filename or 'output'}: {error.strerror or error}") from None


class Group(click.Group):
    command_class = Telling


def width() -> int | None:
    """Of the terminal; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def or_say(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:
        say(error, ValueError)
        raise


def say(error: Exception, *more: type[Exception]) -> None:
    """Raises a ClickException for what the user can mend."""
    from rlm_bench.methods import MethodFailed
    from rlm_bench.models import ModelNotFound
    from rlm_bench.rows import RowsError
    from rlm_bench.samples import BuildError
    from rlm_core.lms import LMCallError
    from rlm_core.ray_pool import ClusterError
    from rlm_core.strategies import StrategyError

    known = (
        MethodFailed,
        ModelNotFound,
        RowsError,
        BuildError,
        LMCallError,
        StrategyError,
        ClusterError,
        *more,
    )
    if isinstance(error, known):
        raise click.ClickException(str(error)) from None
