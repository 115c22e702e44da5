import json

import pytest

from rlm_bench.questions import reference, samples
from rlm_bench.scorers import score


def written(tmp_path, *rows):
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


def read(file):
    return samples(reference(file))


def test_each_line_is_a_question_with_a_scorer_that_fits_its_answer(tmp_path):
    (tmp_path / "book.txt").write_text("Call me Ishmael.")
    made = read(
        written(
            tmp_path,
            {"context": "a text", "query": "Which?", "answer": "Ishmael", "aliases": ["the sailor"]},
            "",
            {"path": "book.txt", "query": "How many?", "answer": 3},
            {"context": ["a", "b"], "query": "List them.", "answer": ["x", "y"]},
            {"context": {"a": 1}, "query": "Where?", "answer": None},
        )
    )
    assert [sample.scorer for sample in made] == ["text", "number", "set", "abstain"]
    assert [sample.chars for sample in made] == [6, 16, 3, 3]
    assert len({sample.id for sample in made}) == 4
    rights = ("It is the sailor", "3 of them", "y, x", "The text does not say.")
    assert [score(sample, right).strict for sample, right in zip(made, rights, strict=True)] == [
        1,
        1,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{,}", "column 2: Expecting property name"),
        ([], "must be an object"),
        ({"query": "q", "answer": "a"}, "needs either context or path"),
        ({"context": "c", "answer": "a"}, "needs a query"),
        ({"context": "c", "query": "q"}, "needs an answer"),
        (
            {"context": "c", "query": "q", "answer": "a", "scorer": "magic"},
            "no scorer 'magic': the scorers are value",
        ),
        ({"context": "c", "query": "q", "answer": "a", "colour": 1}, "unknown field colour"),
        ({"context": "c", "query": "q", "answer": "a", "scorer": "set"}, "does not fit"),
        ({"path": "none.txt", "query": "q", "answer": "a"}, "no file"),
        ({"path": "latin-1.txt", "query": "q", "answer": "a"}, "latin-1.txt: is no UTF-8 text, at byte 3"),
        ({"context": "c", "query": "q", "answer": "a", "scorer": ["text"]}, r"no scorer \['text'\]"),
        ({"context": "c", "query": "q", "answer": "Ada", "aliases": "A"}, "aliases must be a list of texts"),
        ({"context": "c", "query": "q", "answer": "Ada", "aliases": None}, "aliases must be a list of texts"),
        ({"context": "c", "query": "q", "answer": 3, "aliases": ["three"]}, "not for number: leave them out"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused_with_its_number(tmp_path, row, told):
    (tmp_path / "latin-1.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(ValueError, match=f"line 1[:,] .*{told}"):
        read(written(tmp_path, row))


def test_a_byte_order_mark_is_no_part_of_the_first_line_and_what_is_no_utf_8_is_said(tmp_path):
    file = tmp_path / "own.jsonl"
    text = '{"context": "café", "query": "q", "answer": "a"}'
    file.write_bytes(text.encode("utf-8-sig"))
    assert [sample.context for sample in read(file)] == ["café"]
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"own\.jsonl: is no UTF-8 text, at byte 16"):
        read(file)


@pytest.mark.parametrize("answer", ["B", 1, "1"])
def test_a_choice_may_be_given_as_a_letter_or_a_number(tmp_path, answer):
    (made,) = read(
        written(tmp_path, {"context": "c", "query": "Which?", "answer": answer, "scorer": "choice"})
    )
    assert [score(made, given).strict for given in ("B", "1", "B) the second", "A", "C", "2")] == [
        1,
        1,
        1,
        0,
        0,
        0,
    ]


def test_what_gen_says_beside_is_read_where_scores_go_by_it(tmp_path):
    line = {"context": "Ann has 7, Bob 8.", "query": "What has Ann?", "answer": "7", "scorer": "value"}
    line |= {"answer_type": "number", "id": "niah-1", "context_sha256": ""}
    decoyed, other = read(
        written(
            tmp_path, {**line, "meta": {"decoys": {"8": "near_key"}}}, {**line, "meta": {"decoys": ["8"]}}
        )
    )
    assert score(decoyed, "8").error_class == "near_key"
    assert score(other, "8").error_class == "wrong"


def test_an_empty_or_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no question"):
        read(written(tmp_path, ""))
    with pytest.raises(ValueError, match="cannot be read"):
        read(tmp_path / "none.jsonl")


def test_a_list_whose_items_no_text_can_say_apart_is_refused(tmp_path):
    (fine,) = read(
        written(tmp_path, {"context": "c", "query": "q", "answer": ["Trinidad and Tobago", "Smith, John"]})
    )
    for right in ("Smith, John, Trinidad and Tobago", "Trinidad and Tobago and Smith, John", fine.answer):
        assert score(fine, right).strict == 1.0
    for wrong in ("Trinidad, Tobago, Smith, John", "Trinidad and Tobago, John Smith", "Trinidad and Tobago"):
        assert score(fine, wrong).strict == 0.0
    for never in (["oak", "..."], ["none"], ["", "oak"]):
        with pytest.raises(
            ValueError, match=r"question 1: by the scorer set, its own answer .* is not right"
        ):
            read(written(tmp_path, {"context": "c", "query": "q", "answer": never}))
