from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from rlm_core.context import Context, ContextError


@pytest.mark.parametrize(
    "value",
    [
        "one\r\ntwo\r\n",
        "",
        "\ud800 lone",
        {1: "a", (2, 3): ("b", None)},
        [{"when": datetime.datetime(2026, 1, 2)}, ("t",), 1.5],
    ],
)
def test_a_value_arrives_as_the_very_object_that_was_given(value: object) -> None:
    assert Context.of(value).value is value


def test_bytes_become_text_wherever_they_stand() -> None:
    assert Context.of(b"caf\xc3\xa9\r\n").value == "café\r\n"
    assert Context.of({"a": [b"x", 1]}).value == {"a": ["x", 1]}


def test_a_path_becomes_its_text_and_a_folder_its_named_texts(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"bee\r\n")
    (tmp_path / "a.txt").write_bytes(b"ay")
    assert Context.of(tmp_path / "b.txt").value == "bee\r\n"
    folder = Context.of(tmp_path)
    assert list(folder.value.items()) == [("a.txt", "ay"), ("b.txt", "bee\r\n")]
    assert (folder.kind, folder.chars, folder.names) == ("documents", 7, ["a.txt", "b.txt"])


@pytest.mark.parametrize("value", [None, iter(["a"]), b"\x00\xff\xfe\x00\x89", Path("/no/such/file")])
def test_what_cannot_be_a_context_is_refused_in_one_line(value: object) -> None:
    with pytest.raises(ContextError) as caught:
        Context.of(value)
    assert "\n" not in str(caught.value)


def test_kind_tells_text_documents_and_data_apart() -> None:
    assert Context.of("x").kind == "text"
    assert Context.of(["x", "y"]).kind == Context.of({"a": "x"}).kind == "documents"
    assert Context.of({"a": 1}).kind == Context.of([]).kind == Context.of({1: "x"}).kind == "data"
