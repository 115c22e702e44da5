"""`grep` and `chunks` as code in the REPL calls them, but without a REPL: over texts, documents and data."""

import random
import re
import sys

import pytest

from rlm_core.sandbox import search
from rlm_core.sandbox.protocol import Repl
from rlm_core.sandbox.repl_names import Names

TEXT = "Alpha\nbeta Gamma\r\ngamma delta\n\nepsilon GAMMA gamma\nlast alpha"


def names(context, printed=None):
    def never(*args):
        raise AssertionError(args)

    emit = printed.append if printed is not None else never
    return Names(Repl(), {"context": context}, {"context": context}, never, emit, never)


def grep(context, *args, **options):
    return names(context).grep(*args, **options)


def chunks(context, *args, **options):
    return names(context).chunks(*args, **options)


def random_text(rng, letters="aAbß\n\n İıςσΣKé", longest=60):
    return "".join(rng.choices(letters, k=rng.randrange(longest)))


# ---- grep


def test_lines_in_any_case_are_found_once_each():
    found = grep(TEXT, "gamma")
    assert found == ["beta Gamma", "gamma delta", "epsilon GAMMA gamma"]
    assert [line.number for line in found] == [2, 3, 5]
    assert [line.name for line in found] == [None, None, None]


def test_offsets_lead_back_to_the_text():
    for line in grep(TEXT, "a"):
        assert TEXT[line.start : line.end] == line


def test_case_can_matter():
    assert grep(TEXT, "GAMMA", case=True) == ["epsilon GAMMA gamma"]
    assert grep(TEXT, "^alpha", regex=True, case=True) == []


def test_the_pattern_is_plain_text_unless_told_otherwise():
    text = "a.c\nabc\na+c (x"
    assert grep(text, "a.c") == ["a.c"]
    assert grep(text, "(x") == ["a+c (x"]
    assert grep(text, "a.c", regex=True) == ["a.c", "abc", "a+c (x"]


def test_regular_expressions_know_lines():
    assert grep(TEXT, "^gamma", regex=True) == ["gamma delta"]
    assert grep(TEXT, "ta$", regex=True) == ["gamma delta"]


def test_a_compiled_expression_is_taken_as_it_is():
    assert grep(TEXT, re.compile("GAMMA")) == ["epsilon GAMMA gamma"]


def test_several_patterns_mean_any_of_them():
    assert grep(TEXT, ["alpha", "delta"]) == ["Alpha", "gamma delta", "last alpha"]
    assert grep(TEXT, ["^alpha", "delta$"], regex=True) == ["Alpha", "gamma delta"]
    assert grep(TEXT, ("nothing", "BETA")) == ["beta Gamma"]


def test_the_number_of_results_can_be_limited():
    assert grep(TEXT, "gamma", max=2) == ["beta Gamma", "gamma delta"]
    assert grep([TEXT, TEXT], "gamma", max=4)[3].name == 1


def test_lines_around_come_along_and_what_touches_is_joined():
    text = "\n".join(f"line {i}" for i in range(10)) + "\n"
    (one,) = grep(text, "line 4", around=1)
    assert one == "line 3\nline 4\nline 5"
    assert one.number == 4
    assert text[one.start : one.end] == one
    assert grep(text, ["line 2", "line 4", "line 9"], around=1) == [
        "line 1\nline 2\nline 3\nline 4\nline 5",
        "line 8\nline 9",
    ]
    assert grep(text, "line 0", around=3) == ["line 0\nline 1\nline 2\nline 3"]


def test_a_long_line_comes_as_a_window_around_each_match():
    text = "first\n" + "x" * 50_000 + "NEEDLE" + "y" * 50_000 + "needle" + "z" * 100 + "\nlast needle"
    found = grep(text, "needle")
    assert len(found) == 3
    assert [line.number for line in found] == [2, 2, 3]
    assert all(len(line) < 1000 for line in found)
    assert all("needle" in line.lower() for line in found)
    assert all(text[line.start : line.end] == line for line in found)


def test_a_match_that_is_itself_endless_is_cut():
    assert [len(line) < 2000 for line in grep("x" * 100_000, ".+", regex=True)] == [True]


def test_a_pattern_may_span_lines():
    (found,) = grep(TEXT, "delta\n\nepsilon")
    assert found == "gamma delta\n\nepsilon GAMMA gamma"


def test_matches_of_nothing_are_lines_too():
    assert len(grep("a\n\nb\n", "^", regex=True)) == 4
    assert len(grep("a\n\nb", "x*", regex=True)) == 3


def test_documents_are_named():
    found = grep({"a.txt": "one\ntwo", "b.txt": "TWO\nthree"}, "two")
    assert found == ["two", "TWO"]
    assert [(line.name, line.number) for line in found] == [("a.txt", 2), ("b.txt", 1)]


def test_data_is_searched_to_its_leaves():
    records = [{"name": "Ann", "id": 4711}, {"name": "Bob", "tags": ["ann", None, True]}]
    assert [line.name for line in grep(records, "ann")] == [(0, "name"), (1, "tags", 0)]
    assert grep(records, "4711") == ["4711"]
    assert grep(["x", "Ann"], "ann")[0].name == 1


def test_another_text_can_be_searched():
    assert grep(TEXT, "x", "ax\nb") == ["ax"]
    assert grep(TEXT, "x", ["ax", "b"])[0].name == 0


@pytest.mark.parametrize("pattern", ["", [], ["a", ""]])
def test_an_empty_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="empty"):
        grep(TEXT, pattern)


def test_wrong_arguments_are_refused_in_words():
    with pytest.raises(TypeError, match="not in a bool; options go by name"):
        grep(TEXT, "a.*", True)
    with pytest.raises(ValueError, match="not a regular expression"):
        grep(TEXT, "(a", regex=True)


def test_a_pattern_that_looks_like_an_expression_and_finds_nothing_is_pointed_out():
    printed = []
    assert names(TEXT, printed).grep(r"\d+") == []
    assert "regex=True" in printed[0]
    assert names(TEXT).grep("nowhere") == []  # nothing to point out: nothing is printed


def test_numbers_are_looked_for_as_text():
    assert grep("a 42\nb", 42) == ["a 42"]


def test_folding_keeps_the_place_of_every_character():
    for point in range(sys.maxunicode + 1):
        if len(search.fold(chr(point))) != 1:
            raise AssertionError(hex(point))
    assert search.fold("ΑΣ ΑΣΑ") == search.fold("ας ασα")


def test_any_case_means_the_same_as_folding_line_by_line():
    rng = random.Random(7)
    for _ in range(3000):
        text, needle = random_text(rng), random_text(rng, letters="aAbßİςσΣKé", longest=4)
        if not needle:
            continue
        expected = [line for line in re.split("\r?\n", text) if search.fold(needle) in search.fold(line)]
        assert grep(text, needle) == expected, (text, needle)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_where_the_slices_end_does_not_matter(size, monkeypatch):
    monkeypatch.setattr(search, "SLICE", size)
    rng = random.Random(size)
    for _ in range(500):
        text, needle = random_text(rng, letters="aAb\n"), random_text(rng, letters="aAb", longest=4)
        if needle:
            expected = [line for line in text.split("\n") if needle.lower() in line.lower()]
            assert grep(text, needle) == expected, (text, needle)
            assert grep(text, [needle, "bb"]) == [
                line for line in text.split("\n") if needle.lower() in line.lower() or "bb" in line.lower()
            ]


def test_line_numbers_offsets_and_windows_hold_for_any_text(monkeypatch):
    monkeypatch.setattr(search, "LONG_LINE", 20)
    monkeypatch.setattr(search, "WINDOW", 3)
    rng = random.Random(3)
    for _ in range(2000):
        text = random_text(rng, letters="abc\n", longest=200)
        for line in grep(text, "b", around=rng.choice([0, 0, 1])):
            assert text[line.start : line.end] == line
            assert text.count("\n", 0, line.start) + 1 == line.number
            assert "b" in line


def test_a_common_pattern_in_one_endless_line_takes_linear_time():
    text = "ab" * 200_000
    assert len(grep(text, "a")) == 200_000


# ---- chunks


def covers(pieces, text, size, overlap):
    at = 0
    for index, piece in enumerate(pieces):
        assert piece == text[piece.start : piece.end]
        assert 0 < len(piece) <= size
        assert piece.start == (at - overlap if index else 0)
        at = piece.end
    assert at == len(text)


def test_pieces_cover_any_text_to_its_end():
    rng = random.Random(1)
    for _ in range(3000):
        text = random_text(rng, letters="ab\n", longest=200)
        size = rng.randrange(1, 50)
        overlap = rng.randrange(size)
        covers(chunks(text, size, overlap), text, size, overlap)


def test_a_piece_ends_with_a_line_where_it_can():
    text = "".join(f"line number {i}\n" for i in range(1000))
    pieces = chunks(text, 500)
    assert all(piece.endswith("\n") for piece in pieces)
    assert "".join(pieces) == text


def test_pieces_of_documents_never_cross_them():
    documents = {"a": "x" * 25, "b": "", "c": "y" * 5}
    pieces = chunks(documents, 10)
    assert [(p.name, p.start, p.end) for p in pieces] == [
        ("a", 0, 10),
        ("a", 10, 20),
        ("a", 20, 25),
        ("c", 0, 5),
    ]


def test_another_text_can_be_cut():
    assert chunks("", 3, text="abcdef") == ["abc", "def"]


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_refused(size):
    with pytest.raises(ValueError, match="at least 1"):
        chunks("abc", size)


@pytest.mark.parametrize("overlap", [-1, 10, 11])
def test_an_overlap_that_does_not_fit_is_refused(overlap):
    with pytest.raises(ValueError, match="overlap must be less than the size"):
        chunks("abc", 10, overlap)


def test_the_text_in_place_of_the_size_is_pointed_out():
    with pytest.raises(TypeError, match="the size comes first"):
        chunks("abc", "abc")
