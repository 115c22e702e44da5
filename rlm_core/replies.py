"""Reading a model's reply: what it thinks aloud, the code to run, or an answer given in words.

    read("Let me look.\\n```repl\\nprint(grep('magic'))\\n```").code   # "print(grep('magic'))"
    read("It was Bob.\\nFINAL(Bob)").final                           # Final(value="Bob")

Replies are hostile and sloppy at once, so nothing here parses Python or evaluates anything, and every step
reads the text a fixed number of times.  In order:

1.  Thinking (`<think>...</think>`) goes first: drafts are not replies.
2.  A text-level final is found from its end: the parenthesis that matches the reply's last one must belong to
    a `FINAL(` or `FINAL_VAR(` at column one.  So neither a mention in prose nor the first ")" of the answer
    can be taken for it.  Small models also write `Final(`, and NOT_FOUND alone.
3.  What stands before it is cut into prose and blocks.  Blocks have ranks: `repl` fences, then Python fences,
    then bare ones that look like Python.  Only the blocks of the best rank present are code: beside a `repl`
    fence a `python` one is an illustration, and beside a `python` fence a bare one is its expected output.
4.  A final counts only in a reply without code.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

NAMES = frozenset(
    {"grep", "chunks", "print", "SHOW_VARS", "SUBMIT", "NOT_FOUND", "FINAL_VAR"}
    | {"llm_query", "llm_query_batched", "rlm_query", "rlm_query_batched"}
)
"""Names whose call tells that a reply which is nothing but Python is code, although no fence says so."""


@dataclass(frozen=True, slots=True)
class Final:
    """An answer given outside code: its text, or the variable that holds it.

    `value` may be the bare name of a variable (`FINAL(total)`): only who knows the variables can tell.
    """

    value: str = ""
    var: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What a reply asks for: `code` to run, or else a `final`, or else nothing ("" and None): a bad reply."""

    prose: str
    code: str
    final: Final | None


def read(text: str | None, names: Collection[str] = NAMES) -> Step:
    """Reads one reply.  `names`: what the REPL offers, for telling code without a fence from prose."""
    call = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(names)))})\s*\(|^answer\[", re.MULTILINE)
    visible = _without_thinking((text or "").replace("\r\n", "\n").replace("\r", "\n"))
    start, final = _final(visible)
    pieces, unclosed = _split(visible[:start], call)
    if final and unclosed:  # the FINAL stands inside a block, so it is part of that block
        start, final = len(visible), None
        pieces, _ = _split(visible, call)
    best = min((piece.rank for piece in pieces if piece.code), default=_PROSE)
    code = "\n\n".join(piece.code for piece in pieces if piece.code and piece.rank == best)
    if code:
        rest = [piece.raw for piece in pieces if not piece.code or piece.rank != best]
        return Step("\n".join([*rest, visible[start:]]).strip(), code, None)
    if all(piece.rank == _PROSE for piece in pieces):
        code = _fenceless(visible, call)
        if code:
            return Step("", code, None)
    return Step(visible[:start].strip(), "", final)


# --- thinking

_THINK = re.compile(r"^[ \t]*<think(?:ing)?>", re.MULTILINE | re.IGNORECASE)
_THOUGHT = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_STRAY_THOUGHT = re.compile(r"^[ \t]*</think(?:ing)?>|</think(?:ing)?>[ \t]*$", re.MULTILINE | re.IGNORECASE)


def _without_thinking(text: str) -> str:
    """The reply without its thoughts.

    An opening tag counts only where a line begins, so that prose and code may speak of it.  One that is never
    closed hides the rest; a close without its opening (chat templates put that into the prompt) hides all
    before it.
    """
    kept, at = [], 0
    for opening in _THINK.finditer(text):
        if opening.start() < at:
            continue
        kept.append(text[at : opening.start()])
        closing = _THOUGHT.search(text, opening.end())
        at = closing.end() if closing else len(text)
    kept.append(text[at:])
    text = "".join(kept)
    at = 0
    for stray in _STRAY_THOUGHT.finditer(text):
        at = stray.end()
    return text[at:]


# --- finals

_FINAL = re.compile(r"^(?:FINAL|Final)(_VAR)?\(", re.MULTILINE)
_BARE_NOT_FOUND = re.compile(r"[\s\"'`*]*NOT_FOUND[\s\"'`*.]*\Z")
_QUOTED = re.compile(
    r'\s*(?:(?>"""(?P<a>.*?)""")'
    r"|(?>'''(?P<b>.*?)''')"
    r'|"(?P<c>[^"\\]*+(?:\\.[^"\\]*+)*+)"'
    r"|'(?P<d>[^'\\]*+(?:\\.[^'\\]*+)*+)')\s*\)\s*\Z",
    re.DOTALL,
)
_NAME = re.compile(r"[^\W\d]\w*\Z")


def _final(text: str) -> tuple[int, Final | None]:
    """Where the final that ends the reply begins, and what it says; (len(text), None) if there is none."""
    if _BARE_NOT_FOUND.match(text):
        return 0, Final(value="NOT_FOUND")
    end = len(text.rstrip())
    if not text.endswith(")", 0, end):
        return len(text), None
    for opening in _FINAL.finditer(text):
        quoted = _QUOTED.match(text, opening.end())
        if quoted:  # one string literal: the parentheses in it do not count
            return _as_final(text, opening, quoted[quoted.lastgroup or 0])
    inside = _matching(text, end - 1) + 1
    last = _FINAL.match(text, text.rfind("\n", 0, inside) + 1)
    if last and last.end() == inside:
        return _as_final(text, last, _unquoted(text[inside : end - 1].strip()))
    return len(text), None


def _as_final(text: str, opening: re.Match[str], content: str) -> tuple[int, Final | None]:
    if not opening[1]:
        return opening.start(), Final(value=content)
    if _NAME.match(content.strip()):
        return opening.start(), Final(var=content.strip())
    return len(text), None


def _matching(text: str, close: int) -> int:
    """The index of the "(" that matches the ")" at `close`, or -1."""
    depth = 0
    for at in range(close, -1, -1):
        if text[at] == ")":
            depth += 1
        elif text[at] == "(":
            depth -= 1
            if depth == 0:
                return at
    return -1


def _unquoted(text: str) -> str:
    for quote in ('"""', "'''", '"', "'"):
        if len(text) >= 2 * len(quote) and text.startswith(quote) and text.endswith(quote):
            return text[len(quote) : -len(quote)]
    return text


# --- blocks

_REPL, _PYTHON, _BARE, _PROSE = range(4)
_LABELS = {"repl": _REPL} | dict.fromkeys(("python", "python3", "py", "py3", "ipython", "tool_code"), _PYTHON)
_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})(.*)")
_TAG = re.compile(r"([ \t]*)<(code|tool_call)>(.*)")
_LABEL = re.compile(r"[{. \t]*([\w+#-]*)\}?(.*)")


class _Piece(NamedTuple):
    raw: str
    rank: int
    code: str = ""


class _Opening(NamedTuple):
    """A line that begins a block.  `first`: code on that line; `whole`: the block also ends on it."""

    indent: int
    mark: str  # what closes the block
    rank: int
    first: str
    whole: bool
    json: bool = False


def _split(text: str, call: re.Pattern[str]) -> tuple[list[_Piece], bool]:
    """The reply's prose and blocks in order, and whether the last block was never closed."""
    lines = text.split("\n")
    pieces: list[_Piece] = []
    follow, closed, at = True, True, 0
    prose = 0  # where the prose before `at` begins
    while at < len(lines):
        opening = _opening(lines[at], call)
        if not opening:
            at += 1
            continue
        pieces.append(_Piece("\n".join(lines[prose:at]), _PROSE))
        begin = at
        at, closed = at + 1, True
        body: list[str] = []
        if not opening.whole:
            # Strings are followed until they lead astray once, so no line is read more than twice.
            body, at, closed, astray = _body(lines, at, opening.mark, follow and opening.rank != _PROSE)
            follow = follow and not astray
        pieces.append(_block(opening, body, "\n".join(lines[begin:at])))
        prose = at
    pieces.append(_Piece("\n".join(lines[prose:]), _PROSE))
    return pieces, not closed


def _opening(line: str, call: re.Pattern[str]) -> _Opening | None:
    fence, tag = _FENCE.match(line), _TAG.match(line)
    if tag:
        mark, first = f"</{tag[2]}>", tag[3].rstrip()
        whole = first.endswith(mark)
        first = first.removesuffix(mark).strip()
        return _Opening(len(tag[1]), mark, _PYTHON, first, whole, json=tag[2] == "tool_call")
    if not fence:
        return None
    mark, info = fence[2], fence[3].strip()
    whole = info.endswith(mark)
    info = info.removesuffix(mark).strip()
    if mark in info:  # code in a line of prose
        return None
    label = _LABEL.match(info)
    assert label  # it matches anything
    rank, first = _LABELS.get(label[1].lower()), label[2].strip()
    if rank is None and (whole or not info or call.search(info)):
        rank, first = _BARE, info
    elif not (whole or call.search(first)):
        first = ""  # more of the info string, as in ```python title="x"
    return _Opening(len(fence[1]), mark, _PROSE if rank is None else rank, first, whole)


def _body(lines: list[str], at: int, mark: str, python: bool) -> tuple[list[str], int, bool, bool]:
    """The lines of a block up to its closing mark; the line after it; whether it was closed; and whether a
    string that never ends hid the mark.  With `python`, a mark in a string or a comment does not close."""
    source = _Source()
    begin, hidden = at, None
    for at in range(begin, len(lines)):
        line = lines[at].strip()
        if line == mark or (len(line) > len(mark) and not line.strip(mark[0])):
            if not source.triple:
                return lines[begin:at], at + 1, True, False
            hidden = at if hidden is None else hidden
        elif python and not source.triple and line.startswith(mark):
            return lines[begin:at], at, True, False  # the next block opens: this closing was forgotten
        elif python and source.feed(line) and line.endswith(mark):
            return [*lines[begin:at], lines[at].rstrip().removesuffix(mark)], at + 1, True, False
    if source.triple and hidden is not None:
        return lines[begin:hidden], hidden + 1, True, True
    return lines[begin:], len(lines), False, False


def _block(opening: _Opening, body: list[str], raw: str) -> _Piece:
    body = _dedented(body, opening.indent)
    if opening.first:
        body.insert(0, opening.first)
    code, label = _unlabelled("\n".join(body))
    rank = opening.rank if opening.rank == _PROSE else min(opening.rank, label)
    if opening.json:
        code = _tool_code(code)
    if rank == _PROSE or (rank == _BARE and not any(_STATEMENT.match(line.strip()) for line in body)):
        return _Piece(raw, _PROSE)
    return _Piece(raw, rank, code)


def _dedented(lines: list[str], indent: int) -> list[str]:
    """Without the fence's own indentation, and then without what all lines share."""
    lines = [line[min(indent, len(line) - len(line.lstrip())) :] for line in lines]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[margin:] for line in lines]


def _unlabelled(code: str) -> tuple[str, int]:
    """The code without a fence's label that slipped into its first line, and that label's rank."""
    first, _, rest = code.strip("\n").partition("\n")
    rank = _LABELS.get(first.strip().lower())
    return (code.strip("\n").rstrip(), _PROSE) if rank is None else (rest.strip("\n").rstrip(), rank)


def _tool_code(text: str) -> str:
    """The `code` argument of a tool call written as JSON, or ""."""
    import json  # rare, and not free

    try:
        call = json.loads(text)
        arguments = call.get("arguments", call)
        if isinstance(arguments, str):
            arguments = json.loads(arguments)
        code = arguments.get("code", "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return code.strip("\n") if isinstance(code, str) else ""


# --- how Python looks, without parsing it

_TOKEN = re.compile(r"""\\.|\"{3}|'{3}|["'#()\[\]{}]""")
_ASSIGNMENT = re.compile(
    r"[^\W\d][\w.]*(?:\[[^\]]*\])?(?:\s*,\s*[^\W\d][\w.]*)*\s*(?:[-+%@&|^]|\*\*?|//?|<<|>>)?=(?!=)"
)
_STATEMENT = re.compile(
    rf"{_ASSIGNMENT.pattern}"
    r"|@?[^\W\d][\w.]*\("
    r"|import\s+[\w.]+(?:\s+as\s+\w+)?(?:,.*)?$|from\s+[\w.]+\s+import\s"
    r"|(?:async|class|def|elif|else|except|finally|for|if|try|while|with)\b.*:(?:\s*#.*)?$"
    r"|(?:return|assert|del|raise)\s+\w|(?:pass|break|continue|return)$"
)
_FINAL_ONLY = re.compile(r"FINAL\(|FINAL_VAR\(\s*\w+\s*\)$")


class _Source:
    """Follows Python line by line, just far enough to know what is inside a string or brackets."""

    def __init__(self) -> None:
        self.triple = ""  # the quotes of the triple-quoted string that the next line begins in
        self.depth = 0

    def feed(self, line: str) -> bool:
        """Whether the line ends outside strings and comments."""
        quote = self.triple
        for match in _TOKEN.finditer(line):
            token = match[0]
            if quote:
                # three of a kind within a short string: its end, and an empty string
                quote = "" if token == quote or token == quote * 3 else quote
            elif token[0] in "\"'":
                quote = token
            elif token in "([{":
                self.depth += 1
            elif token in ")]}":
                self.depth -= 1
            elif token == "#":
                self.triple = ""
                return False
        self.triple = quote if len(quote) == 3 else ""
        return not quote


def _fenceless(text: str, call: re.Pattern[str]) -> str:
    """A reply that is nothing but Python statements, one of which calls a known name; else ""."""
    code, _ = _unlabelled(text.strip())
    if not call.search(code):
        return ""
    source, statements = _Source(), 0
    for line in code.split("\n"):
        stripped = line.strip()
        inside = source.triple or source.depth > 0
        source.feed(line)
        if inside or not stripped or stripped.startswith("#"):
            continue
        if not _STATEMENT.match(stripped) or _trails_off(stripped):
            return ""
        statements += 1
    if source.triple or source.depth or (statements == 1 and _FINAL_ONLY.match(code)):
        return ""
    return code


def _trails_off(line: str) -> bool:
    """Whether words follow a call, as in: grep("x") finds the lines"""
    if _ASSIGNMENT.match(line):
        return False
    tail = line[max(map(line.rfind, ")]}")) + 1 :].strip()
    return " " in tail and ")" in line and not tail.startswith("#")
