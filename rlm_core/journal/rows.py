"""Events and answers as rows, and back."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from dataclasses import replace
from typing import Any

import msgspec

from rlm_core import events
from rlm_core.events import Ended, Event, Started
from rlm_core.lms import Completion
from rlm_core.pieces import Piece, Pieces
from rlm_core.requests import Ask, Failed, Query, Reply, Request, UseTool
from rlm_core.sandbox import values
from rlm_core.tree import Key

EVENT_TYPES = {
    kind.__name__: kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind not in (Event, events.Chunk)
}
QUOTING = {"SubCalled": "prompt", "Started": "text"}
"""Fields of events that may quote much of the inputs; they are kept as pieces."""

LITERAL = 4_000  # characters of a child's context that are kept beside what it quotes

KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Reply, Completion, Failed)}
"""Of answers; anything else, what tools return, is "value"."""

Place = tuple[str, int, int]
"""Of a call: path, number, slot."""

Answers = dict[Place, sqlite3.Row]


def path_of(path: events.Path) -> str:
    return ".".join(map(str, path))


# ---- answers


def place_of(key: Key) -> Place:
    path, number, slot = key
    return path_of(path), number, slot or 0


def asked_of(request: Request[Any]) -> str:
    """What tells that a request is the one that was answered.  A root LM's is told by its place, as its
    prompt says how much time is left, and by whether it is the last that the run's limit allows."""
    if isinstance(request, Query):
        asked = f"{request.model}\n{request.prompts[0]}"
    elif isinstance(request, UseTool):
        asked = repr((request.name, request.args, request.kwargs))
    else:
        return "last" if isinstance(request, Ask) and request.view.closing else ""
    return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_of_root(row: sqlite3.Row) -> bool:
    """Whether it is the answer of a run's root LM."""
    return row["asked"] in ("", "last")


def answer_of(value: Any) -> tuple[str, bytes] | None:
    """Kind and value of a row; None for what cannot reach the code either."""
    if isinstance(value, (Reply, Completion, Failed)):
        return type(value).__name__, json.dumps(msgspec.to_builtins(value)).encode()
    try:
        return "value", values.encode(lambda packer: packer.pack(value))
    except TypeError:
        return None


def read_answer(row: sqlite3.Row) -> Any:
    if row["kind"] == "value":
        return values.Decoder(Any).decode(row["value"])
    return msgspec.convert(json.loads(row["value"]), KINDS[row["kind"]])


def recalled(answers: Answers, key: Key, request: Request[Any]) -> Any:
    """What came of this request, `Failed` where the call failed, or None where it was not made."""
    row = answers.get(place_of(key))
    return None if row is None or row["asked"] != asked_of(request) else read_answer(row)


# ---- events


def data_of(event: Event, pieces: Pieces) -> str:
    """The fields of an event, as JSON."""
    if isinstance(event, Ended):
        event = replace(event, answer=plain(event.answer))
    data = msgspec.to_builtins(event, enc_hook=str)
    if name := QUOTING.get(type(event).__name__):
        data[name] = pieces.cut(data[name])
    if isinstance(event, Started):
        data["text"] = [_unless_long(piece) for piece in data["text"]]
    return json.dumps(data)


def read_event(kind: str, data: str, pieces: Pieces | None, quoted: int | None) -> Event:
    """`quoted`: characters of the head and of the tail of each long quotation of the inputs; None: all."""
    fields = json.loads(data)
    most = sys.maxsize if quoted is None else quoted
    if (name := QUOTING.get(kind)) and name in fields:
        fields[name] = "".join(
            piece if isinstance(piece, str) else _told(piece, pieces, most) for piece in fields[name]
        )
    event: Event = msgspec.convert(fields, EVENT_TYPES[kind])
    return event


def quotation_of(kind: str, data: str) -> list[Piece]:
    """The pieces of what an event quotes."""
    pieces = json.loads(data).get(QUOTING[kind], ())
    return [piece if isinstance(piece, str) else tuple(piece) for piece in pieces]


def plain(value: Any) -> Any:
    """An answer as JSON can hold it."""
    try:
        json.dumps(value, default=str)
    except (TypeError, ValueError):
        return repr(value)
    return value


def encodable(value: Any) -> Any:
    """Without halves of surrogate pairs."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _unless_long(piece: Piece) -> Piece:
    """What a child was given beside quotations may be as long as it likes, and is made again by a resume."""
    return ("", 0, len(piece)) if isinstance(piece, str) and len(piece) > LITERAL else piece


def _told(piece: list[Any], texts: Pieces | None, quoted: int) -> str:
    """A quotation of the inputs, its middle left out."""
    name, start, length = piece
    if not name:
        return f"[... {length:,} characters ...]"
    if texts is None or not quoted:
        return f"[{length:,} characters of {name} from {start:,} on]"
    if length <= 2 * quoted:
        return texts.join([(name, start, length)])
    head, tail = (name, start, quoted), (name, start + length - quoted, quoted)
    span = f"{name}, {start:,} to {start + length:,}"
    return texts.join([head, f"\n[... {length - 2 * quoted:,} more characters of {span} ...]\n", tail])
