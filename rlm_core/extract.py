"""PDF, DOCX and EPUB to text.  PDF and DOCX need the extra `documents`, imported when the first one
comes.

Pages of a PDF are divided by form feeds, as pdftotext does."""

from __future__ import annotations

import io
import logging
import posixpath
import zipfile
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from rlm_core.decoding import DocumentError
from rlm_core.html_text import html_source, html_text

MAX_MARKUP = 1 << 28  # bytes that a DOCX or EPUB may unpack to: parsing takes many times as much memory


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


READERS = {"pdf": pdf_text, "docx": docx_text, "epub": epub_text}


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
