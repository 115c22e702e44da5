"""`-f rlm:PATH`, through the command line."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import pytest
from scripts import steps

NAMES = "```repl\nnames = sorted(context) if isinstance(context, dict) else len(context)\n```"
SUBMIT = "```repl\nSUBMIT(names)\n```"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    (root / "deep").mkdir(parents=True)
    (root / "a.md").write_text("# A\n")
    (root / "deep" / "b.csv").write_text("x,y\n1,2\n")
    (root / "no-suffix").write_text("plain\n")
    (root / "latin.txt").write_bytes("Größe\nund mehr Wörter für die Schätzung\n".encode("cp1252"))
    (root / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\0")
    (root / ".hidden").write_text("hidden")
    (root / ".git").mkdir()
    (root / ".gitignore").write_text("ignored.txt\n")
    (root / "ignored.txt").write_text("ignored")
    return root


def test_a_folder_is_named_documents(cli: Any, scripted: Any, folder: Path, logs: Any) -> None:
    scripted("base", steps(NAMES, SUBMIT))
    result = cli("-m", "rlm-base", "-f", f"rlm:{folder}", "Which?")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split('"')[1::2] == ["a.md", "deep/b.csv", "latin.txt", "no-suffix"]
    assert "picture.png is binary" in result.stderr
    assert "ignored by .gitignore" in result.stderr
    assert "latin.txt was read as cp1252" in result.stderr
    assert {row["path"] for row in logs("select path from attachments")} == {
        str(folder / name) for name in ("a.md", "deep/b.csv", "latin.txt", "no-suffix")
    }


@pytest.mark.parametrize("flags", [["-R"], ["--no-stream"], ["-o", "dry_run", "1"], ["--async", "-R"]])
def test_what_is_left_out_is_said_however_quiet_the_run(
    cli: Any, scripted: Any, folder: Path, flags: list[str]
) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    scripted("base", steps(NAMES, SUBMIT))
    result = cli("-m", "rlm-base", *flags, "-f", f"rlm:{folder}", "Which?")
    assert result.exit_code == 0
    assert result.stderr.count("broken.pdf") == 1
    assert "latin.txt was read as cp1252" in result.stderr


def test_a_folder_of_nothing_but_what_cannot_be_read(cli: Any, scripted: Any, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    chats = scripted("base", "unused")
    result = cli("-m", "rlm-base", "-f", f"rlm:{tmp_path / 'docs'}", "Q")
    assert (result.exit_code, chats) == (1, [])
    assert "is empty" not in result.stderr
    assert "broken.pdf" in result.stderr


def test_a_follow_up_about_a_folder(cli: Any, scripted: Any, folder: Path) -> None:
    scripted("base", steps(NAMES, SUBMIT))
    first = cli("-m", "rlm-base", "-f", f"rlm:{folder}", "Which?").stdout
    assert cli("-c", "Which again?").stdout == first
    (folder / "a.md").unlink()
    result = cli("-c", "And now?")
    assert result.stdout.split('"')[1::2] == ["deep/b.csv", "latin.txt", "no-suffix"]
    assert "of an earlier turn, and left out" in result.stderr


def test_a_glob(cli: Any, scripted: Any, folder: Path) -> None:
    (folder / "c.md").write_text("# C\n")
    scripted("base", steps(NAMES, SUBMIT))
    result = cli("-m", "rlm-base", "-R", "-f", f"rlm:{folder}/**/*.md", "Which?")
    assert result.stdout.split('"')[1::2] == ["a.md", "c.md"]


@pytest.mark.parametrize("name", ["plain.unknown", "log.gz", "rows.csv", "page.html"])
def test_a_file_of_any_kind(cli: Any, scripted: Any, tmp_path: Path, name: str) -> None:
    raw = b"<html><body><p>12345</p></body></html>" if name == "page.html" else b"12345"
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    scripted("base", steps("```repl\nn = context.strip()\n```", "```repl\nSUBMIT(n)\n```"))
    assert cli("-m", "rlm-base", "-R", "-f", f"rlm:{tmp_path / name}", "Q").stdout == "12345\n"


def test_an_archive_is_named_documents(cli: Any, scripted: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.writestr("one.txt", "1")
        archive.writestr("two/three.txt", "3")
    scripted("base", steps(NAMES, SUBMIT))
    result = cli("-m", "rlm-base", "-R", "-f", f"rlm:{tmp_path / 'both.zip'}", "Which?")
    assert result.stdout.split('"')[1::2] == ["both.zip/one.txt", "both.zip/two/three.txt"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("nowhere", "no such file or folder"),
        ("nowhere/*.md", "no such file or folder"),
        ("", "name a file, a folder or a glob"),
        ("empty-folder", "no text was found there"),
    ],
)
def test_a_path_without_texts(cli: Any, scripted: Any, tmp_path: Path, path: str, told: str) -> None:
    (tmp_path / "empty-folder").mkdir()
    chats = scripted("base", "unused")
    result = cli("-m", "rlm-base", "-f", f"rlm:{tmp_path / path if path else ''}", "Q")
    assert result.exit_code == 1
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert chats == []


def test_a_file_in_a_broken_encoding_is_named(cli: Any, scripted: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes("größer ".encode() * 50 + b"\xff" + "größer ".encode() * 50)
    scripted("base", "unused")
    result = cli("-m", "rlm-base", "-f", f"rlm:{tmp_path / 'bad.txt'}", "Q")
    assert result.exit_code == 1
    assert "bad.txt" in result.stderr
    assert len(result.stderr.splitlines()) == 1
