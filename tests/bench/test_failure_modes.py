"""The three failures that an earlier reproduction reported, each as whole runs by a script: what a model is
given to get them right, and what keeps it from getting them wrong unseen."""

import json
from itertools import pairwise

import pytest

from rlm_bench import report, tasks
from rlm_bench.methods import Outcome, Setting, Settings, perform
from rlm_bench.runner import Job, Models, Spec, perform_one
from rlm_bench.scorers import score
from rlm_bench.summary import abstention
from rlm_core.lms import ScriptedLM
from rlm_core.strategies import DEFAULT


def repl(code: str) -> str:
    return f"```repl\n{code}\n```"


def run(sample, *replies, method="rlm0", sub=None, **settings) -> tuple[Outcome, ScriptedLM]:
    lm = ScriptedLM([repl(reply) if "(" in reply else reply for reply in replies])
    return perform(method, sample, Setting(lm, sub or lm, Settings(strategy=DEFAULT.name, **settings))), lm


def prompt(lm, call=0):
    """All that the model was sent at that call."""
    return "\n".join(message["content"] for message in lm.calls[call])


# ---- the end of the text

niah = tasks.get("niah")
GREP = "found = grep('special magic')\nprint(len(found), found[0].start, found[:1])"
READ = "import re\nSUBMIT(re.search(r'magic numbers for \\S+ is: (\\d+)', found[0])[1])"


@pytest.mark.parametrize("pos", ["tail", 1.0, 0.99, 0.9, 0.1, 0.0])
def test_a_search_finds_the_needle_wherever_it_lies(pos):
    sample = niah.sample(size=300_000, pos=pos)
    outcome, lm = run(sample, GREP, READ)
    assert (outcome.status, outcome.answer) == ("answered", sample.answer)
    line = sample.context.rfind("\n", 0, sample.context.index(sample.meta["needles"][0])) + 1
    assert lm.calls[1][-1]["content"].startswith(f"1 {line} [")  # one hit, and where


def test_a_needle_in_the_very_last_bytes_is_in_the_models_first_sight():
    sample = niah.sample(size=300_000, pos="tail")
    assert sample.context.endswith(sample.meta["needles"][0])
    _, lm = run(sample, "SUBMIT(context[-9:])", "SUBMIT(context[-9:])")
    assert sample.answer in prompt(lm)  # the card shows the tail


CHUNKS = """
pieces = chunks(20_000, overlap=200)
replies = llm_query_batched([f"{piece}\\n\\nQuote the sentence about magic, or say NONE" for piece in pieces])
found = [reply for reply in replies if reply != "NONE"]
print(len(pieces), pieces[-1].end == len(context), found)
"""


@pytest.mark.parametrize("pos", ["tail", 0.99, "cut:20000", "cut:1/5", "cut:9/10"])
def test_pieces_reach_the_end_and_a_cut_never_splits_what_their_overlap_holds(pos):
    sample = niah.sample(size=150_000, pos=pos)
    needle = sample.meta["needles"][0]
    sub = ScriptedLM(lambda messages: needle if needle in messages[-1]["content"] else "NONE")
    outcome, _ = run(sample, CHUNKS, READ, method="rlm1", sub=sub)
    assert (outcome.status, outcome.answer) == ("answered", sample.answer)
    sent = [call[-1]["content"].rpartition("\n\nQuote")[0] for call in sub.calls]
    assert sample.context.startswith(min(sent, key=sample.context.index))
    assert sample.context.endswith(max(sent, key=sample.context.index))
    where = sorted((sample.context.index(piece), len(piece)) for piece in sent)
    assert all(b <= a + size for (a, size), (b, _) in pairwise(where))  # no gap


def test_what_a_print_leaves_out_is_told_and_its_end_is_shown():
    sample = niah.sample(size=100_000, pos="tail")
    outcome, lm = run(sample, "print(context)", "SUBMIT(grep('special magic')[0].rstrip('.').split()[-1])")
    assert outcome.answer == sample.answer
    assert sample.answer in prompt(lm, 1)
    assert "characters" in prompt(lm, 1).rpartition("print(context)")[2]


# ---- structured data

structured = tasks.get("structured")
VARIANTS = [
    {},
    {"pos": 0.99},
    {"needle": "int", "outlier": True},
    {"records": 5_000},
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_card_of_a_thousand_records_names_the_field_that_one_alone_has(variant):
    sample = structured.sample(question="json_seed", **variant)
    outcome, lm = run(sample, RARE, RARE)
    assert outcome.answer is not None
    assert score(sample, outcome.answer).strict == 1.0
    card = prompt(lm)
    assert "magic_number" in card
    assert sample.answer in card  # with its value
    assert "secret" in card


RARE = "SUBMIT(str([record for record in data['records'] if 'magic_number' in record][0]['magic_number']))"


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "xml", "log"])
def test_in_every_form_a_rare_field_is_on_the_card(form):
    sample = structured.sample(question="rare", format=form, size=200_000)
    code = "import re\nSUBMIT(re.search(r'RC-\\d+', context)[0])"
    outcome, lm = run(sample, code, code)
    assert outcome.answer == sample.answer
    assert "recall_code" in prompt(lm)


def test_an_error_after_a_print_is_seen_and_what_was_made_before_it_stays():
    sample = structured.sample(question="json_seed")
    looked = (
        "kept = len(data['records'])\nprint('looking')\nlargest = max(r['value'] for r in data['records'])"
    )
    outcome, lm = run(sample, looked, f"assert kept == 1000\n{RARE}")
    assert outcome.answer == sample.answer
    told = lm.calls[1][-1]["content"]
    assert told.startswith("looking\n")
    assert "KeyError: 'value'" in told


def test_to_take_the_largest_value_is_wrong_and_told_as_such():
    sample = structured.sample(question="json_seed")
    values = [record.get("value", 0) for record in json.loads(sample.context)["records"]]
    assert score(sample, str(max(values))).error_class == "max_of_column"


# ---- not found

unanswerable = tasks.get("unanswerable")
SEARCH = """
words = {words!r}
lines = next((lines for lines in map(grep, words) if lines), [])
print(len(lines), lines[:2])
"""
HONEST = """
import re
if lines:
    SUBMIT(re.search(r"is: (\\d+)", lines[0])[1])
NOT_FOUND("no line holds any of " + ", ".join(words))
"""


EMPTY = {"kind": "empty"}


def twins():
    return [unanswerable.sample(index=index, **EMPTY) for index in (0, 1)]


def words_of(sample):
    key = sample.query.split(" for ")[1].split()[0]
    return [f"magic number for {key}", key]


def test_not_found_says_what_was_searched_and_its_twin_is_answered():
    for sample in twins():
        outcome, lm = run(sample, SEARCH.format(words=words_of(sample)), HONEST)
        assert score(sample, outcome.answer, outcome.status).strict == 1.0
        assert "NOT_FOUND(reason)" in prompt(lm)
        if sample.meta["unanswerable"]:
            assert (outcome.status, outcome.answer) == ("not_found", None)
            assert all(word in outcome.reason for word in words_of(sample))
            assert "grep" in outcome.steps[0]["code"]
        else:
            assert (outcome.status, outcome.answer) == ("answered", sample.answer)


def test_a_question_s_one_side_says_nothing_so_both_are_told_of_twins():
    def made(reply):
        models = Models(ScriptedLM(lambda messages: reply(messages)))
        return [
            perform_one(Job(Spec.of("unanswerable", EMPTY, 0, index), "rlm0"), models, Settings("default"))
            for index in range(6)
        ]

    def searched(messages):
        return len(messages) > 2 and messages[-2]["role"] == "assistant"

    declines = made(lambda m: repl("NOT_FOUND('nothing')") if searched(m) else repl("print(len(context))"))
    invents = made(lambda m: repl("SUBMIT('1234567')") if searched(m) else repl("print(len(context))"))
    always, never = abstention(declines), abstention(invents)
    assert (always.invented.mean, always.declined.mean, always.balanced.mean) == (0.0, 1.0, 0.5)
    assert (never.invented.mean, never.declined.mean, never.balanced.mean) == (1.0, 0.0, 0.5)
    head, (line,) = report.abstentions(declines)
    told = {name: cell.partition(" ")[0] for name, cell in zip(head, line, strict=True)}
    assert told == {
        "method": "rlm0",
        "invented an answer": "0%",
        "said there is none": "100%",
        "in other words than asked for": "0%",
        "declined an answerable twin": "100%",
        "balanced accuracy": "50%",
    }
    assert {row.status for row in declines} == {"not_found"}


def test_an_invented_answer_is_sent_back_once_and_flagged_if_it_comes_again():
    _, sample = twins()
    look = "print(len(grep('special magic')))"
    outcome, lm = run(sample, look, "SUBMIT('42424242')", "SUBMIT('42424242')")
    assert "occurs neither in the inputs" in prompt(lm, 2)
    assert "say that the text does not hold it" in prompt(lm, 2)
    assert outcome.unverified
    assert score(sample, outcome.answer, outcome.status).error_class == "invented"
    honest, _ = run(sample, look, "SUBMIT('42424242')", "NOT_FOUND('looked for special magic')")
    assert (honest.status, honest.unverified) == ("not_found", False)


def test_the_last_call_still_has_the_question_the_contract_and_the_variables():
    _, sample = twins()
    look = "few = grep('special magic')\nprint(len(few))"
    outcome, lm = run(sample, look, "print(1)", "NOT_FOUND('looked for special magic')", iterations=2)
    last = lm.calls[-1]
    assert last[0]["role"] == "system"
    assert sample.query in prompt(lm, -1)
    assert "NOT_FOUND(reason)" in prompt(lm, -1)
    assert "few" in last[-1]["content"]  # the variables that there are
    assert outcome.status == "not_found"
