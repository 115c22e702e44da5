"""At home in DSPy: events, streams, parallel runs, evaluation, caching, usage."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from dspy_rlm import RLM, Reference, as_dspy
from rlm_core import ScriptedLM
from rlm_core.events import Event, Started, Stepped, SubCalled
from tests.dspy.scripted import Script, code

BLOCKS = ("x = llm_query('a')", "SUBMIT(x)")


def test_a_callback_gets_every_event() -> None:
    class Listener(dspy.utils.BaseCallback):
        def __init__(self) -> None:
            self.events: list[Event] = []

        def on_rlm_event(self, rlm: RLM, event: Event) -> None:
            self.events.append(event)

    listener = Listener()
    with dspy.context(lm=Script(code(*BLOCKS), answers="b"), callbacks=[listener]):
        RLM("context -> answer")(context="")
    kinds = [type(event) for event in listener.events]
    assert kinds[0] is Started
    assert kinds.count(Stepped) == 2
    assert [event.text for event in listener.events if isinstance(event, SubCalled)] == ["b"]


@pytest.mark.parametrize("is_async", [True, False])
async def test_streamify_streams_the_events_and_the_prediction(is_async: bool) -> None:
    program = dspy.streamify(RLM("context -> answer"), is_async_program=is_async)
    with dspy.context(lm=Script(code(*BLOCKS), answers="b")):
        items = [item async for item in program(context="")]
    assert items[-1].answer == "b"
    assert sum(isinstance(item, Stepped) for item in items) == 2


def test_parallel_runs_and_evaluation() -> None:
    def play(messages: Any) -> str:
        return code("SUBMIT(context.upper())")[0]

    examples = [dspy.Example(context=word, answer=word.upper()).with_inputs("context") for word in "abcdefgh"]
    rlm = RLM("context -> answer")
    with dspy.context(lm=Script([play] * 50)):
        predictions = dspy.Parallel(num_threads=4, disable_progress_bar=True)(
            [(rlm, one) for one in examples]
        )
        assert [prediction.answer for prediction in predictions] == list("ABCDEFGH")
        result = dspy.Evaluate(
            devset=examples, metric=lambda e, p, trace=None: e.answer == p.answer, num_threads=4
        )(rlm)
    assert result.score == 100.0


def test_a_cached_answer_is_not_paid_for_again(tmp_path: Any) -> None:
    core = ScriptedLM(code("SUBMIT('one')", "SUBMIT('two')"))
    lm = as_dspy(core, cache=True)
    lm.kwargs["seed"] = abs(hash(str(tmp_path))) % 1_000_000  # a key of this test's own
    with dspy.context(lm=lm):
        first, second = (RLM("context -> answer")(context="cached?") for _ in range(2))
    assert (first.answer, second.answer) == ("one", "one")
    assert len(core.calls) == 1
    assert (second.run.usage.input, second.run.usage.cost) == (0, 0.0)


def test_the_users_adapter_wins() -> None:
    lm = Script(
        ["[[ ## reasoning ## ]]\nr\n\n[[ ## code ## ]]\nSUBMIT(context)\n\n[[ ## completed ## ]]"] * 2
    )
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        assert RLM("context -> answer")(context="abc").answer == "abc"
    assert "[[ ## variables_info ## ]]" in str(lm.sent[0])
    lm = Script(['{"reasoning": "r", "code": "SUBMIT(context)"}'])
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
        assert RLM("context -> answer")(context="abc").answer == "abc"


class Copied(Script):
    """`dspy.Refine` copies the LM for each attempt."""

    def copy(self, **kwargs: Any) -> Copied:
        return self


def was_good(inputs: Any, prediction: Any) -> float:
    return float(prediction.answer == "good")


def test_a_hint_of_refine_reaches_the_next_attempt() -> None:
    advice = '{"generate_action": "Use grep."}'
    hint = f"[[ ## discussion ## ]]\nd\n\n[[ ## advice ## ]]\n{advice}\n\n[[ ## completed ## ]]"
    better = "[[ ## reasoning ## ]]\nr\n\n[[ ## code ## ]]\nSUBMIT('good')\n\n[[ ## completed ## ]]"
    lm = Copied([*code("SUBMIT('bad')"), hint, better])  # Refine sets an adapter, which reads fields
    refine = dspy.Refine(RLM("context -> answer"), N=2, reward_fn=was_good, threshold=1.0)
    with dspy.context(lm=lm, trace=[]):
        assert refine(context=Reference("secret " * 99)).answer == "good"
    assert "Use grep." in lm.sent[2][-1]["content"]
    assert "SUBMIT(answer)" in lm.sent[2][0]["content"]  # the contract is there too
    assert "secret secret" not in str(lm.sent[1])


def test_best_of_n_takes_the_best() -> None:
    lm = Copied(code("SUBMIT('bad')", "SUBMIT('good')", "SUBMIT('never')"))
    with dspy.context(lm=lm, trace=[]):
        best = dspy.BestOfN(RLM("context -> answer"), N=3, reward_fn=was_good, threshold=1.0)
        assert best(context="").answer == "good"
