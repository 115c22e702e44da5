"""A recorded run as one HTML page that needs nothing else: no network, no build, no framework.

What contexts, models and tools wrote is data here, and never markup: it goes into the page as JSON in which
no `<` is left, the script shows it by `textContent` alone, and the page's own policy lets no other script
run."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlm_core.journal import Journal, JournalError, state
from rlm_core.pieces import Pieces
from rlm_core.trace import Call, Step, Trace, trace

QUOTED = 400  # characters of each end of a quotation of the inputs in a prompt
MOST = 20_000  # characters of any one text
FINDING = 3.0  # seconds, for finding what was printed in the inputs
LEAST = 24  # characters of a fragment that is looked for
HERE = Path(__file__).parent

Span = tuple[str, int, int]  # name of an input, start, length


def page(journal: Journal, row: Mapping[str, Any]) -> str:
    """The page of a run, given as its row."""
    data = json.dumps(_data(journal, row), ensure_ascii=False, separators=(",", ":"))
    script = (HERE / "page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "title": html.escape(f"{row['query'][:80] or 'A run'} · {row['id']}"),
        "policy": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
        "style": (HERE / "page.css").read_text("utf-8"),
        "data": _inert(data),
        "script": script,
    }
    template = (HERE / "page.html").read_text("utf-8")
    made = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
    return made.encode("utf-8", "replace").decode("utf-8")  # there may be halves of surrogate pairs


def _inert(data: str) -> str:
    """JSON in which nothing can end or open an element, nor a comment."""
    for character in "<>&\u2028\u2029":
        data = data.replace(character, f"\\u{ord(character):04x}")
    return data


def _data(journal: Journal, row: Mapping[str, Any]) -> dict[str, Any]:
    told = trace(journal.events(row["id"], quoted=QUOTED))
    quotations = journal.quotations(row["id"])
    try:
        texts = Pieces(journal.inputs(row)).texts
    except JournalError:
        texts = {}
    finder = _Finder(texts)
    facts = {name: value for name, value in row.items() if name not in ("setup", "pid", "context")}
    if facts["steps"] is None:
        facts |= journal.spent(row["id"])
    answer = None if row["answer"] is None else json.loads(row["answer"])
    facts |= {"status": state(row), "answer": _shown(answer), "query": _cut(row["query"])}
    spans = [span for quoted in quotations.values() for span in quoted]
    return {
        "run": facts,
        "inputs": _sizes(texts, spans, row["chars"]),
        "root": _run(told, quotations, finder) if told else None,
    }


def _sizes(texts: Mapping[str, str], spans: list[Span], chars: int) -> list[list[Any]]:
    """[name, characters] of the inputs; where they were not kept, as far as is known."""
    if texts:
        return [[name, len(text)] for name, text in texts.items()]
    names = dict.fromkeys(name for name, _, _ in spans)
    ends = {name: max(start + length for other, start, length in spans if other == name) for name in names}
    return [[name, chars if len(ends) == 1 else end] for name, end in ends.items()]


def _run(run: Trace, quotations: Mapping[Any, list[Span]], finder: _Finder) -> dict[str, Any]:
    path = ".".join(map(str, run.path))
    return {
        "path": path,
        "query": _cut(run.query),
        "chars": run.chars,
        "card": _cut(run.card),
        "start": run.start,
        "end": run.end,
        "status": run.status,
        "answer": _shown(run.answer),
        "reason": _cut(run.reason),
        "steps": [_step(step, path, quotations, finder) for step in run.steps],
    }


def _step(step: Step, path: str, quotations: Mapping[Any, list[Span]], finder: _Finder) -> dict[str, Any]:
    return {
        "turn": step.turn,
        "asked": step.asked,
        "asking": _call(step.asking, ()) if step.asking else None,
        "code": _cut(step.code),
        "output": _cut(step.output),
        "error": _cut(step.error),
        "shown": _cut(step.shown),
        "seconds": step.seconds,
        "end": step.end,
        "notes": [_cut(note) for note in step.notes],
        "calls": [
            _call(call, quotations.get((path, call.batch, call.slot), ()) or finder.find(call.prompt))
            for call in step.calls
        ],
        "children": [_run(child, quotations, finder) for child in step.children],
        "spans": finder.find(step.output),
    }


def _call(call: Call, spans: Any) -> dict[str, Any]:
    usage = call.usage
    return {
        "kind": call.kind,
        "end": call.end,
        "seconds": call.seconds,
        "prompt": _cut(call.prompt),
        "text": _cut(call.text),
        "model": call.model,
        "error": _cut(call.error),
        "batch": call.batch,
        "slot": call.slot,
        "used": [usage.input, usage.output, usage.cached, usage.cost] if usage else None,
        "spans": spans,
    }


def _shown(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value if value is None else _cut(value)
    return _cut(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _cut(text: str) -> str:
    if len(text) <= MOST:
        return text
    half = MOST // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"


class _Finder:
    """Finds where in the inputs something stands that was printed or sent: the first place of each fragment.
    It stops looking when its time is over."""

    def __init__(self, texts: Mapping[str, str]):
        self.texts = texts
        self.until = time.monotonic() + FINDING
        self.known: dict[str, Span | None] = {}

    def find(self, text: str) -> list[Span]:
        places = map(self._place, dict.fromkeys(_fragments(text)))
        return [place for place in places if place]

    def _place(self, fragment: str) -> Span | None:
        if fragment not in self.known:
            if time.monotonic() > self.until:
                return None
            found = ((name, text.find(fragment), len(fragment)) for name, text in self.texts.items())
            self.known[fragment] = next((place for place in found if place[1] >= 0), None)
        return self.known[fragment]


def _fragments(text: str) -> Iterator[str]:
    """Parts of a text between line ends and quotes, as in printed lists."""
    for part in re.split(r"\\n|\n|', '|\", \"|\['|'\]", text):
        if len(part) >= LEAST:
            yield part[:2_000]
