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
            raise DocumentError(name, "is an encrypted PDF: decrypt it first")
        pages = [page.extract_text() for page in reader.pages]
    except DocumentError:
        raise
    except Exception as error:  # whatever a broken file makes of a parser
        raise _broken(name, "PDF", error) from error
    finally:
        log.setLevel(level)
    if not any(page.strip() for page in pages):
        raise DocumentError(name, "is a PDF without text (scanned pages?): run OCR on it first")
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
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.unseen = 0
        self.pre = 0
        self.link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self.unseen += 1
        elif tag in _PARAGRAPHS:
            self._break(2)
        elif tag in _LINES:
            self._break(1)
        if tag == "pre":
            self.pre += 1
        elif tag == "li":
            self.out.append("- ")
        elif tag in ("td", "th"):
            if self.out and not self.out[-1].endswith(("\n", "\t")):
                self.out.append("\t")
        elif tag == "img":
            self.out.append(dict(attrs).get("alt") or "")
        elif tag == "a" and not self.link:
            address = dict(attrs).get("href") or ""
            if address.startswith(("http://", "https://", "mailto:")):
                self.link = address
                self.out.append("[")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("br", "hr", "img"):
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self.unseen = max(0, self.unseen - 1)
        elif tag in _PARAGRAPHS:
            self._break(2)
        elif tag in _LINES:
            self._break(1)
        if tag == "pre":
            self.pre = max(0, self.pre - 1)
        elif tag == "a" and self.link:
            self.out.append(f"]({self.link})")
            self.link = ""

    def handle_data(self, data: str) -> None:
        if self.unseen:
            return
        if not self.pre:
            data = re.sub(r"[ \t\n\r\f]+", " ", data)
            if not self.out or self.out[-1].endswith(("\n", "\t", " ")):
                data = data.lstrip(" ")
        if data:
            self.out.append(data)

    def _break(self, lines: int) -> None:
        """The next text begins after so many line ends."""
        if not self.unseen and self.out:
            self.out.append("\n" * lines)


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
    return DocumentError(name, f"is a {kind}: llm install 'llm-rlm[documents]' to read it")


def _broken(name: str, kind: str, error: Any) -> DocumentError:
    first = (str(error) or type(error).__name__).splitlines()[0][:200]
    return DocumentError(name, f"is a {kind} that cannot be read: {first}")
