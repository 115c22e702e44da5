"""PDF, DOCX, EPUB and HTML to text.  PDF and DOCX need the extra `documents`, imported when the first one
comes.

Pages of a PDF are divided by form feeds, as pdftotext does; table cells by tabs; links keep their web
address."""

from __future__ import annotations

import io
import logging
import posixpath
import re
import zipfile
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from rlm_core.decoding import DocumentError, decode

MAX_MARKUP = (
    1 << 28
)  # bytes that the parts of a DOCX or EPUB may unpack to: parsing takes many times as much memory


def pdf_text(raw: bytes, name: str) -> str:
    """The text of a PDF.  Raises DocumentError, also where it holds none (scanned pages) or is encrypted."""
    try:
        import pypdf  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise _missing(name, "PDF") from None
    log = logging.getLogger("pypdf")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it warns of every oddity that it reads past
    try:
        reader = pypdf.PdfReader(io.BytesIO(raw))
        if reader.is_encrypted and not reader.decrypt(""):
            raise DocumentError(name, "is an encrypted PDF", "decrypt it first")
        pages = [page.extract_text() for page in reader.pages]
    except DocumentError:
        raise
    except Exception as error:  # whatever a broken file makes of a parser
        raise _broken(name, "PDF", error) from error
    finally:
        log.setLevel(level)
    if not any(page.strip() for page in pages):
        raise DocumentError(name, "is a PDF without text (scanned pages?)", "run OCR on it first")
    return "\f".join(pages)


def docx_text(raw: bytes, name: str) -> str:
    """The text of a DOCX, tables and footnotes included.  Raises DocumentError."""
    try:
        import mammoth  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise _missing(name, "DOCX") from None
    with _package(raw, name):
        pass
    try:
        html = mammoth.convert_to_html(
            io.BytesIO(raw),
            convert_image=mammoth.images.img_element(lambda image: {"src": ""}),
            include_embedded_style_map=False,
        ).value
    except Exception as error:
        raise _broken(name, "DOCX", error) from error
    return html_text(html)


def epub_text(raw: bytes, name: str) -> str:
    """The chapters of an EPUB in reading order.  Raises DocumentError."""
    try:
        with _package(raw, name) as book:
            container = ElementTree.fromstring(book.read("META-INF/container.xml"))
            opf = next(
                item.attrib["full-path"] for item in container.iter() if item.tag.endswith("}rootfile")
            )
            package = ElementTree.fromstring(book.read(opf))
            hrefs = {
                item.attrib["id"]: item.attrib["href"]
                for item in package.iter()
                if item.tag.endswith("}item")
            }
            spine = [item.attrib["idref"] for item in package.iter() if item.tag.endswith("}itemref")]
            chapters = []
            for idref in spine:
                path = posixpath.normpath(posixpath.join(posixpath.dirname(opf), unquote(hrefs[idref])))
                chapters.append(html_text(html_source(book.read(path), f"{name}/{path}")))
    except DocumentError:
        raise
    except Exception as error:
        raise _broken(name, "EPUB", error) from error
    return "\n\n".join(chapters)


def html_source(raw: bytes, name: str, encoding: str | None = None) -> str:
    """HTML decoded by what it declares, where it does and that holds, else as any text."""
    declared = re.search(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", raw[:2048])
    if encoding is None and declared:
        try:
            return decode(raw, name, declared.group(1).decode("ascii"))[0].removeprefix("\ufeff")
        except (DocumentError, UnicodeError):
            pass
    return decode(raw, name, encoding)[0]


def html_text(source: str) -> str:
    """What a reader of the page sees: blocks on lines of their own, cells divided by tabs, `[text](address)`
    for links."""
    reader = _Reader()
    reader.feed(source)
    reader.close()
    text = "".join(reader.out)
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


READERS = {"pdf": pdf_text, "docx": docx_text, "epub": epub_text}

_PARAGRAPHS = frozenset(
    {
        "p",
        "div",
        "section",
        "article",
        "header",
        "footer",
        "main",
        "nav",
        "aside",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "dl",
        "table",
        "pre",
        "blockquote",
        "figure",
        "form",
        "fieldset",
        "title",
        "hr",
    }
)
_LINES = frozenset(
    {
        "br",
        "li",
        "tr",
        "dt",
        "dd",
        "option",
        "caption",
        "figcaption",
        "legend",
        "summary",
        "details",
        "address",
    }
)
_UNSEEN = frozenset({"script", "style", "template", "svg"})


class _Reader(HTMLParser):
    """Collects what is seen in `out`.  Breaks wait in `gap`, and the tabs between cells in `tabs`, until text
    follows: so a row stays one line though its cells hold paragraphs, and keeps its empty cells."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.gap = ""
        self.row_gap = ""  # the gap before a row of which nothing has been written yet
        self.tabs = 0
        self.cells = 0  # so far in this row
        self.opening = True  # nothing has been written yet in this cell, or on this page
        self.unseen = 0
        self.pre = 0
        self.link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self.unseen += 1
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
        elif tag == "img":
            self._write(dict(attrs).get("alt") or "")
        elif tag == "a" and not self.link:
            address = dict(attrs).get("href") or ""
            if address.startswith(("http://", "https://", "mailto:")):
                self.link = address
                self._write("[")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
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

    def handle_data(self, data: str) -> None:
        if not self.pre:
            data = re.sub(r"[ \t\n\r\f]+", " ", data)
            if self.gap or self.tabs or not self.out or self.out[-1].endswith(("\n", " ")):
                data = data.lstrip(" ")
        self._write(data)

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


def _package(raw: bytes, name: str) -> zipfile.ZipFile:
    """A zip whose parts, by what it declares and zipfile then enforces, unpack to what can be parsed."""
    try:
        package = zipfile.ZipFile(io.BytesIO(raw))
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise _broken(name, "zip", error) from error
    size = sum(part.file_size for part in package.infolist() if not part.filename.endswith(_PICTURES))
    if size > MAX_MARKUP:
        raise DocumentError(
            name, f"unpacks to {size:,} bytes of markup, more than the {MAX_MARKUP:,} that are read"
        )
    return package


_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".emf", ".wmf", ".mp4", ".mp3", ".ttf", ".otf")


def _missing(name: str, kind: str) -> DocumentError:
    return DocumentError(name, f"is a {kind}, and to read it: llm install 'llm-rlm[documents]'")


def _broken(name: str, kind: str, error: Any) -> DocumentError:
    first = (str(error) or type(error).__name__).splitlines()[0][:200]
    return DocumentError(name, f"is a {kind} that cannot be read: {first}")
