from __future__ import annotations

import datetime

import pytest

from rlm_core.grounding import SLICE, occurs

TEXT = """The  Secret
number is 48213, of 1,234,567 (see 3.42 and $99.50); café owner: Ann O'Neil.\r
In a channel."""


@pytest.mark.parametrize(
    "literal",
    [
        "48213",
        "the secret number",
        "THE SECRET  NUMBER IS",
        "1,234,567",
        "1234567",
        "3.42",
        "99.50",
        "CAFÉ owner",
        "Ann O'Neil",
        "“Ann O'Neil.”",
        "channel!",
        "",
        "  ",
    ],
)
def test_what_stands_there_but_for_case_and_white_space_occurs(literal: str) -> None:
    assert occurs(literal, TEXT)


@pytest.mark.parametrize(
    "literal", ["4821", "8213", "42", "1,234", "234567", "chan", "number secret", "9", "xyz", "342"]
)
def test_parts_of_longer_words_and_numbers_do_not_occur(literal: str) -> None:
    assert not occurs(literal, TEXT)


def test_scripts_without_spaces_are_found_within_a_run() -> None:
    assert occurs("東京", "私は東京に住んでいます")


def test_leaves_and_keys_of_data_are_looked_at() -> None:
    data = {"name": ["Ann", {"age": 42, "score": 2.5}], ("k", 7): None, "big": "1,234"}
    for literal in ("ann", "name", "42", "2.5", "42.0", "7", "1234", "None"):
        assert occurs(literal, data), literal
    for literal in ("2", "43", "Ann name", "bob"):
        assert not occurs(literal, data), literal


def test_words_do_not_join_across_leaves() -> None:
    assert not occurs("red car", ["red", "car"])
    assert occurs("red car", ["a red\ncar"])


@pytest.mark.parametrize("at", [0, SLICE - 8, SLICE - 1, SLICE, SLICE + 3, 2 * SLICE - 20])
def test_no_seam_between_slices_hides_anything(at: int) -> None:
    text = " " * at + "The Hidden\n \nPhrase" + " " * (2 * SLICE - at)
    assert occurs("the hidden phrase", text)
    assert not occurs("the hidden phrases", text)


def test_a_text_whose_letters_change_length_when_lowered() -> None:
    assert occurs("istanbul", "İ" * 1000 + " ISTANBUL " + "İ" * 1000)


def test_a_lone_surrogate_is_no_obstacle() -> None:
    assert occurs("abc", "\ud800 ABC \udfff")


def test_a_search_that_runs_out_of_time_does_not_call_anything_absent() -> None:
    assert occurs("absent", "word " * 1000, seconds=0)
    assert not occurs("absent", "word " * 1000)


def test_an_odd_value_is_searched_without_harm() -> None:
    assert occurs("2026-01-02", {"d": datetime.date(2026, 1, 2)})
    assert not occurs("x", 10**5000)
    assert not occurs("1" * 400, [1])
