"""The action step's own adapter: plain messages and fenced code, and the forms that DSPy's adapters use."""

from __future__ import annotations

import dspy
import pytest

from dspy_rlm import RLM
from dspy_rlm.adapter import demo_of, example, kinds
from rlm_core import ScriptedLM
from rlm_core.rlm import RLM as CoreRLM
from rlm_core.strategies import DEFAULT, Strategy
from rlm_core.views import Turn, View
from tests.dspy.scripted import Script, code

CHAT = "[[ ## reasoning ## ]]\nI answer.\n\n[[ ## code ## ]]\n{}\n\n[[ ## completed ## ]]"


@pytest.mark.parametrize(
    "reply",
    [
        "I answer.\n```repl\nSUBMIT(context)\n```",
        "I answer.\n```python\nSUBMIT(context)\n```",
        CHAT.format("SUBMIT(context)"),
        CHAT.format("```python\nSUBMIT(context)\n```"),
        '{"reasoning": "I answer.", "code": "SUBMIT(context)"}',
        '```json\n{"reasoning": "I answer.", "code": "```repl\\nSUBMIT(context)\\n```"}\n```',
    ],
)
def test_replies_in_every_form_are_read(reply: str) -> None:
    with dspy.context(lm=Script([reply])):
        prediction = RLM("context -> answer")(context="abc")
    assert prediction.answer == "abc"
    assert prediction.trajectory[0]["reasoning"] == "I answer."
    assert prediction.trajectory[0]["code"] == "SUBMIT(context)"


def test_it_sends_what_the_core_sends() -> None:
    replies = ["I look.\n```repl\nprint(context[:5])\n```", "no code", "```repl\nSUBMIT(context[:3])\n```"]
    core, lm = ScriptedLM(list(replies), window=32_768), Script(list(replies))
    CoreRLM(core, strategy="default").completion("abcdef", "Which letters?")
    with dspy.context(lm=lm):
        program = RLM("context, query -> answer", max_llm_calls=200, max_output_chars=20_000)
        program(context="abcdef", query="Which letters?")
    sent = [[dict(message) for message in messages] for messages in core.calls]
    assert [message["content"] for message in sent[-1][1:]] == [m["content"] for m in lm.sent[-1][1:]]
    assert len(lm.sent) == 3


def test_no_markers_and_no_second_call_on_a_bad_reply() -> None:
    lm = Script(["what?", *code("SUBMIT(context)")])
    with dspy.context(lm=lm):
        RLM("context -> answer")(context="abc")
    assert len(lm.sent) == 2  # no fallback to another adapter
    assert "[[ ##" not in str(lm.sent)
    assert [message["role"] for message in lm.sent[1]] == ["system", "user", "assistant", "user"]


def test_a_demo_keeps_the_kinds_of_all_inputs_and_cuts_long_outputs() -> None:
    cards = "`first`: str of 9 characters\nall of it: 'secret 1!'", "`second`: list of 3\nshape:\n  [i]: int"
    card = "\n\n".join(cards)
    turns = (Turn("I look.", "print(first)", "x" * 9_000, "", "shown"),)
    made = example(demo_of(View("contract", DEFAULT, card, "q", turns), "So.", "SUBMIT(1)"))
    assert made.card == "`first`: str of 9 characters\n\n`second`: list of 3"
    assert "7,000 characters left out" in made.steps[0].output
    assert len(made.steps[0].output) < 2_100
    assert made.steps[1].code == "SUBMIT(1)"


def test_a_card_of_a_hand_made_example_stays_as_it_is() -> None:
    assert kinds("context: a letter\nof two lines") == "context: a letter\nof two lines"
    strategy = Strategy(
        "mine", "", (example({"query": "q", "card": "`a`: b\nmore", "reasoning": "", "code": "x"}),)
    )
    assert RLM("context, query -> answer", strategy=strategy).current_strategy().examples == strategy.examples
