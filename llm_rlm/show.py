"""Runs as text for the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

import click

from rlm_core.lms import Usage
from rlm_core.terminal import safe
from rlm_core.trace import Call, Step, Trace

CALLS = 10  # of a step, where not all are shown
UNASKED = "(the text states the task)"
LINES, CHARS = 30, 100  # of an output; of one end of a sub-call

Row = dict[str, Any]


def table(rows: Iterable[Row]) -> str:
    """The list of runs, a line each."""
    lines = [("RUN", "WHEN", "MODEL", "STATUS", "STEPS", "CALLS", "TOKENS", "COST", "TIME", "QUESTION")]
    for row in rows:
        counts = (str(row["steps"] or 0), str(row["calls"] or 0), f"{_tokens(row):,}")
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["started"]))
        about = (row["id"], when, safe(row["model"]), row["status"])
        lines.append((*about, *counts, dollars(row["cost"]), duration(row["seconds"]), row["query"]))
    widths = [max(len(line[column]) for line in lines) for column in range(9)]
    numbers = range(4, 9)
    return "\n".join(
        "  ".join(
            (cell.rjust(width) if column in numbers else cell.ljust(width))
            for column, (cell, width) in enumerate(zip(line, widths, strict=False))
        )
        + f"  {_brief(line[9] or UNASKED, 60)}"
        for line in lines
    )


class Show:
    """One run.  `full`: nothing is cut."""

    def __init__(self, full: bool = False):
        self.full = full

    def run(self, row: Row, trace: Trace | None) -> str:
        spent = f"{row['calls'] or 0} calls, {_tokens(row):,} tokens{_cost(row['cost'])}"
        models = row["model"] + ("" if row["sub_model"] == row["model"] else f" and {row['sub_model']}")
        head = [
            f"{_bold(row['id'])}  {_status(row['status'])} after {duration(row['seconds'])}, {spent}",
            f"{safe(models)} about {row['chars']:,} characters",
            safe(row["query"] or UNASKED),
        ]
        answer = row["answer"]
        if answer is not None:
            text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, indent=2)
            answer = f"{_bold('Answer')} {'(not verified) ' if row['unverified'] else ''}{safe(text)}"
        reason = safe(row["reason"] or "")
        body = self._trace(trace) if trace else []
        return "\n".join([*head, "", *body, *filter(None, (answer, reason))])

    def _trace(self, trace: Trace) -> list[str]:
        pad = "    " * trace.depth
        lines = []
        if trace.path:
            lines.append(
                f"{pad}{_bold('child ' + '.'.join(map(str, trace.path)))}  {_brief(trace.query, 200)}"
            )
        lines += [_dim(f"{pad}({safe(note)})") for note in trace.notes]
        for step in trace.steps:
            lines += [pad + line for line in self._step(step)]
            for child in step.children:
                lines += self._trace(child)
            lines += [pad + line for line in self._after(step)]
        if trace.path:
            lines.append(f"{pad}{_status(trace.status)}: {_brief(str(trace.answer or trace.reason), 200)}")
        return lines

    def _step(self, step: Step) -> list[str]:
        asking = step.asking
        told = f"{safe(asking.model)}, {_call(asking)}" if asking else "not answered"
        lines = [f"{_bold(f'step {step.turn}')}  {told}"]
        if asking and asking.error:
            lines.append(click.style(f"! {safe(asking.error)}", fg="red"))
        prose = asking.text if asking and not step.code else ""
        lines += [f"  {line}" for line in self._cut(safe(prose))]
        lines += [f"  {line}" for line in highlighted(safe(step.code))] if step.code else []
        return [*lines, *self._calls(step.calls)]

    def _calls(self, calls: list[Call]) -> list[str]:
        calls = sorted(calls, key=lambda call: (call.batch, call.slot))
        shown = calls if self.full else calls[:CALLS]
        lines = []
        for call in shown:
            if call.kind == "tool":
                what = f"{call.prompt}()"
            else:
                size = 10**9 if self.full else CHARS
                what = f"{_brief(call.prompt, size)} {click.style('→', fg='cyan')} {_brief(call.text, size)}"
            failed = click.style(f" ! {_brief(call.error, 200)}", fg="red") if call.error else ""
            lines.append(f"  {'└' if call is calls[-1] else '├'} {_dim(_call(call))}  {what}{failed}")
        if len(shown) < len(calls):
            rest = calls[len(shown) :]
            errors = sum(bool(call.error) for call in rest)
            told = f"and {len(rest):,} more{f', {errors} of them failed' if errors else ''} (--full)"
            lines.append(f"  └ {_dim(told)}")
        return lines

    def _after(self, step: Step) -> list[str]:
        lines = [f"  > {line}" for line in self._cut(safe(step.output.rstrip("\n")))]
        lines += [click.style(f"  ! {line}", fg="red") for line in safe(step.error).splitlines()]
        lines += [_dim(f"  ({safe(note)})") for note in step.notes]
        return [*lines, ""]

    def _cut(self, text: str) -> list[str]:
        lines = text.splitlines()
        if self.full or len(lines) <= LINES:
            return lines
        half = LINES // 2
        return [*lines[:half], _dim(f"... {len(lines) - 2 * half:,} lines (--full)"), *lines[-half:]]


def highlighted(code: str) -> list[str]:
    try:
        from pygments import highlight  # type: ignore[import-untyped]
        from pygments.formatters import TerminalFormatter  # type: ignore[import-untyped]
        from pygments.lexers import PythonLexer  # type: ignore[import-untyped]
    except ImportError:
        return code.splitlines()
    coloured: str = highlight(code, PythonLexer(stripnl=False), TerminalFormatter())
    return coloured.rstrip("\n").split("\n")


def duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f} min"


def dollars(cost: float | None) -> str:
    return "" if cost is None else f"${cost:.4f}"


def _tokens(row: Row) -> int:
    return (row["input"] or 0) + (row["output"] or 0)


def _call(call: Call) -> str:
    return duration(call.seconds) + (_used(call.usage) if call.usage else "")


def _used(usage: Usage) -> str:
    return f", {usage.input:,} in, {usage.output:,} out{_cost(usage.cost)}"


def _cost(cost: float | None) -> str:
    return "" if cost is None else f", {dollars(cost)}"


def _brief(text: str, most: int) -> str:
    """On one line, its middle left out."""
    line = " ".join(safe(text).split())
    return line if len(line) <= most else f"{line[: most * 2 // 3]} … {line[-most // 3 :]}"


def _status(status: str) -> str:
    colour = {"answered": "green", "not_found": "yellow", "limit": "yellow", "running": "cyan"}
    return click.style(status or "not ended", fg=colour.get(status, "red"))


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def _dim(text: str) -> str:
    return click.style(text, dim=True)
