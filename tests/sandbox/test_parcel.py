"""Inputs travel in a file in memory and arrive exactly, whatever they are made of."""

from __future__ import annotations

import os
from typing import Any

import pytest

from rlm_core.sandbox import parcel

LONG = 70_000  # characters, so that it is written out of line


def crossed(*values: Any) -> list[Any]:
    descriptor, layout = parcel.write(values)
    try:
        return parcel.read(descriptor, layout)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("a" * LONG, "latin-1"),
        ("é" * LONG, "latin-1"),
        ("a" * 5_000_000 + "é", "latin-1"),
        ("中" * LONG, "ucs-2"),
        ("a" * 5_000_000 + "中", "ucs-2"),
        ("\ud83d\ude00" * LONG, "ucs-2"),  # lone surrogates stay two characters
        ("😀" * LONG, "utf-8"),
        ("\ud83d\ude00😀" * LONG, "utf-8"),
        ("a" * LONG + "😀\ud800\r\n\0", "utf-8"),
    ],
    ids=lambda value: repr(value)[-12:].encode("ascii", "backslashreplace").decode(),
)
def test_a_long_text_crosses_in_the_form_that_suits_it(text: str, form: str) -> None:
    descriptor, layout = parcel.write([text])
    try:
        assert [blob.form for blob in layout.blobs] == [form]
        assert parcel.read(descriptor, layout) == [text]
    finally:
        os.close(descriptor)


def test_a_text_whose_utf8_form_is_kept_beside_it_crosses() -> None:
    text = "é" * LONG
    crossed({text: 1})  # msgspec asks for the UTF-8 form of a key, and Python keeps it
    assert crossed(text) == [text]


def test_long_and_short_values_cross_together() -> None:
    document = "doc " * LONG
    value = {
        "documents": [document, document, "short", "中" * LONG],
        document: "a long key",
        "bytes": b"\xff" * LONG,
        "rest": [{"id": i, "tags": ("a", 2**70, "\ud800")} for i in range(100)],
        3: {4.5, None},
    }
    assert crossed(value, None, "") == [value, None, ""]


def test_the_same_text_twice_is_written_once() -> None:
    document = "d" * 1_000_000
    descriptor, layout = parcel.write([[document] * 10])
    os.close(descriptor)
    assert layout.size < 1_100_000


def test_what_cannot_cross_is_refused_and_leaves_no_descriptor() -> None:
    before = os.listdir("/dev/fd")
    with pytest.raises(TypeError, match="object"):
        parcel.write(["x" * LONG, object()])
    assert os.listdir("/dev/fd") == before
