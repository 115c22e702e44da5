"""What one would do without an RLM: ask directly, retrieve and ask, read all in chunks.

Each takes a text, a question and how to ask an LM, and gives its answer.  None searches on the question's
behalf but `retrieve`, which is what that method is."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Literal

from rlm_core.lms import LM, Completion, Message, Usage, estimate_tokens, pause, well_formed
from rlm_core.pool import Purse, Threads, performed

REPLY = 1_024  # tokens kept free for a reply and the words around a text
PIECE = 1_200  # characters of a piece that is retrieved
CUT = "\n[... {chars:,} characters left out ...]\n"

ANSWER = (
    "Answer the question from the text. If the text does not hold the answer, say so.\n\n{text}\n\n"
    "Question: {query}"
)
NOTE = (
    "This is part {number} of {of} of a longer text. Note all that it says toward the question, exactly and "
    "with numbers; write NOTHING if it says nothing.\n\n{text}\n\nQuestion: {query}"
)
MERGE = "These are notes on all parts of a text, in order.\n\n{text}\n\nAnswer from them: {query}"


# ---- preparing texts


Count = Callable[[str], int]
"""Tokens of a text, as a model's own tokenizer counts them or as they are estimated."""

Keep = Literal["ends", "head", "tail", "all"]
"""What is kept of a text that is too long: its two ends, its head, its tail; or all, which raises TooLong."""

SLACK = 0.95  # so that most pieces that are denser than the whole text fit at once
LONGEST_TOKEN = 16  # characters; what is beyond that many for each token need not be counted


class TooLong(ValueError):
    """The text does not fit, and nothing of it may be left out."""


def fit(text: str, tokens: int, keep: Keep = "ends", count: Count = estimate_tokens) -> str:
    """The text in at most `tokens`, cut where it has more, with the number of characters that were left out.

    Raises TooLong for a text that has more, with keep="all"."""
    kept, fitted = len(text), text
    if keep != "all" and kept > tokens * LONGEST_TOKEN:
        kept = tokens * LONGEST_TOKEN
        fitted = _cut(text, kept, keep)
    while (size := count(fitted)) > tokens:
        if keep == "all":
            raise TooLong(f"the text has {size:,} tokens, and {tokens:,} fit")
        kept = min(kept, int(kept * tokens / size * 0.97) - len(CUT) - 10)
        if kept <= 0:
            return text[-max(1, tokens) :] if keep == "tail" else text[: max(1, tokens)]
        fitted = _cut(text, kept, keep)
    return fitted


def _cut(text: str, kept: int, keep: Keep) -> str:
    head = {"ends": (kept + 1) // 2, "head": kept, "tail": 0}[keep]
    told = CUT.format(chars=len(text) - kept)
    return text[:head] + told + text[len(text) - (kept - head) :]


def pieces(text: str, tokens: int, count: Count = estimate_tokens) -> list[str]:
    """Pieces of at most `tokens` that together are the text, cut at line ends where lines are short enough.
    As many as it takes."""
    size = max(1, int(SLACK * len(text) * tokens / max(1, count(text))))
    made, start = [], 0
    while start < len(text):
        end = min(len(text), start + size)
        if end < len(text):
            line = text.rfind("\n", start + size // 2, end)
            end = line + 1 if line >= 0 else end
        piece = text[start:end]
        denser = len(piece) > 1 and count(piece) > tokens
        made += pieces(piece, tokens * 9 // 10, count) if denser and tokens > 10 else [piece]
        start = end
    return made or [""]


def retrieve(text: str, query: str, tokens: int, count: Count = estimate_tokens) -> str:
    """The pieces that fit the query best by BM25 (SQLite's FTS5), as many as fit `tokens`, in the text's
    order."""
    parts = pieces(text, PIECE // 4)
    words = dict.fromkeys(re.findall(r"\w+", query.lower()))
    if not words:
        return fit(text, tokens, count=count)
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE VIRTUAL TABLE parts USING fts5(body, tokenize='porter unicode61')")
        db.executemany("INSERT INTO parts (rowid, body) VALUES (?, ?)", enumerate(map(well_formed, parts)))
        match = " OR ".join(f'"{word}"' for word in words)
        found = db.execute("SELECT rowid FROM parts WHERE parts MATCH ? ORDER BY bm25(parts)", (match,))
        kept, left = [], tokens
        for (row,) in found:
            left -= count(parts[row]) + 2
            if left < 0:
                break
            kept.append(row)
    return "\n...\n".join(parts[row] for row in sorted(kept))


# ---- asking

Ask = Callable[[str], str]


def direct(
    ask: Ask, text: str, query: str, window: int, keep: Keep = "ends", count: Count = estimate_tokens
) -> str:
    """One call with the text, or with what `keep` says of it where it is too long."""
    return ask(ANSWER.format(text=fit(text, _room(window, query, count), keep, count), query=query))


def rag(
    ask: Ask, text: str, query: str, window: int, share: float = 0.5, count: Count = estimate_tokens
) -> str:
    """One call with what was retrieved; it fills `share` of the window."""
    found = retrieve(text, query, int(_room(window, query, count) * share), count)
    return ask(ANSWER.format(text=found, query=query))


def chunked(
    ask: Ask,
    text: str,
    query: str,
    window: int,
    concurrency: int = 8,
    note: Ask | None = None,
    count: Count = estimate_tokens,
) -> str:
    """Notes on every chunk, many at once; then one call that answers from the notes.  Notes that are too long
    for a call are chunks again.  `note` takes the notes, where it is another LM than the one that answers."""
    room = _room(window, query, count)
    while True:
        parts = pieces(text, room, count)
        if len(parts) == 1:
            return ask(ANSWER.format(text=text, query=query))
        prompts = [
            NOTE.format(number=number, of=len(parts), text=part, query=query)
            for number, part in enumerate(parts, 1)
        ]
        said = _all(note or ask, prompts, concurrency)
        notes = [one for one in said if one.strip().rstrip(".") != "NOTHING"]
        merged = "\n\n".join(notes) or "No part of the text says anything toward the question."
        if count(merged) <= room:
            return ask(MERGE.format(text=merged, query=query))
        text = merged if len(merged) < len(text) else fit(merged, room, count=count)


def _all(ask: Ask, prompts: list[str], concurrency: int) -> list[str]:
    """The replies, in order.  Once the caller shall stop (`lms.stopping`), no more is asked."""
    places = Threads[int, str](lambda number, share: ask(prompts[number]))
    purse = Purse(None, concurrency)
    numbers = range(len(prompts))
    with closing(performed(numbers, places, concurrency, purse, lambda said: None, lambda: pause(0))) as done:
        replies = dict(done)
    return [replies[number] for number in numbers]


def _room(window: int, query: str, count: Count) -> int:
    return max(64, window - REPLY - count(query))


class Asking:
    """`ask` over an LM; `usage` is the sum of its calls."""

    def __init__(self, lm: LM):
        self.lm = lm
        self.completions: list[Completion] = []

    def __call__(self, prompt: str) -> str:
        message: Message = {"role": "user", "content": prompt}
        completion = self.lm.complete([message])
        self.completions.append(completion)
        return completion.text

    @property
    def usage(self) -> Usage:
        total = Usage(cost=0.0)
        for completion in self.completions:
            total += completion.usage
        return total
