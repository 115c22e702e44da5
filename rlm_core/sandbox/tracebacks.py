"""An exception as the model should read it: the cell's own lines as Python would show them, none of ours."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from types import TracebackType

from rlm_core.sandbox.output import clip

MESSAGE = 2_000  # characters
LINE = 200
FRAMES = 8
CHAIN = 3


def render(error: BaseException, sources: Mapping[str, list[str]]) -> str:
    """Traceback, type and message.  `sources`: file name -> lines, of every cell so far.

    Runs the exception's `__str__`, which may be the cell's: call it while the cell can still be stopped."""
    parts = [_one(error, sources)]
    while len(parts) < CHAIN:
        if error.__cause__ is not None:
            error, link = (
                error.__cause__,
                "The above exception was the direct cause of the following exception:",
            )
        elif error.__context__ is not None and not error.__suppress_context__:
            error, link = (
                error.__context__,
                "During handling of the above exception, another exception occurred:",
            )
        else:
            break
        parts.append(f"{_one(error, sources)}\n\n{link}\n")
    return "\n".join(reversed(parts))


def stack(tb: TracebackType | None, sources: Mapping[str, list[str]]) -> list[str]:
    """The lines of a traceback, outermost first; only frames of the cells."""
    frames = []
    while tb is not None:
        code = tb.tb_frame.f_code
        if code.co_filename in sources:
            frames.append((code.co_filename, tb.tb_lineno, code.co_name))
        tb = tb.tb_next
    shown = []
    for (filename, number, function), same in groupby(frames):
        place = f'  File "{filename}", line {number}' + ("" if function == "<module>" else f", in {function}")
        shown.append("\n".join([place, *_source(sources[filename], number)]))
        if (again := len(list(same)) - 1) > 0:
            shown.append(f"  [the line above is repeated {again:,} more times]")
    if len(shown) > FRAMES:
        shown[FRAMES // 2 : -FRAMES // 2] = [f"  [{len(shown) - FRAMES:,} more lines]"]
    return ["Traceback (most recent call last):", *shown] if shown else []


def _one(error: BaseException, sources: Mapping[str, list[str]]) -> str:
    lines = stack(error.__traceback__, sources)
    if isinstance(error, SyntaxError) and error.filename in sources:
        lines += [f'  File "{error.filename}", line {error.lineno}', *_marked(error)]
    text = _message(error)
    return "\n".join([*lines, type(error).__name__ + (f": {text}" if text else "")])


def _message(error: BaseException) -> str:
    # That of a SyntaxError without the place, which stands above it.
    placed = isinstance(error, SyntaxError) and isinstance(error.msg, str)
    try:
        return clip(error.msg if placed else str(error), MESSAGE)  # type: ignore[attr-defined]
    except Exception:
        return "(the text of this exception could not be made)"


def _source(lines: list[str], number: int) -> list[str]:
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return [f"    {line[:LINE]}"] if line else []


def _marked(error: SyntaxError) -> list[str]:
    """The offending line with a caret under the offence; a long line from a little before it."""
    match error.text, error.offset, error.end_offset:
        case str(text), int(offset), int() | None as end_offset if offset <= len(text) + 1:
            text, at = text.rstrip(), max(offset - 1, 0)
        case _:  # one that the code made up
            return []
    begin = max(len(text) - len(text.lstrip()), at - LINE // 2)
    end = end_offset - 1 if end_offset and error.end_lineno == error.lineno else at + 1
    width = max(min(end, begin + LINE) - at, 1)
    return [f"    {text[begin : begin + LINE]}", "    " + " " * (at - begin) + "^" * width]
