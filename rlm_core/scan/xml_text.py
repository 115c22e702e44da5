"""XML, by the events of its parser."""

from __future__ import annotations

from xml.parsers import expat

from rlm_core.scan.found import Bad, Scan
from rlm_core.shape import MAX_DEPTH, Shape

PIECE = 1 << 16  # characters that are parsed between two looks at the clock


def scan_xml(text: str, found: Scan) -> None:
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
        for at in range(0, len(text), PIECE):
            found.pause(at)
            # A lone surrogate is no character of XML, but nothing that the shape depends on either.
            parser.Parse(text[at : at + PIECE].encode("utf-8", "replace"), False)
            flush()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Bad(expat.ErrorString(error.code) or "not XML", _offset(text, error)) from None
    finally:
        flush()
        for shape, _, _ in stack:  # what the scan stopped within
            shape.open("dict", {}, None)


def _offset(text: str, error: expat.ExpatError) -> int:
    at = 0
    for _ in range(error.lineno - 1):
        at = text.find("\n", at) + 1
    return min(at + error.offset, len(text))
