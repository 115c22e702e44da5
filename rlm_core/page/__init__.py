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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlm_core.finding import Finder, Span
from rlm_core.journal import Journal, JournalError, question, state
from rlm_core.lms import well_formed
from rlm_core.pieces import Piece, texts_of
from rlm_core.quoting import ends
from rlm_core.trace import Call, Step, Trace, trace

QUOTED = 400  # characters of each end of a quotation of the inputs in a prompt
MOST = 20_000  # characters of any one text
HERE = Path(__file__).parent
SCRIPTS = ("base", "items", "head", "tree", "search", "detail", "time", "coverage", "start")
"""One script in parts, each an idea, in this order."""

Quotations = Mapping[tuple[str, int, int], list[Span]]


def page(journal: Journal, row: Mapping[str, Any]) -> str:
    """The page of a run, given as its row."""
    data = json.dumps(_data(journal, row), ensure_ascii=False, separators=(",", ":"))
    script = "\n".join((HERE / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "title": html.escape(f"{question(row)[:80] or 'A run'} · {row['id']}"),
        "policy": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
        "style": (HERE / "page.css").read_text("utf-8"),
        "data": _inert(data),
        "script": script,
    }
    template = (HERE / "page.html").read_text("utf-8")
    made = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
    return well_formed(made)


def _inert(data: str) -> str:
    """JSON in which nothing can end or open an element, nor a comment."""
    for character in "<>&\u2028\u2029":
        data = data.replace(character, f"\\u{ord(character):04x}")
    return data


def _data(journal: Journal, row: Mapping[str, Any]) -> dict[str, Any]:
    told = trace(journal.events(row["id"], quoted=QUOTED))
    quotations: Quotations = {
        place: [piece for piece in pieces if not isinstance(piece, str)]
        for place, pieces in journal.quotations(row["id"]).items()
    }
    given = {path: pieces for (path, _, _), pieces in journal.quotations(row["id"], "Started").items()}
    try:
        texts = dict(texts_of(journal.inputs(row)))
    except JournalError:
        texts = {}
    finder = Finder(texts)
    facts = {name: value for name, value in row.items() if name not in ("setup", "pid", "context")}
    if facts["steps"] is None:
        facts |= journal.spent(row["id"])
    answer = None if row["answer"] is None else json.loads(row["answer"])
    facts |= {"status": state(row), "answer": _shown(answer), "query": _cut(question(row))}
    spans = [span for quoted in quotations.values() for span in quoted]
    spans += [span[1:] for step in told.steps for span in step.looked] if told else []
    root = _run(told, quotations, given, finder) if told else None
    inputs = _sizes(texts, spans, row["chars"])
    return {"run": facts, "inputs": inputs, "root": root, "late": finder.late}


def _sizes(texts: Mapping[str, str], spans: list[Span], chars: int) -> list[list[Any]]:
    """[name, characters] of the inputs; where they were not kept, as far as is known."""
    if texts:
        return [[name, len(text)] for name, text in texts.items()]
    ends: dict[str, int] = {}
    for name, start, length in spans:
        ends[name] = max(ends.get(name, 0), start + length)
    return [[name, chars if len(ends) == 1 else end] for name, end in ends.items()]


def _run(
    run: Trace, quotations: Quotations, given: Mapping[str, list[Piece]], finder: Finder
) -> dict[str, Any]:
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
        "text": _cut(run.text),
        "notes": [_cut(note) for note in run.notes],
        "steps": [_step(step, path, quotations, given, finder) for step in run.steps],
    }


def _step(
    step: Step, path: str, quotations: Quotations, given: Mapping[str, list[Piece]], finder: Finder
) -> dict[str, Any]:
    looked = step.looked
    if path:
        own = given.get(path, ())
        looked = tuple((helper, *part) for helper, *span in looked for part in _in_inputs(span, own))
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
        "children": [_run(child, quotations, given, finder) for child in step.children],
        "spans": finder.find(step.output),
        "looked": looked,
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


def _in_inputs(span: Sequence[Any], given: Iterable[Piece]) -> Iterator[Span]:
    """Where in the whole run's inputs a place in a child's context is, as far as that quotes them."""
    _, start, length = span
    begin = 0  # of the piece, in the child's context
    for piece in given:
        size = len(piece) if isinstance(piece, str) else piece[2]
        first, last = max(start, begin), min(start + length, begin + size)
        if first < last and not isinstance(piece, str) and piece[0]:
            yield piece[0], piece[1] + first - begin, last - first
        begin += size


def _shown(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value if value is None else _cut(value)
    return _cut(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _cut(text: str) -> str:
    return ends(text, MOST)
