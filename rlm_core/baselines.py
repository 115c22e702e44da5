"""What one would do without an RLM: ask directly, retrieve and ask, read all in chunks.

Each takes a text, a question and how to ask an LM, and gives its answer.  None searches on the question's
behalf but `retrieve`, which is what that method is."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from rlm_core.lms import LM, Completion, Message, Usage, estimate_tokens

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


def fit(text: str, tokens: int) -> str:
    """The text in at most `tokens` (estimated): its head and tail, with the count of what was cut between."""
    while estimate_tokens(text) > tokens:
        kept = int(len(text) * tokens / estimate_tokens(text) * 0.97) - len(CUT) - 10
        if kept <= 0:
            return text[: max(1, tokens)]
        head = (kept + 1) // 2
        shorter = text[:head] + CUT.format(chars=len(text) - kept) + text[len(text) - (kept - head) :]
        if len(shorter) >= len(text):
            return text[:tokens]
        text = shorter
    return text


def pieces(text: str, tokens: int) -> list[str]:
    """Pieces of at most `tokens` (estimated) that together are the text, cut at line ends where lines are
    short enough.  As many as it takes."""
    size = max(1, int(len(text) * tokens / max(1, estimate_tokens(text))))
    made, start = [], 0
    while start < len(text):
        end = min(len(text), start + size)
        if end < len(text):
            line = text.rfind("\n", start + size // 2, end)
            end = line + 1 if line >= 0 else end
        made.append(text[start:end])
        start = end
    return made or [""]


def retrieve(text: str, query: str, tokens: int) -> str:
    """The pieces that fit the query best by BM25 (SQLite's FTS5), as many as fit `tokens`, in the text's
    order."""
    parts = pieces(text, PIECE // 4)
    words = dict.fromkeys(re.findall(r"\w+", query.lower()))
    if not words:
        return fit(text, tokens)
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE VIRTUAL TABLE parts USING fts5(body, tokenize='porter unicode61')")
        db.executemany("INSERT INTO parts (rowid, body) VALUES (?, ?)", enumerate(parts))
        match = " OR ".join(f'"{word}"' for word in words)
        found = db.execute("SELECT rowid FROM parts WHERE parts MATCH ? ORDER BY bm25(parts)", (match,))
        kept, left = [], tokens
        for (row,) in found:
            left -= estimate_tokens(parts[row]) + 2
            if left < 0:
                break
            kept.append(row)
    return "\n...\n".join(parts[row] for row in sorted(kept))


# ---- asking

Ask = Callable[[str], str]


def direct(ask: Ask, text: str, query: str, window: int) -> str:
    """One call with the text, or with its head and tail where it is too long."""
    return ask(ANSWER.format(text=fit(text, _room(window, query)), query=query))


def rag(ask: Ask, text: str, query: str, window: int, share: float = 0.5) -> str:
    """One call with what was retrieved; it fills `share` of the window."""
    found = retrieve(text, query, int(_room(window, query) * share))
    return ask(ANSWER.format(text=found, query=query))


def chunked(ask: Ask, text: str, query: str, window: int, concurrency: int = 8) -> str:
    """Notes on every chunk, many at once; then one call that answers from the notes.  Notes that are too long
    for a call are chunks again."""
    room = _room(window, query)
    while True:
        parts = pieces(text, room)
        if len(parts) == 1:
            return ask(ANSWER.format(text=text, query=query))
        prompts = [
            NOTE.format(number=number, of=len(parts), text=part, query=query)
            for number, part in enumerate(parts, 1)
        ]
        with ThreadPoolExecutor(concurrency) as pool:
            notes = [note for note in pool.map(ask, prompts) if note.strip().rstrip(".") != "NOTHING"]
        merged = "\n\n".join(notes) or "No part of the text says anything toward the question."
        if estimate_tokens(merged) <= room:
            return ask(MERGE.format(text=merged, query=query))
        text = merged if len(merged) < len(text) else fit(merged, room)


def _room(window: int, query: str) -> int:
    return max(64, window - REPLY - estimate_tokens(query))


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
