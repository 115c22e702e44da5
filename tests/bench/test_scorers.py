from typing import Any

import pytest

from rlm_bench.samples import Sample
from rlm_bench.scorers import SCORERS, Score, pair_rates, score


def of(scorer: str, gold: Any, answer: Any, kind: str = "", status: str = "answered", **meta: Any) -> Score:
    sample = Sample("id", "task", 1, {}, 0, 0, "text", "query", gold, kind, scorer, meta)
    return score(sample, answer, status)


def strict(scorer: str, gold: Any, answer: Any, kind: str = "", **meta: Any) -> float:
    return of(scorer, gold, answer, kind, **meta).strict


def test_every_scorer_has_its_cases_here():
    told = {name for name, *_ in RIGHT} | {name for name, *_ in WRONG}
    assert told == set(SCORERS)


UUID, OTHER = "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-42d3-a456-426614174001"
RIGHT = [
    ("value", "1234567", "The number is 1,234,567.", "number"),
    ("value", "1234567", 1234567, "number"),
    ("value", "1234567", 1234567.0, "number"),
    ("value", UUID, f"It is {UUID.upper()}", "uuid"),
    ("value", "a1B2c3D4e5F6", "`a1B2c3D4e5F6`", "code12"),
    ("value", "velumon", "Velumon.", "word"),
    ("text", "Blue Phoenix", "The code name was: 'Blue Phoenix'", ""),
    ("text", "Amazon", "the Amazon", ""),
    ("text", "json/decoder.py", "It is `json/decoder.py`.", ""),
    ("exact", "a b", " a b\n", ""),
    ("contains", "Red", "surely red, or so", ""),
    ("number", "4.90", "4.9 kg", ""),
    ("number", "1200", "1,200.00", ""),
    ("number", "-3", "-3", ""),
    ("integer", 18, "There are 18 of them", "count"),
    ("integer", 18, "Section 3 has 5, section 4 has 13: 18", "count"),
    ("integer", 18, 18.0, "count"),
    ("set", ["oak", "elm"], "Elm, oak", ""),
    ("set", ["oak", "elm"], ["ELM", "oak"], ""),
    ("set", ["oak", "elm"], {"oak", "elm"}, ""),
    ("set", ["oak", "elm"], "The trees are:\n- oak\n- elm", ""),
    ("set", ["1234567", "7654321"], "7654321 and 1,234,567", "number"),
    ("set", ["ABCDE"], "VAR ABCDE", "variable"),
    ("pairs", [[1, 2], [3, 4]], "(2, 1)\n(3, 4)", ""),
    ("pairs", [[1, 2]], [(2, 1)], ""),
    ("pairs", [[1, 2]], "1, 2", ""),
    ("pairs", [], "there are none", ""),
    ("choice", 2, "2", ""),
    ("choice", 2, "The answer is C.", ""),
    ("oolong", "entity", "Label: entity", "label"),
    ("oolong", "human being", "The label is\nLabel: **human being**", "label"),
    ("oolong", "more common than", "Answer: entity is [more common than] location", "comparison"),
    ("oolong", 17, "Answer: 17", "count"),
    ("oolong", 48213, "User: [48213]", "user"),
    ("oolong", "01/05/2024", "Date: 2024-01-05", "date"),
    ("oolong", "01/05/2024", "Date: January 5, 2024", "date"),
    ("abstain", None, "NOT_FOUND", ""),
    ("abstain", None, "NOT_FOUND: the text has no key of that name", ""),
]
WRONG = [
    ("value", "1234567", "1234567 or 7654321", "number"),  # one of two is no answer
    ("value", "1234567", "12345678", "number"),
    ("value", "1234567", "0.1234567", "number"),
    ("value", UUID, OTHER, "uuid"),
    ("value", "velumon", "velumons", "word"),
    ("text", "Blue Phoenix", "Blue", ""),
    ("text", "Blue Phoenix", "Not Blue Phoenix but Red Heron", ""),
    ("exact", "a b", "a  b", ""),
    ("contains", "red", "blue", ""),
    ("number", "4.90", "4.91", ""),
    ("number", "7", "7 of 8", ""),
    ("integer", 18, "17", "count"),
    ("integer", 18, "18.5", "count"),
    ("integer", 18, "18 at first, but then 19", "count"),
    ("integer", 18, "eighteen", "count"),
    ("set", ["oak", "elm"], "oak", ""),
    ("set", ["oak", "elm"], "oak, elm, fir", ""),
    ("pairs", [[1, 2]], "(1, 2), (1, 3)", ""),
    ("pairs", [[1, 2]], "(1, 2), (2, 2)", ""),  # a user is no pair with itself
    ("pairs", [], "(1, 2)", ""),
    ("choice", 2, "0, 1, 2 or 3", ""),
    ("choice", 2, "1", ""),
    ("oolong", "entity", "Label: location", "label"),
    ("oolong", "more common than", "Answer: entity is less common than location", "comparison"),
    ("oolong", 17, "Answer: 18", "count"),
    ("oolong", "01/05/2024", "Date: 05/01/2024", "date"),
    ("abstain", None, "42", ""),
    ("abstain", None, "", ""),
    ("abstain", None, "The text does not mention it.", ""),  # it was told which word to say
]


@pytest.mark.parametrize(("scorer", "gold", "answer", "kind"), RIGHT)
def test_right_however_it_is_said(scorer, gold, answer, kind):
    assert strict(scorer, gold, answer, kind) == 1.0


@pytest.mark.parametrize(("scorer", "gold", "answer", "kind"), WRONG)
def test_wrong_however_near(scorer, gold, answer, kind):
    assert strict(scorer, gold, answer, kind) == 0.0


def test_compat_is_the_substring_rule_of_earlier_work():
    assert of("value", "1234567", "1234567 or 7654321", "number").compat == 1.0
    assert of("number", "7", "7 of 8").compat == 1.0
    assert of("integer", 18, "18 at first, but then 19", "count").compat == 1.0
    assert of("integer", 18, "not 18", "count").compat == 1.0
    assert of("set", ["red", "blue"], "red and green").compat == 0.5
    assert of("choice", 2, "not 1 but 2").compat == 1.0
    for said, compat in (
        ("Label: entity.", 0.0),
        ("It is most surely entity", 1.0),
        ("an: entity", 1.0),
    ):  # OOLONG's
        assert of("oolong", "entity", said, "label").compat == compat


def test_counts_have_oolongs_partial_credit():
    assert [of("oolong", 17, f"Answer: {said}", "count").partial for said in (17, 18, 15, 19)] == [
        1.0,
        0.75,
        0.75**2,
        0.75**2,
    ]
    assert of("oolong", 17, "Answer: many", "count").partial == 0.0
    assert of("oolong", 17, f"Answer: {10**11}", "count").partial == pytest.approx(0.0)
    assert [of("integer", 18, said, "count").partial for said in ("18", "20", "none at all")] == [
        1.0,
        0.75**2,
        0.0,
    ]


def test_sets_and_pairs_have_f1():
    told = of("set", ["oak", "elm", "fir", "yew"], "oak, elm, ash")
    assert told.partial == pytest.approx(2 * 2 / (3 + 4))
    assert (told.strict, told.error_class) == (0.0, "wrong")
    assert of("set", ["oak", "elm"], "oak").error_class == "missing"
    assert of("set", ["oak"], "oak, elm").error_class == "extra"
    assert of("pairs", [[1, 2], [3, 4]], "(1, 2)").partial == pytest.approx(2 / 3)
    assert of("set", ["oak"], "").partial == 0.0


@pytest.mark.parametrize(
    "answer", [[[float("inf"), 1]], "[[Infinity, 1]]", "[[1e999, 2]]", [[1.9, 2], [3, 4]]]
)
def test_what_is_no_whole_number_is_in_no_pair(answer):
    assert strict("pairs", [(1, 2), (3, 4)], answer) == 0


def test_a_value_before_the_word_is_an_answer():
    told = {"decoys": {"4310064": "near_key"}, "unanswerable": True}
    assert of("abstain", None, "The number is 4310064, NOT_FOUND", **told).error_class == "near_key"
    assert of("abstain", None, "It is 4310064: not_found", **told).error_class == "near_key"
    assert of("abstain", None, "NOT_FOUND: only 4310064, of another key", **told).strict == 1
    assert of("abstain", None, "not_found: only 4310064, of another key", **told).strict == 1


def test_naming_all_pairs_has_no_lift():
    everyone = [(1, 2), (1, 3), (2, 3)]
    assert pair_rates([(1, 2)], 3, everyone) == {"precision": 1 / 3, "recall": 1.0, "f1": 0.5, "lift": 1.0}
    assert pair_rates([(1, 2)], 3, [(1, 2)])["lift"] == 2.0
    assert pair_rates([(1, 2)], 3, "(1, 2)")["f1"] == 1.0
    assert pair_rates([(1, 2)], 3, [])["recall"] == 0.0


def test_to_say_that_nothing_is_there_is_right_only_where_nothing_is():
    assert of("abstain", None, None, status="not_found") == Score(1.0, 1.0, None, "none")
    assert of("value", "1234567", None, "number", status="not_found").error_class == "not_found"
    for said in ("NOT_FOUND", "not found", "NOT_FOUND: no such key"):
        assert of("value", "1234567", said, "number").error_class == "not_found"
    assert of("abstain", None, "1234567").error_class == "invented"
    assert of("abstain", None, "1234567", decoys={"1234567": "near_key"}).error_class == "near_key"
    assert of("abstain", None, "").error_class == "empty"


@pytest.mark.parametrize(
    "said",
    [
        "The text does not mention it.",
        "It isn't specified in the document.",
        "I could not find it.",
        "There is no information on that.",
        "Unknown",
        "N/A",
    ],
)
def test_where_no_word_was_told_any_way_to_say_so_is_right(said):
    assert strict("abstain", None, said, told=False) == 1.0
    assert of("abstain", None, said, told=True).compat == 1.0
    assert strict("abstain", None, "It is 42, which the text says.", told=False) == 0.0


TWINS = [  # told the word or not, the answer to both, and how each ends
    (True, "NOT_FOUND", "none", "not_found"),
    (True, "The text does not mention it.", "declined", "declined"),
    (False, "The text does not mention it.", "none", "declined"),
    (False, "It isn't specified in the document, I'm afraid.", "none", "declined"),
    (False, "NOT_FOUND", "none", "not_found"),
    (False, {"answer": "unknown"}, "none", "declined"),
    (False, "The text does not say, but it is Sydney.", "invented", "wrong"),
    (False, "Canberra", "invented", "none"),
    (False, "The text does not say, but it is Canberra.", "invented", "extra"),
    (True, "Sydney", "invented", "wrong"),
    (True, "", "empty", "empty"),
]


@pytest.mark.parametrize(("told", "said", "absent", "present"), TWINS)
def test_to_decline_always_is_told_on_both_twins(told, said, absent, present):
    """So that nobody has all points for the one and none taken for the other."""
    meta = {"told": told, "value": "Canberra"}
    one, twin = of("abstain", None, said, **meta), of("value", "Canberra", said, "text", **meta)
    assert (one.error_class, twin.error_class) == (absent, present)
    assert one.strict == (absent == "none")
    assert twin.strict == (present == "none")


def test_a_wrong_answer_is_told_by_its_decoy():
    decoys = {"7654321": "stale", "Rex": "premise"}
    assert of("value", "1234567", "7654321", "number", decoys=decoys).error_class == "stale"
    assert of("text", "Tom", "the dog Rex", decoys=decoys).error_class == "premise"
    assert of("text", "Tom", "T-Rexes", decoys=decoys).error_class == "wrong"


@pytest.mark.parametrize("nothing", ["", None, "   ", "<think>42</think>", "<think>never ended"])
def test_no_answer_is_empty_and_thinking_is_none(nothing):
    for scorer, gold, kind in (("value", "42", "number"), ("text", "42", ""), ("integer", 42, "count")):
        told = of(scorer, gold, nothing, kind)
        assert (told.strict, told.error_class) == (0.0, "empty")
    assert strict("integer", 42, "<think>it was 43, no 41</think>42", "count") == 1.0


def test_a_lone_field_is_its_value_and_aliases_are_right_too():
    assert strict("text", "red", {"answer": "red"}) == 1.0
    assert strict("text", "red", "crimson", aliases=["crimson"]) == 1.0
    assert strict("value", "1234567", {"number": 1234567}, "number") == 1.0
