"""Amounts of money on the command line."""

from __future__ import annotations

import math

import click


def dollars(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Checks an option of the type float: a limit of NaN would hold nothing."""
    if value is not None and not 0 < value < math.inf:
        raise click.BadParameter(f"{value:g} is no number of dollars above 0", ctx, param)
    return value
