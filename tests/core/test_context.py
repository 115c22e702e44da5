from __future__ import annotations

import collections
import datetime
import io
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from rlm_core.context import Context, ContextError


@pytest.mark.parametrize(
    "value",
    [
        "one\r\ntwo\r\n",
        "",
        "\ud800 lone",
        {1: "a", (2, 3): ("b", None)},
        [{"when": datetime.datetime(2026, 1, 2)}, ("t",), 1.5, {"s"}, frozenset("f"), Decimal("1.10"), 1j],
        collections.OrderedDict(a=1),
        7,
    ],
)
def test_a_value_arrives_as_the_very_object_that_was_given(value: object) -> None:
    assert Context.of(value).value is value


def test_bytes_become_text_wherever_they_stand() -> None:
    assert Context.of(b"caf\xc3\xa9\r\n").value == "café\r\n"
    given: dict[object, Any] = {"a": [b"x", 1, ("y", bytearray(b"z"))], 2: {"b": "c"}}
    assert Context.of(given).value == {"a": ["x", 1, ("y", "z")], 2: {"b": "c"}}
    assert given["a"][0] == b"x", "what was given is left as it is"
    assert Context.of("naïve".encode("utf-16")).value == "naïve"


def test_a_path_becomes_its_text_and_a_folder_its_named_texts(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"bee\r\n")
    (tmp_path / "a.txt").write_bytes(b"ay")
    assert Context.of(tmp_path / "b.txt").value == "bee\r\n"
    folder = Context.of(tmp_path)
    assert list(folder.value.items()) == [("a.txt", "ay"), ("b.txt", "bee\r\n")]
    assert (folder.kind, folder.chars, folder.names) == ("documents", 7, ["a.txt", "b.txt"])


def test_paths_among_data_are_read_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ay")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.txt").write_text("bee")
    value = Context.of({"file": tmp_path / "a.txt", "both": [tmp_path / "in", 1]}).value
    assert value == {"file": "ay", "both": [{"b.txt": "bee"}, 1]}


ITSELF: list[object] = []
ITSELF += [ITSELF, ITSELF]


@pytest.mark.parametrize(
    "value",
    [
        None,
        object(),
        iter(["a"]),
        io.StringIO("a"),
        [{"a": object()}],
        MappingProxyType({"a": 1}),
        ITSELF,
        b"\x00\xff\xfe\x00\x89",
        {"a": b"\x89PNG\r\n"},
        Path("/no/such/file"),
        [Path("/dev/zero")],
    ],
)
def test_what_cannot_be_a_context_is_refused_in_one_line(value: object) -> None:
    with pytest.raises(ContextError) as caught:
        Context.of(value)
    assert "\n" not in str(caught.value)


def test_kind_tells_text_documents_and_data_apart() -> None:
    assert Context.of("x").kind == "text"
    assert Context.of(["x", "y"]).kind == Context.of({"a": "x"}).kind == "documents"
    assert Context.of({"a": 1}).kind == Context.of([]).kind == Context.of({1: "x"}).kind == "data"


def test_chars_are_those_of_the_texts_and_of_data_as_it_prints() -> None:
    assert Context.of("abc").chars == 3
    assert Context.of({"name": "abc", "other": "de"}).chars == 5
    assert Context.of(["abc", "de"]).chars == 5
    assert Context.of({"k": [1, -20, 1.5, True, None, "text"]}).chars == len("k1-201.5TrueNonetext")
    assert Context.of([10**6_000]).chars == 6_001


def test_a_context_of_a_context_is_that_one() -> None:
    context = Context.of("x")
    assert Context.of(context) is context


def test_card_and_grounding_are_of_its_value() -> None:
    context = Context.of({"a.txt": "The secret number is 48213."})
    assert "'a.txt' 27" in context.card()
    assert len(context.card(max_chars=60)) <= 60
    assert context.contains("the SECRET  number")
    assert not context.contains("8213")


def test_loading_it_imports_nothing_heavy() -> None:
    heavy = ("zipfile", "tarfile", "html.parser", "pathspec", "pypdf")
    code = f"import rlm_core.context; print([name for name in {heavy} if name in sys.modules])"
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {[str(root), *sys.path]!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"


def test_what_the_user_should_know_of_the_reading_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Le café était fermé.".encode("cp1252"))
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    guess, skipped = Context.of(tmp_path).notes
    assert guess == "a.txt was read as cp1252, which is a guess"
    assert skipped.startswith("skipped 1: b.png is binary")
    assert Context.of("text").notes == ()
    assert "cp1252" in Context.of("un café crème".encode("cp1252")).notes[0]
