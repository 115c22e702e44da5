"""Exit codes: 0 answered, 1 error, 3 the text does not hold the answer, 4 ended by a limit.

Raising from `execute()` would lose the log row and the usage, so a run that came to an end finishes
normally, and the code is set when click's outermost context closes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
import llm

CODES = {"answered": 0, "error": 1, "not_found": 3, "limit": 4}


def in_command_line() -> bool:
    """Whether `llm prompt` or `llm chat` is running, and not a program that uses llm."""
    context = click.get_current_context(silent=True)
    return context is not None and context.command.name in ("prompt", "chat")


@contextmanager
def one_line_in_chat() -> Iterator[None]:
    """`llm prompt` shows an error as a line; `llm chat` would show a traceback."""
    try:
        yield
    except (llm.ModelError, llm.NeedsKeyException) as error:
        context = click.get_current_context(silent=True)
        if context is None or context.command.name != "chat":
            raise
        raise click.ClickException(str(error)) from error


def check_approvals(tools: Sequence[Any]) -> None:
    """Raises llm.ModelError where `llm prompt --ta` would ask on a stdin that llm has read to its end."""
    context = click.get_current_context(silent=True)
    if not tools or context is None or context.command.name != "prompt":
        return
    if context.params.get("tools_approve") and not (sys.stdin and sys.stdin.isatty()):
        raise llm.ModelError(
            "--ta asks on the terminal, and stdin is taken by the text: give the text with -f FILE or -a FILE"
        )


def on_terminal() -> bool:
    """Whether answer and messages go to the same screen."""
    both = (sys.stdout, sys.stderr)  # None where closed
    return in_command_line() and all(each is not None and each.isatty() for each in both)


def leave_with(status: str) -> None:
    context = click.get_current_context(silent=True)
    code = CODES[status]
    if code and context is not None and context.command.name == "prompt":
        context.find_root().call_on_close(lambda: sys.exit(code))
