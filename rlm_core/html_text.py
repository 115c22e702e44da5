"""HTML to the text that a reader of the page sees.

Any bytes that claim to be HTML are read, in time linear in their length, as browsers read what is broken: a
comment or script that does not end takes the rest with it, a `<` that begins no tag is a character.
(`html.parser` raises on some of that, and in many releases of Python takes quadratic time on more.)"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from rlm_core.decoding import DocumentError, decode

# Bounded throughout: what does not match within the bounds ends at its next `>`.
_TAG = re.compile(
    r"""</?(?P<name>[a-zA-Z][^\s/>]{0,60})(?P<attributes>(?:[^>"']|"[^"]{0,4000}"|'[^']{0,4000}'){0,2000}+)>"""
)
_NAME = re.compile(r"</?(?P<name>[a-zA-Z][^\s/>]{0,60})")
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]{1,40})\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_SPACE = re.compile(r"[ \t\n\r\f]+")

_PARAGRAPHS = frozenset({
    "p", "div", "section", "article", "header", "footer", "main", "nav", "aside", "h1", "h2", "h3",
    "h4", "h5", "h6", "ul", "ol", "dl", "table", "pre", "blockquote", "figure", "form", "fieldset",
    "title", "hr",
})  # fmt: skip
_LINES = frozenset({
    "br", "li", "tr", "dt", "dd", "option", "caption", "figcaption", "legend", "summary", "details",
    "address",
})  # fmt: skip
_RAW = {name: re.compile(rf"</{name}\b[^>]*>", re.IGNORECASE) for name in ("script", "style")}
_UNSEEN = frozenset({"template", "svg"})


def html_source(raw: bytes, name: str, encoding: str | None = None) -> str:
    """HTML decoded by what it declares, where it does and that holds, else as any text.  Raises
    DocumentError."""
    declared = re.search(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", raw[:2048])
    if encoding is None and declared:
        try:
            return decode(raw, name, declared[1].decode("ascii"))[0].removeprefix("\ufeff")
        except (DocumentError, UnicodeError):
            pass
    return decode(raw, name, encoding)[0]


def html_text(source: str) -> str:
    """Blocks on lines of their own, cells divided by tabs, list items behind dashes, `[text](address)` for
    links to the web, what `alt` says for images."""
    page = _Page()
    for kind, content, attributes in _tokens(source):
        if kind == "text":
            page.text(unescape(content))
        elif kind == "start":
            page.start(content, attributes)
            if attributes.endswith("/") and content in _UNSEEN:
                page.end(content)
        else:
            page.end(content)
    text = "\n".join(line.rstrip(" \t") for line in "".join(page.out).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def _tokens(source: str) -> Iterator[tuple[str, str, str]]:
    """("text", text, ""), ("start", name, attributes) and ("end", name, "") in order."""
    at = 0
    while (start := source.find("<", at)) >= 0:
        if start > at:
            yield "text", source[at:start], ""
        sign = source[start + 1 : start + 2]
        if source.startswith("<!--", start):
            at = source.find("-->", start + 4) + 3
        elif source.startswith("<![CDATA[", start):
            end = source.find("]]>", start)
            yield "text", source[start + 9 : end if end >= 0 else None], ""
            at = end + 3
        elif sign in ("!", "?"):
            at = source.find(">", start) + 1
        elif match := (_TAG.match(source, start) or _NAME.match(source, start)):
            whole = match.re is _TAG
            at = match.end() if whole else source.find(">", start) + 1
            if not at:
                return  # a tag that never ends
            closes, name = sign == "/", match["name"].lower()
            yield ("end", name, "") if closes else ("start", name, match["attributes"] if whole else "")
            if name in _RAW and not closes:
                raw = _RAW[name].search(source, at)
                at = raw.end() if raw else 0
        else:
            yield "text", "<", ""
            at = start + 1
        if at < start + 1:
            return  # what never ends takes the rest
    yield "text", source[at:], ""


class _Page:
    """Collects what is seen in `out`.  Breaks wait in `gap`, and the tabs between cells in `tabs`, until text
    follows: so a row stays one line though its cells hold paragraphs, and keeps its empty cells."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.gap = ""
        self.row_gap = ""  # the gap before a row of which nothing has been written yet
        self.tabs = 0
        self.cells = 0  # so far in this row
        self.opening = True  # nothing has been written yet in this cell, or on this page
        self.unseen = 0
        self.pre = 0
        self.link = ""

    def start(self, tag: str, attributes: str) -> None:
        if tag in _UNSEEN:
            self.unseen += 1
        elif tag == "li" and self.out:
            self.opening = False
        self._break(tag)
        if tag == "pre":
            self.pre += 1
        elif tag == "tr":
            self.row_gap = self.gap
            self.tabs = self.cells = 0
        elif tag in ("td", "th"):
            self.gap = self.row_gap
            self.tabs += self.cells > 0
            self.cells += 1
            self.opening = True
        elif tag == "li":
            self._write("- ")
            self.opening = True  # a paragraph that is all of it stands beside the dash
        elif tag == "img":
            self._write(_attribute(attributes, "alt"))
        elif tag == "a" and not self.link:
            address = _attribute(attributes, "href")
            if address.startswith(("http://", "https://", "mailto:")):
                self.link = address
                self._write("[")

    def end(self, tag: str) -> None:
        if tag in _UNSEEN:
            self.unseen = max(0, self.unseen - 1)
        if tag not in ("br", "hr"):
            self._break(tag)
        if tag == "pre":
            self.pre = max(0, self.pre - 1)
        elif tag in ("td", "th"):
            self.opening = False
        elif tag == "a" and self.link:
            self._write(f"]({self.link})")
            self.link = ""

    def text(self, text: str) -> None:
        if not self.pre:
            text = _SPACE.sub(" ", text)
            if self.gap or self.tabs or not self.out or self.out[-1].endswith(("\n", " ")):
                text = text.lstrip(" ")
        self._write(text)

    def _write(self, text: str) -> None:
        if text and not self.unseen:
            self.out += (self.gap, "\t" * self.tabs, text)
            self.gap = self.row_gap = ""
            self.tabs = 0
            self.opening = False

    def _break(self, tag: str) -> None:
        """The text that follows begins on a line of its own, after an empty one around paragraphs."""
        lines = 2 if tag in _PARAGRAPHS else 1 if tag in _LINES else 0
        if lines and not self.opening:
            self.gap = "\n" * max(lines, self.gap.count("\n") + (tag == "br"))


def _attribute(attributes: str, name: str) -> str:
    for match in _ATTRIBUTE.finditer(attributes):
        if match[1].lower() == name:
            return unescape(match[2] or match[3] or match[4] or "")
    return ""
