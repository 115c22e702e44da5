"""The contract: what the model is told of the live run, whatever the strategy says."""

from __future__ import annotations

import pytest

from rlm_core import contract
from rlm_core.contract import FULL, SMALL, Terms, Tool
from rlm_core.limits import Limits
from rlm_core.strategies import BUILT_IN, Example, Step, Strategy
from rlm_core.views import View
from tests.core.stage import a_run

HELPERS = ("grep", "chunks", "SUBMIT", "NOT_FOUND", "llm_query", "llm_query_batched")


def test_it_names_inputs_helpers_tools_and_limits():
    text = contract.render(
        Terms(("report", "notes"), HELPERS, (Tool("weather", "(city)", "Today's weather."),), iterations=7),
        FULL,
    )
    for part in (
        "`report` and `notes`",
        "- grep(",
        "- llm_query(",
        "- weather(city): Today's weather.",
        "7 turns",
    ):
        assert part in text
    assert "rlm_query" not in text


def test_it_shows_the_fields_of_the_submission():
    text = contract.render(Terms(fields=("name", "age"), schema="age: an integer"), FULL)
    assert "SUBMIT(name=..., age=...)" in text
    assert "age: an integer" in text


def test_the_small_wording_teaches_little():
    assert len(contract.render(Terms(helpers=HELPERS), SMALL)) < 1_000


@pytest.mark.parametrize("wording", contract.WORDINGS)
def test_whatever_an_optimizer_writes_the_contract_stays_whole(wording):
    run = a_run(strategy=Strategy("empty", "", wording=wording))
    (system, *_) = View(run.contract, run.strategy, run.card, "Q").messages()
    assert system["content"].startswith(contract.render(run._terms(), contract.WORDINGS[wording]))


@pytest.mark.parametrize("name", BUILT_IN)
def test_worked_examples_are_chat_before_the_task(name):
    run = a_run(strategy=name)
    messages = View(run.contract, run.strategy, run.card, "The question?").messages()
    assert [m["role"] for m in messages[1:]] == ["user", "assistant"] * (len(messages[1:]) // 2) + ["user"]
    assert "The question?" in messages[-1]["content"]


@pytest.mark.parametrize("wording", contract.WORDINGS)
def test_a_worked_example_says_what_code_gave_and_nothing_of_turns_or_limits(wording):
    steps = (Step("", "print(1)", "one"), Step("", "x = 2"), Step("", "SUBMIT(2)"))
    strategy = Strategy("shown", "", (Example("?", "a card", steps),), wording=wording)
    messages = View("", strategy, "card", "Q").messages()
    after = contract.WORDINGS[wording].after
    shown = [after.format(shown=output, query="?", place="") for output in ("one", contract.NO_OUTPUT)]
    assert [messages[at]["content"] for at in (3, 5)] == shown
    assert "[turn" not in str(messages)


def test_without_a_question_the_context_is_said_to_state_the_task():
    assert "context itself states the task" in contract.task("card", "", FULL)


def test_the_default_limits_of_the_run_are_the_ones_told():
    assert "3 turns" in a_run(limits=Limits(iterations=3)).contract
