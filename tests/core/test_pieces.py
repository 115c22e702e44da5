"""Prompts as pieces of the context."""

from __future__ import annotations

import random

import pytest

from rlm_core.pieces import BLOCK, STRIDE, Pieces

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
        "the same line over and over\n" * 3_000,
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


def test_the_shortest_quotation_that_is_surely_found():
    pieces = Pieces({"context": TEXT})
    for start in range(0, 3_000, 7):
        assert size(pieces.cut("?" + TEXT[start : start + STRIDE + BLOCK] + "?")) < 100


def test_a_repetitive_context_is_quoted_too():
    log = "".join(f"2026-01-01 00:00:00 INFO heartbeat of worker {n % 7} is fine\n" for n in range(9_000))
    pieces = Pieces({"context": log})
    for prompt in (log[5_000:90_000], "Q: " + log[77:9_999] + log[123_456:200_000]):
        cut = pieces.cut(prompt)
        assert pieces.join(cut) == prompt
        assert size(cut) < len(prompt) / 10


def test_looking_for_quotations_has_an_end():
    """Blocks that are everywhere and go on otherwise each time."""
    block = "x" * (2 * BLOCK)
    context = "".join(f"{block}{n}" for n in range(20_000))
    looked = 0

    class Counted(dict):
        def get(self, *key):
            nonlocal looked
            looked += 1
            return super().get(*key)

    pieces = Pieces({"context": context})
    pieces._index = Counted(pieces._index)
    prompt = "".join(f"{block}-{n}" for n in range(1_000))
    assert pieces.join(pieces.cut(prompt)) == prompt
    assert looked < 10_000 < len(prompt)
