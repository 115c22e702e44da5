"""Prompts as pieces of the context."""

from __future__ import annotations

import random

import pytest

from rlm_core.pieces import STRIDE, Pieces

TEXT = "".join(random.Random(1).choices("abcdefghij \n", k=200_000))


def size(pieces):
    return sum(len(piece) if isinstance(piece, str) else 20 for piece in pieces)


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "short",
        TEXT,
        f"Question?\n\n{TEXT[10_000:60_000]}\n\nAnswer:",
        f"{TEXT[:5_000]}{TEXT[100_000:150_000]}{TEXT[-5_000:]}",
        "no quotation at all " * 500,
        TEXT[1:3_000].upper(),
    ],
)
def test_what_is_cut_joins_again(prompt):
    pieces = Pieces({"context": TEXT})
    assert pieces.join(pieces.cut(prompt)) == prompt


def test_a_quotation_costs_nothing_wherever_it_begins():
    pieces = Pieces({"context": TEXT})
    for start in range(0, 50_000, 4_999):
        assert size(pieces.cut(f"Question {start}\n" + TEXT[start : start + 20_000] + "\nend")) < 100


def test_documents_and_lists_are_quoted_by_name():
    documents = {"a.txt": TEXT[:50_000], "b.txt": TEXT[50_000:]}
    pieces = Pieces({"context": documents})
    (piece,) = pieces.cut(documents["b.txt"][7 : 7 + 4 * STRIDE])
    assert piece == ("context['b.txt']", 7, 4 * STRIDE)
    assert Pieces({"context": [TEXT]}).cut(TEXT) == [("context[0]", 0, len(TEXT))]


def test_data_that_is_no_text_is_left_alone():
    pieces = Pieces({"context": {"n": [1, 2, 3]}})
    assert pieces.cut("x" * 5_000) == ["x" * 5_000]
