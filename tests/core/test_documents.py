from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from rlm_core import archives, documents, extract
from rlm_core.documents import DocumentError, read, read_bytes


def write(root: Path, **files: str | bytes) -> None:
    """Files by name; `__` in a name stands for a slash, `_dot_` for a dot."""
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(name, content)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as package:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            package.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def refused(call: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(DocumentError) as caught:
        call(*args, **kwargs)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- one file


def test_a_file_is_its_text_exactly_whatever_its_name(tmp_path: Path) -> None:
    write(tmp_path, notes="one\r\ntwo\r\n", _dot_hidden="h")
    found = read(tmp_path / "notes")
    assert (found.texts, found.single, found.skipped) == ({"notes": "one\r\ntwo\r\n"}, True, [])
    assert read(tmp_path / ".hidden").texts == {".hidden": "h"}
    assert found.value == "one\r\ntwo\r\n"
    assert read(tmp_path).value == {"notes": "one\r\ntwo\r\n"}


def test_a_name_with_the_signs_of_a_glob_is_the_file_of_that_name(tmp_path: Path) -> None:
    write(tmp_path, **{"a[1].txt": "x", "a1.txt": "y"})
    assert read(tmp_path / "a[1].txt").texts == {"a[1].txt": "x"}


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, **{"a.txt": "x"})
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read("~/a.txt").texts == {"a.txt": "x"}


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"\x89PNG\r\n\x1a\nrest", "PNG"), (b"ab\0cd\0", "NUL"), (bytes(range(1, 32)) * 9 + b"\xff", "control")],
)
def test_a_binary_file_is_refused_by_its_name_and_kind(tmp_path: Path, content: bytes, says: str) -> None:
    write(tmp_path, **{"x.dat": content})
    text = refused(read, tmp_path / "x.dat")
    assert "x.dat" in text
    assert says in text


def test_what_does_not_exist_or_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    assert "does not exist" in refused(read, tmp_path / "no.txt")
    os.mkfifo(tmp_path / "pipe")
    assert "a pipe" in refused(read, tmp_path / "pipe")
    assert "device" in refused(read, "/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    assert "loop" in refused(read, tmp_path / "loop")


def test_a_file_whose_size_is_not_known_beforehand_is_read_whole() -> None:
    if not os.path.exists("/proc/self/status"):
        pytest.skip("no /proc here")
    assert "Pid:" in read("/proc/self/status").texts["status"]


def test_more_than_may_be_read_is_refused(tmp_path: Path) -> None:
    write(tmp_path, **{"a.txt": "x" * 60, "b.txt": "y" * 60})
    assert "100 bytes" in refused(read, tmp_path, max_bytes=100)
    assert read(tmp_path, max_bytes=120).texts.keys() == {"a.txt", "b.txt"}
    assert "50 bytes" in refused(read, tmp_path / "a.txt", max_bytes=50)


# ---- encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marked_and_utf8_texts_are_read_without_a_guess(encoding: str) -> None:
    found = read_bytes("naïve – 日本".encode(encoding), "a.txt")
    assert found.texts == {"a.txt": "naïve – 日本"}
    assert found.encodings == {}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Le café était fermé l'été dernier.", "cp1252"),
        ("He said “hello” – and left… it’s fine.", "cp1252"),
        ("Largely plain text, é", "utf-16-le"),
        ("Largely plain text, é", "utf-16-be"),
    ],
)
def test_a_western_text_is_read_and_the_guess_is_told(text: str, encoding: str) -> None:
    found = read_bytes(text.encode(encoding), "a.txt")
    assert (found.texts["a.txt"], found.encodings) == (text, {"a.txt": encoding})


RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 3


def test_another_encoding_is_detected_by_the_extra_and_otherwise_asked_for() -> None:
    raw = RUSSIAN.encode("koi8-r")
    assert read_bytes(raw, "a.txt", encoding="koi8-r").texts["a.txt"] == RUSSIAN
    try:
        import chardet  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
    except ImportError:
        assert "llm-rlm[documents]" in refused(read_bytes, raw, "a.txt")
    else:
        assert read_bytes(raw, "a.txt").texts["a.txt"] == RUSSIAN


def test_a_wrong_encoding_is_an_error_that_names_the_file() -> None:
    assert "a.txt is not ascii" in refused(read_bytes, "é".encode(), "a.txt", encoding="ascii")
    assert "a.txt" in refused(read_bytes, b"x", "a.txt", encoding="no-such")


def test_utf8_with_a_broken_byte_is_not_taken_for_something_else() -> None:
    text = refused(read_bytes, "é".encode() * 50 + b"\xff" + "é".encode() * 50, "a.log")
    assert "a.log is UTF-8 but for byte 100" in text


# ---- folders and globs


def test_a_folder_gives_its_texts_sorted_and_says_what_it_skipped(tmp_path: Path) -> None:
    write(tmp_path, b__y="2", a="1", c="3", _dot_git__config="g", **{"p.png": b"\x89PNG\r\n\0"})
    found = read(tmp_path)
    assert list(found.texts.items()) == [("a", "1"), ("b/y", "2"), ("c", "3")]
    assert not found.single
    assert [name for name, _ in found.skipped] == [".git/", "p.png"]
    assert found.skipped_line().startswith("skipped 2: ")
    assert found.skipped_line().count("\n") == 0


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    assert "holds no text" in refused(read, tmp_path)
    write(tmp_path, **{"p.png": b"\x89PNG\r\n\0"})
    assert "p.png" in refused(read, tmp_path)


def test_what_git_ignores_is_skipped_as_git_does(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    write(
        tmp_path,
        _dot_gitignore="*.log\n!keep.log\n/build/\nnode_modules\ndoc/*.txt\n# comment\n\n",
        sub___dot_gitignore="!special.log\nlocal\n",
        **{
            "a.py": "",
            "x.log": "",
            "keep.log": "",
            "build__o.txt": "",
            "sub__build__o.txt": "",
            "sub__special.log": "",
            "sub__local": "",
            "deep__node_modules__m.js": "",
            "doc__d.txt": "",
            "doc__in__d.txt": "",
        },
    )
    listed = subprocess.run(
        ["git", "-C", tmp_path, "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    visible = sorted((name for name in listed if "/." not in f"/{name}"), key=lambda name: name.split("/"))
    assert list(read(tmp_path).texts) == visible
    assert "sub/special.log" in visible


def test_the_rules_of_the_repository_hold_in_its_folders_but_not_against_the_named_one(
    tmp_path: Path,
) -> None:
    write(tmp_path, _dot_git__x="", _dot_gitignore="*.log\n/out/\n", **{"src__a.py": "", "src__b.log": ""})
    write(tmp_path, **{"out__c.txt": "", "out__d.log": ""})
    assert list(read(tmp_path / "src").texts) == ["a.py"]
    assert list(read(tmp_path / "out").texts) == ["c.txt", "d.log"]


def test_a_glob_gives_what_it_matches_by_the_path_below_its_folder(tmp_path: Path) -> None:
    write(tmp_path, **{"src__a.py": "", "src__p__b.py": "", "src__p__c.txt": "", "src__p__q__d.py": ""})
    write(tmp_path, **{"src___dot_h__e.py": ""})
    assert list(read(f"{tmp_path}/src/**/*.py").texts) == ["a.py", "p/b.py", "p/q/d.py"]
    assert list(read(f"{tmp_path}/src/*/*.py").texts) == ["p/b.py"]
    assert list(read(f"{tmp_path}/src/p/?.[ct]*").texts) == ["c.txt"]
    assert list(read(f"{tmp_path}/s*/.h/*").texts) == ["src/.h/e.py"]
    assert "holds no text" in refused(read, f"{tmp_path}/*.md")


def test_links_are_followed_within_the_folder_only_and_never_in_circles(tmp_path: Path) -> None:
    write(tmp_path, **{"secret": "s", "in__a.txt": "x"})
    root = tmp_path / "in"
    (root / "again.txt").symlink_to("a.txt")
    (root / "out.txt").symlink_to(tmp_path / "secret")
    (root / "circle").symlink_to(root)
    (root / "broken").symlink_to("nothing")
    (root / "loop").symlink_to("loop")
    found = read(root)
    assert found.texts == {"a.txt": "x", "again.txt": "x"}
    assert {name for name, _ in found.skipped} == {"out.txt", "circle/", "broken", "loop"}
    (tmp_path / "door").symlink_to(root)
    assert "a.txt" in read(tmp_path / "door").texts


def test_pipes_and_unreadable_files_in_a_folder_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, **{"a.txt": "x", "b.txt": "y"})
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / ".gitignore")
    (tmp_path / "b.txt").chmod(0)
    found = read(tmp_path)
    skipped = dict(found.skipped)
    assert "a pipe" in skipped["pipe"]
    if os.getuid():  # root reads what it likes
        assert "ermission" in skipped["b.txt"]


def test_a_name_that_is_no_text_is_made_one(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"a\xff")).write_text("x")
    except OSError:
        pytest.skip("names must be UTF-8 here")
    assert read(tmp_path).texts == {"a\\udcff": "x"}


def test_whatever_a_name_holds_it_is_told_on_one_line_that_can_be_printed(tmp_path: Path) -> None:
    write(tmp_path, **{"two\nlines.png": b"\x89PNG\r\n\x1a\n", "a.txt": b"x"})
    try:
        (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"\x89PNG\r\n\x1a\n")
    except OSError:
        pass
    for line in read(tmp_path).notes():
        assert line.isprintable()
        line.encode()
    assert r"two\nlines.png" in refused(read, tmp_path / "two\nlines.png")


# ---- archives


def test_gz_and_zip_and_tar_are_unpacked(tmp_path: Path) -> None:
    files = {"b.txt": b"bee", "a/a.txt": b"ay"}
    assert read_bytes(gzip.compress(b"text"), "x.log.gz").texts == {"x.log": "text"}
    assert read_bytes(gzip.compress(b"text"), "x.log.gz").single
    for raw in (zipped(files), tarred(files), gzip.compress(tarred(files))):
        found = read_bytes(raw, "x.zip")
        assert list(found.texts.items()) == [("a/a.txt", "ay"), ("b.txt", "bee")]
        assert not found.single


def test_an_archive_in_a_folder_gives_documents_behind_its_name(tmp_path: Path) -> None:
    write(tmp_path, **{"z.zip": zipped({"i.txt": "x", ".h": "h", "p.png": b"\x89PNG\r\n"})})
    write(tmp_path, **{"a.txt": b"a", "l.gz": gzip.compress(b"log")})
    found = read(tmp_path)
    assert found.texts == {"a.txt": "a", "l": "log", "z.zip/i.txt": "x"}
    assert [name for name, _ in found.skipped] == ["z.zip/.h", "z.zip/p.png"]


def test_a_bomb_is_refused_before_it_fills_the_memory() -> None:
    zeros = b" " * 2_000_000
    for raw in (
        gzip.compress(zeros),
        zipped({"a": zeros}),
        zipped({f"{i}": zeros[:99_999] for i in range(20)}),
    ):
        assert len(raw) < 100_000
        assert "1,000,000 bytes" in refused(read_bytes, raw, "bomb", max_bytes=1_000_000)


def test_a_zip_that_lies_about_its_sizes_gains_nothing() -> None:
    raw = zipped({"a.txt": b"x" * 5_000_000, "b.txt": b"fine"})
    lying = raw.replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != raw
    found = read_bytes(lying, "x.zip", max_bytes=1_000_000)
    assert (list(found.texts), [name for name, _ in found.skipped]) == (["b.txt"], ["a.txt"])


def test_archives_within_archives_end() -> None:
    raw = b"text"
    for _ in range(documents.MAX_NESTING):
        raw = gzip.compress(raw)
    assert read_bytes(raw, "x").texts == {"x": "text"}
    assert "archives within archives" in refused(read_bytes, gzip.compress(raw), "x")


def test_a_damaged_archive_is_refused_by_name() -> None:
    whole = zipped({"a.txt": "x" * 1000})
    assert "x.zip" in refused(read_bytes, whole[: len(whole) // 2], "x.zip")
    assert "x.gz" in refused(read_bytes, gzip.compress(os.urandom(1000))[:500], "x.gz")
    assert "Office" in refused(read_bytes, zipped({"[Content_Types].xml": "", "xl/a.xml": ""}), "x.xlsx")


def test_an_encrypted_member_is_skipped() -> None:
    raw = bytearray(zipped({"a.txt": "secret", "b.txt": "open"}))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(mark) + flags] |= 1
    found = read_bytes(bytes(raw), "x.zip")
    assert list(found.texts) == ["b.txt"]
    assert "a.txt" in found.skipped_line()


# ---- PDF, DOCX, EPUB and HTML

PAGE = """<!DOCTYPE html><html><head><title>T</title><style>p {color: red}</style><script>if (a < b)
"x"</script> </head><body><h1>Head</h1><p>One   two<br>three &amp; caf&eacute;</p><ul><li>first<li>second</ul>
<table><tr><th>k</th><th>v</th></tr><tr><td>a</td><td>1</td></tr></table><pre>  kept
   so</pre><p>See <a href="https://example.org/x">the page</a> and <a
   href="#top">top</a>.</p></body></html>"""


def test_html_becomes_what_a_reader_sees() -> None:
    text = read_bytes(PAGE.encode(), "a.html").texts["a.html"]
    assert "color" not in text
    assert '"x"' not in text
    for line in ("Head", "One two", "three & café", "- first", "- second", "k\tv", "a\t1", "  kept", "   so"):
        assert line in text.split("\n")
    assert "See [the page](https://example.org/x) and top." in text
    assert read_bytes(PAGE.encode(), "page").texts["page"] == text
    assert read_bytes(PAGE.encode(), "page.txt").texts["page.txt"] == PAGE


def test_html_is_decoded_as_it_declares() -> None:
    raw = '<html><meta charset="koi8-r"><p>Привет</p>'.encode("koi8-r")
    assert "Привет" in read_bytes(raw, "a.htm").texts["a.htm"]


def epub() -> bytes:
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    )
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="two" href="b%20b.xhtml"/>'
        '<item id="one" href="a.xhtml"/></manifest>'
        '<spine><itemref idref="one"/><itemref idref="two"/></spine></package>'
    )
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "OPS/book.opf": opf,
            "OPS/b b.xhtml": "<html><body><p>Chapter two</p></body></html>",
            "OPS/a.xhtml": "<html><body><p>Chapter one</p></body></html>",
        }
    )


def test_an_epub_gives_its_chapters_in_reading_order() -> None:
    found = read_bytes(epub(), "book.epub")
    assert (found.texts["book.epub"], found.single) == ("Chapter one\n\nChapter two", True)
    broken = zipped({"mimetype": "application/epub+zip", "a": ""})
    assert "book.epub is a EPUB" in refused(read_bytes, broken, "book.epub").replace("an EPUB", "a EPUB")


def docx(body: str) -> bytes:
    office = "http://schemas.openxmlformats.org"
    word = f"{office}/wordprocessingml/2006/main"
    part = f"{office}/officeDocument/2006/relationships/officeDocument"
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{office}/package/2006/content-types">'
            '<Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{kind}"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{office}/package/2006/relationships">'
            f'<Relationship Id="r1" Type="{part}" Target="word/document.xml"/>'
            "</Relationships>",
            "word/document.xml": f'<w:document xmlns:w="{word}"><w:body>{body}</w:body></w:document>',
        }
    )


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_a_docx_gives_paragraphs_tables_and_fields_to_fill_in() -> None:
    pytest.importorskip("mammoth")
    cells = "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in ("key", "value"))
    body = paragraph("First") + f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>"
    body += f"<w:sdt><w:sdtContent>{paragraph('In a control')}</w:sdtContent></w:sdt>"
    text = read_bytes(docx(body), "a.docx").texts["a.docx"]
    assert [line for line in text.split("\n") if line] == ["First", "key\tvalue", "In a control"]
    assert "a.docx" in refused(read_bytes, zipped({"word/document.xml": "no xml"}), "a.docx")


def pdf(text: str) -> bytes:
    content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return (
        out
        + b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
        % (
            table,
            len(out),
        )
    )


def test_a_pdf_gives_its_text_and_says_where_it_holds_none() -> None:
    pytest.importorskip("pypdf")
    assert read_bytes(pdf("Hello there"), "a.pdf").texts["a.pdf"].strip() == "Hello there"
    assert "OCR" in refused(read_bytes, pdf(""), "a.pdf")
    assert "a.pdf" in refused(read_bytes, b"%PDF-1.4\nnothing", "a.pdf")


@pytest.mark.parametrize(("name", "raw"), [("a.pdf", pdf("x")), ("a.docx", docx(""))])
def test_without_the_extra_the_error_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, raw: bytes
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pypdf", None)
    monkeypatch.setitem(__import__("sys").modules, "mammoth", None)
    assert "llm install 'llm-rlm[documents]'" in refused(read_bytes, raw, name)
    write(tmp_path, **{name: raw, "b.txt": b"x"})
    assert "llm-rlm[documents]" in read(tmp_path).skipped_line()


def test_markup_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "MAX_MARKUP", 1_000)
    raw = zipped({"mimetype": "application/epub+zip", "a.xhtml": "x" * 5_000})
    assert archives.package_kind(raw, "b.epub") == "epub"
    assert "b.epub" in refused(read_bytes, raw, "b.epub")
