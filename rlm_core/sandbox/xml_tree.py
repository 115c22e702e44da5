"""`xml.etree.ElementTree` for text that may be hostile: no entities of the document's own, and no files.

Entities are where XML bombs and file reads come from (a billion laughs, external entities), and data in the
wild hardly uses them.  expat itself looks for their declarations first, at C speed; what passes goes to the
ordinary parser.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn
from xml.parsers import expat

Events = Iterator[tuple[str, ET.Element]]

MEMBERS = {
    "Element": ET.Element,
    "SubElement": ET.SubElement,
    "Comment": ET.Comment,
    "ProcessingInstruction": ET.ProcessingInstruction,
    "QName": ET.QName,
    "ParseError": ET.ParseError,
    "tostring": ET.tostring,
    "tostringlist": ET.tostringlist,
    "iselement": ET.iselement,
}
"""Members of the real module that are safe as they are."""


def fromstring(text: str | bytes, parser: None = None) -> ET.Element:
    """The root element.  Raises ParseError, also for a document that declares entities."""
    text = _without_entities(text)
    try:
        return ET.fromstring(text)
    except ET.ParseError as error:
        # Without the frame that holds the parser: one that outlives its module crashes Python 3.12.1 at exit.
        raise error.with_traceback(None) from None


def fromstringlist(sequence: Iterable[str | bytes], parser: None = None) -> ET.Element:
    parts: list[Any] = list(sequence)
    return fromstring(b"".join(parts) if parts and isinstance(parts[0], bytes) else "".join(parts))


def _without_entities(text: str | bytes) -> str | bytes:
    # A copy: a subclass, or a bytearray, could be another text each time it is read.
    text = str.__str__(text) if isinstance(text, str) else bytes(memoryview(text))
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(text, True)
    except expat.ExpatError:
        pass  # the ordinary parser says what is wrong
    except UnicodeEncodeError:
        raise ET.ParseError("the text holds half of a surrogate pair, which is not XML") from None
    finally:
        del parser  # else the frame of a refusal would hold it: see `fromstring`
    return text


def _refuse_entity(name: str, *_: object) -> NoReturn:
    raise ET.ParseError(
        f"the document declares an entity, {name!r}: entities are not available, replace them first"
    )


def _read(source: Any) -> str | bytes:
    read = getattr(source, "read", None)
    if read is None:
        raise TypeError("there are no files here: parse a text with fromstring, or an io.StringIO")
    return read()  # type: ignore[no-any-return]


class ElementTree:
    """A document; `parse`, `iterparse` and `write` take an open stream (`io.StringIO`), never a path."""

    def __init__(self, element: ET.Element | None = None, file: Any = None) -> None:
        self._root = element if file is None else fromstring(_read(file))

    def getroot(self) -> Any:
        return self._root

    def parse(self, source: Any, parser: None = None) -> Any:
        self._root = fromstring(_read(source))
        return self._root

    def iter(self, tag: str | None = None) -> Iterator[ET.Element]:
        return self.getroot().iter(tag)  # type: ignore[no-any-return]

    def find(self, path: str, namespaces: dict[str, str] | None = None) -> ET.Element | None:
        return self.getroot().find(_from_root(path), namespaces)  # type: ignore[no-any-return]

    def findall(self, path: str, namespaces: dict[str, str] | None = None) -> list[ET.Element]:
        return self.getroot().findall(_from_root(path), namespaces)  # type: ignore[no-any-return]

    def iterfind(self, path: str, namespaces: dict[str, str] | None = None) -> Iterator[ET.Element]:
        return self.getroot().iterfind(_from_root(path), namespaces)  # type: ignore[no-any-return]

    def findtext(
        self, path: str, default: str | None = None, namespaces: dict[str, str] | None = None
    ) -> str | None:
        return self.getroot().findtext(_from_root(path), default, namespaces)  # type: ignore[no-any-return]

    def write(self, stream: Any, encoding: str = "us-ascii", **options: Any) -> None:
        if not hasattr(stream, "write"):
            raise TypeError(
                "there are no files here: write into an io.StringIO or io.BytesIO, or use tostring"
            )
        stream.write(ET.tostring(self.getroot(), encoding, **options))


def _from_root(path: str) -> str:
    """A path from the document as one from its root element: as the standard module does, and warns of."""
    return "." + path if isinstance(path, str) and path[:1] == "/" else path


def parse(source: Any, parser: None = None) -> ElementTree:
    return ElementTree(file=source)


def indent(tree: ElementTree | ET.Element, space: str = "  ", level: int = 0) -> None:
    ET.indent(tree.getroot() if isinstance(tree, ElementTree) else tree, space, level)


def iterparse(source: Any, events: Iterable[str] = ("end",), parser: None = None) -> Events:
    """(event, element) for each start and end of an element, in document order."""
    wanted = frozenset(events)
    if unknown := wanted - {"start", "end"}:
        raise ValueError(f"iterparse gives start and end here, not {', '.join(sorted(unknown))}")
    return _walk(fromstring(_read(source)), wanted)


def _walk(root: ET.Element, wanted: frozenset[str]) -> Events:
    """Iterative: a document may be nested more deeply than Python's stack."""
    pending = [("end", root), ("start", root)]
    while pending:
        event, element = pending.pop()
        if event == "start":
            for child in reversed(element):
                pending += [("end", child), ("start", child)]
        if event in wanted:
            yield event, element
