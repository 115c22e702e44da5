"""The shape of a text in a known format, as far as it can be seen before a deadline.

JSON is decoded piece by piece, so that the scan of a gigabyte can stop: what is small at once, what is larger
element by element.  What a scan calls wrong, `formats.parse` refuses too."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any
from xml.parsers import expat

from rlm_core.formats import Format, csv_records, delimiter
from rlm_core.quoting import brief
from rlm_core.shape import CONTAINERS, FEW, MAX_DEPTH, Shape, Where

WINDOW = 1 << 18  # characters of JSON that are decoded at once
_PIECE = 1 << 16  # characters of XML, or about as many leaves of data, between two looks at the clock
MAX_NESTING = 64  # containers larger than a window, one within the other
_LEAVES = frozenset([str, int, float, bool, type(None)])
_SPACE = re.compile(r"[ \t\n\r]*")
_LEVEL = re.compile(r"\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b")


@dataclass
class Scan:
    """What was seen.  `seen`: up to which character.  `problem`: what is wrong with the text as one of its
    format, and where; "" for nothing so far.  `facts`: what there is to say beside the shape."""

    shape: Shape = field(default_factory=Shape)
    seen: int = 0
    problem: str = ""
    facts: list[str] = field(default_factory=list)


def scan(text: str, format: Format, deadline: float) -> Scan:
    """Scans until `time.monotonic()` reaches `deadline`, the text ends, or it cannot be parsed further."""
    found = Scan()
    try:
        _SCANNERS[format](text, found, deadline)
    except _Late:
        pass
    except _Bad as bad:
        found.seen = bad.at
        line = text.count("\n", 0, bad.at) + 1
        column = bad.at - text.rfind("\n", 0, bad.at)
        found.problem = f"{bad} at line {line:,}, column {column:,} (character {bad.at:,})"
    else:
        found.seen = len(text)
    found.shape.settle()
    return found


def scan_data(value: Any, deadline: float) -> tuple[Shape, float]:
    """The shape of data that is at hand, and the share of it that was seen."""
    walk = _Walk(deadline)
    shape = Shape()
    try:
        walk.visit(value, shape, None, 0, 0.0, 1.0)
    except _Late:
        return shape.settle(), walk.share
    return shape.settle(), 1.0


class _Walk:
    """Adds data to a shape, in pieces small enough to look at the clock between them."""

    def __init__(self, deadline: float):
        self.deadline = deadline
        self.share = 0.0

    def visit(
        self, value: Any, shape: Shape, where: Where | None, depth: int, low: float, high: float
    ) -> None:
        """Adds one value, which fills the share of all from `low` to `high`."""
        if depth >= MAX_DEPTH or not isinstance(value, CONTAINERS) or _is_small(value):
            shape.add([value], lambda _: where, depth)
            return
        shape.open("dict" if isinstance(value, Mapping) else type(value).__name__, value, where)
        step = (high - low) / len(value)
        if isinstance(value, Mapping):
            for start, names in _pieces(value):
                part = {name: value[name] for name in names}
                if _is_small(part):
                    self.pause(low + step * start)
                    shape.add_members(part, where, depth + 1)
                else:
                    for index, (name, item) in enumerate(part.items(), start):
                        begin = low + step * index
                        self.pause(begin)
                        self.visit(item, shape.child(name), (name, where), depth + 1, begin, begin + step)
        else:
            for start, items in _pieces(value):
                if _is_small(items):
                    self.pause(low + step * start)
                    shape.element.add(items, lambda n, start=start: (start + n, where), depth + 1)  # type: ignore[misc]
                else:
                    for index, item in enumerate(items, start):
                        begin = low + step * index
                        self.pause(begin)
                        self.visit(item, shape.element, (index, where), depth + 1, begin, begin + step)
        shape.longest = max(shape.longest, len(value))

    def pause(self, share: float) -> None:
        self.share = share
        if time.monotonic() >= self.deadline:
            raise _Late


def _pieces(value: Collection[Any]) -> Iterator[tuple[int, list[Any]]]:
    """(index of the first, some elements), one piece after another."""
    elements = iter(value)
    start = 0
    while piece := list(islice(elements, 256)):
        yield start, piece
        start += len(piece)


def _is_small(value: Any) -> bool:
    """Whether adding it takes no time to speak of.  Finding out takes none either: it stops at the limit."""
    left = _PIECE
    stack = [value]
    while stack:
        item = stack.pop()
        left -= len(item)
        if left < 0:
            return False
        inside = item.values() if isinstance(item, Mapping) else item
        stack.extend(one for one in inside if type(one) not in _LEAVES and isinstance(one, CONTAINERS))
    return True


class _Late(Exception):
    """The deadline has come."""


class _Bad(Exception):
    """The text is not what its format asks for, from character `at` on."""

    def __init__(self, what: str, at: int):
        super().__init__(what)
        self.at = at


def _json(text: str, found: Scan, deadline: float) -> None:
    reader = _Json(text, found, deadline)
    end = reader.space(reader.value(reader.space(text.startswith("\ufeff")), found.shape, None, 0))
    if end < len(text):
        raise _Bad("more after the end of the value", end)


class _Json:
    """Adds values of a JSON text to shapes.  Each method takes and gives positions in the text."""

    def __init__(self, text: str, found: Scan, deadline: float):
        self.text = text
        self.found = found
        self.deadline = deadline
        self.decode = json.JSONDecoder().raw_decode

    def space(self, at: int) -> int:
        return _space(self.text, at)

    def value(self, at: int, shape: Shape, where: Where | None, depth: int) -> int:
        """One value that begins at `at`; its end."""
        decoded = self.at_once(self.text[at : at + WINDOW], 0, at)
        if decoded is not None:
            shape.add([decoded[0]], lambda _: where, depth)
            return at + decoded[1]
        return self.large(at, shape, where, depth)

    def at_once(self, window: str, at: int, base: int) -> tuple[Any, int] | None:
        """The value at `at` of a window that begins at `base` in the text, and its end in the window; None
        where it does not end within, or is no JSON."""
        try:
            value, end = self.decode(window, at)
        except (ValueError, RecursionError):
            return None
        # What seems a whole number may go on: the 2 of `2.5` or `2e-5` in a window that ends amid it.
        whole = end + 2 < len(window) or base + len(window) == len(self.text)
        return (value, end) if whole else None

    def large(self, at: int, shape: Shape, where: Where | None, depth: int) -> int:
        """A value that does not fit a window, or is broken somewhere."""
        sign = self.text[at : at + 1]
        if depth > MAX_NESTING:
            raise _Bad("nested too deeply", at)
        if sign == "[":
            return self.elements(at, shape, where, depth)
        if sign == "{":
            return self.members(at, shape, where, depth)
        if sign == '"':
            value, end = self.string(at)
            shape.add([value], lambda _: where, depth)
            return end
        try:
            value, end = self.decode(self.text, at)
        except json.JSONDecodeError as error:
            raise _Bad(error.msg, error.pos) from None
        except ValueError as error:  # a number of more digits than Python takes
            raise _Bad(str(error), at) from None
        shape.add([value], lambda _: where, depth)
        return int(end)

    def string(self, at: int) -> tuple[str, int]:
        try:
            value, end = scanstring(self.text, at + 1, True)
        except json.JSONDecodeError as error:
            raise _Bad(error.msg, error.pos) from None
        return value, end

    def elements(self, at: int, shape: Shape, where: Where | None, depth: int) -> int:
        """The elements of an array, those of a window at once."""
        shape.open("list", [], where)
        base = self.space(at + 1)
        if self.text[base : base + 1] == "]":
            return base + 1
        element = shape.element
        index = 0
        while True:
            self.pause(base)
            window = self.text[base : base + WINDOW]
            values, at, sign = self.run(window, base)
            if values:
                first = index
                element.add(values, lambda n, first=first: (first + n, where), depth + 1)  # type: ignore[misc]
                index += len(values)
            else:
                at = self.space(self.large(base, element, (index, where), depth + 1)) - base
                sign = self.text[base + at : base + at + 1]
                index += 1
            shape.longest = max(shape.longest, index)
            if sign == "]":
                return base + at + 1
            if sign != ",":
                raise _Bad("Expecting ',' or ']'", base + at)
            base = self.space(base + at + 1)

    def run(self, window: str, base: int) -> tuple[list[Any], int, str]:
        """The elements that stand one after another in a window that begins at `base`, the place of the sign
        after the last one that is whole, and that sign."""
        values: list[Any] = []
        at, after, sign = 0, 0, ""
        while (decoded := self.at_once(window, at, base)) is not None:
            end = _space(window, decoded[1])
            if end == len(window) and base + end < len(self.text):
                break
            values.append(decoded[0])
            after, sign = end, window[end : end + 1]
            if sign != ",":
                break
            at = _space(window, end + 1)
            if len(values) == 1:
                # What stands between the first two, such as `}, {"id"`, ends the last whole one too; those up
                # to there parse much faster together.  If it stood within an element or a string, they would
                # not parse at all.
                cut = window.rfind(window[decoded[1] - 1 : _seam(window, at)]) + 1
                try:
                    return json.loads(f"[{window[:cut]}]"), _space(window, cut), ","
                except (ValueError, RecursionError):
                    pass
        return values, after, sign

    def members(self, at: int, shape: Shape, where: Where | None, depth: int) -> int:
        """The members of an object, those of a window at once."""
        shape.open("dict", {}, where)
        base = self.space(at + 1)
        if self.text[base : base + 1] == "}":
            return base + 1
        size = 0
        while True:
            self.pause(base)
            found, end = self.run_members(self.text[base : base + WINDOW], base)
            if found:
                shape.add_members(found, where, depth + 1)
                base += end
            else:
                base = self.member(base, shape, where, depth)
            size += len(found) or 1
            shape.longest = max(shape.longest, size)
            sign = self.text[base : base + 1]
            if sign == "}":
                return base + 1
            if sign != ",":
                raise _Bad("Expecting ',' or '}'", base)
            base = self.space(base + 1)

    def run_members(self, window: str, base: int) -> tuple[dict[str, Any], int]:
        """The members that stand whole in a window, and the place of the sign after them."""
        found: dict[str, Any] = {}
        at = after = 0
        while window[at : at + 1] == '"':
            try:
                key, end = scanstring(window, at + 1, True)
            except ValueError:
                break
            end = _space(window, end)
            if window[end : end + 1] != ":":
                break
            decoded = self.at_once(window, _space(window, end + 1), base)
            if decoded is None:
                break
            end = _space(window, decoded[1])
            if end == len(window) and base + end < len(self.text):
                break
            found[key] = decoded[0]
            after = end
            if window[end : end + 1] != ",":
                break
            at = _space(window, end + 1)
        return found, after

    def member(self, at: int, shape: Shape, where: Where | None, depth: int) -> int:
        """One member that does not fit a window, or is broken; the place of the sign after it."""
        if self.text[at : at + 1] != '"':
            raise _Bad("Expecting a name in double quotes", at)
        key, at = self.string(at)
        at = self.space(at)
        if self.text[at : at + 1] != ":":
            raise _Bad("Expecting ':'", at)
        return self.space(self.large(self.space(at + 1), shape.child(key), (key, where), depth + 1))

    def pause(self, at: int) -> None:
        self.found.seen = at
        if time.monotonic() >= self.deadline:
            raise _Late


def _space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]


def _seam(text: str, at: int) -> int:
    """The end of what every element of an array begins with as the one at `at` does: of dicts, their first
    name."""
    if text[at : at + 1] != "{":
        return at + (text[at : at + 1] in ("[", '"'))
    name = text.find('"', at) + 1
    return text.find('"', name) + 1 if name else at + 1


def _jsonl(text: str, found: Scan, deadline: float) -> None:
    found.shape.open("list", [], None)
    rows = _Rows(found)
    try:
        _jsonl_rows(text, rows, _Json(text, found, deadline))
    finally:
        rows.flush()


def _jsonl_rows(text: str, rows: _Rows, reader: _Json) -> None:
    at = int(text.startswith("\ufeff"))
    while at < len(text):
        reader.pause(at)
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        begin = reader.space(at)
        if begin < end and end - begin <= WINDOW:
            try:
                rows.add(json.loads(text[begin:end]))
            except (ValueError, RecursionError) as error:
                raise _Bad(getattr(error, "msg", str(error)), begin + getattr(error, "pos", 0)) from None
        elif begin < end:
            rows.flush()
            stop = reader.space(reader.value(begin, rows.shape.element, (rows.count, None), 1))
            rows.count += 1
            if stop < end:
                raise _Bad("more after the end of the line's value", stop)
        at = end + 1


def _csv(text: str, found: Scan, deadline: float) -> None:
    rows = _Rows(found)

    def lines() -> Iterator[str]:
        at = int(text.startswith("\ufeff"))
        while at < len(text):
            end = text.find("\n", at) + 1 or len(text)
            yield text[at:end]
            at = found.seen = end
            if time.monotonic() >= deadline:
                raise _Late

    found.shape.open("list", [], None)
    try:
        for record in csv_records(lines(), delimiter(text) or ",", len(text)):
            rows.add(record)
    except ValueError as error:
        raise _Bad(str(error), found.seen) from None
    finally:
        rows.flush()


class _Rows:
    """The elements of a list that come one by one, added to its shape many at once."""

    def __init__(self, found: Scan):
        self.shape = found.shape
        self.count = 0
        self.waiting: list[Any] = []

    def add(self, row: Any) -> None:
        self.waiting.append(row)
        if len(self.waiting) == 256:
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            first = self.count
            self.shape.element.add(self.waiting, lambda n: (first + n, None), 1)
            self.count = self.shape.longest = first + len(self.waiting)
            self.waiting = []


def _log(text: str, found: Scan, deadline: float) -> None:
    levels: dict[str, list[Any]] = {}  # level -> [how often, its first line's number and text]
    search = _LEVEL.search
    at = number = 0
    while at < len(text):
        end = text.find("\n", at)
        if end < 0:
            end = len(text)
        number += 1
        match = search(text, at, min(end, at + 200))
        if match:
            seen = levels.get(match[0])
            if seen is None:
                levels[match[0]] = [1, number, text[at : min(end, at + 200)]]
            else:
                seen[0] += 1
        at = end + 1
        if not number % 64 and time.monotonic() >= deadline:
            break
    found.seen = at
    if levels:
        common = sorted(levels.items(), key=lambda item: -item[1][0])
        found.facts.append("levels: " + ", ".join(f"{level} {count:,}" for level, (count, _, _) in common))
        for level, (count, line, shown) in common:
            if count <= max(1, FEW * number):
                first = f"first at line {line:,}: {brief(shown, 120)}"
                found.facts.append(f"rare: {level} in {count:,} of {number:,} lines, {first}")
    if at < len(text):
        raise _Late


def _xml(text: str, found: Scan, deadline: float) -> None:
    """Elements as dicts by tag, `@name` for attributes; an element of text alone is its text."""
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    stack: list[tuple[Shape, list[str], list[int]]] = []  # shape, its text, how many attributes and children
    leaves: dict[Shape, tuple[list[str], list[int]]] = {}  # what is to be added: texts and their lines

    def leaf(shape: Shape, value: str) -> None:
        values, lines = leaves.setdefault(shape, ([], []))
        values.append(value)
        lines.append(parser.CurrentLineNumber)

    def flush() -> None:
        for shape, (values, lines) in leaves.items():
            shape.add(values, lambda n, lines=lines: f"line {lines[n]:,}")  # type: ignore[misc]
        leaves.clear()

    def start(tag: str, attributes: dict[str, str]) -> None:
        parent, _, members = stack[-1] if stack else (found.shape, [], [0])
        members[0] += 1
        shape = parent.child(tag) if len(stack) < MAX_DEPTH else parent
        stack.append((shape, [], [len(attributes)]))
        for name, value in attributes.items():
            leaf(shape.child("@" + name), value)

    def data(piece: str) -> None:
        if len(stack[-1][1]) < 8:
            stack[-1][1].append(piece[:200])

    def end(tag: str) -> None:
        shape, pieces, members = stack.pop()
        if members[0]:
            shape.open("dict", {}, f"line {parser.CurrentLineNumber:,}")
        else:
            leaf(shape, "".join(pieces).strip())

    parser.StartElementHandler = start
    parser.CharacterDataHandler = data
    parser.EndElementHandler = end
    found.shape.open("dict", {}, None)
    try:
        for at in range(0, len(text), _PIECE):
            found.seen = at
            if time.monotonic() >= deadline:
                raise _Late
            # A lone surrogate is no character of XML, but nothing that the shape depends on either.
            parser.Parse(text[at : at + _PIECE].encode("utf-8", "replace"), False)
            flush()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise _Bad(expat.ErrorString(error.code) or "not XML", _offset(text, error)) from None
    finally:
        flush()
        for shape, _, _ in stack:  # what the scan stopped within
            shape.open("dict", {}, None)


def _offset(text: str, error: expat.ExpatError) -> int:
    at = 0
    for _ in range(error.lineno - 1):
        at = text.find("\n", at) + 1
    return min(at + error.offset, len(text))


_SCANNERS: dict[Format, Callable[[str, Scan, float], None]] = {
    "json": _json,
    "jsonl": _jsonl,
    "csv": _csv,
    "xml": _xml,
    "log": _log,
}
