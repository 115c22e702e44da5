"""What is wrong with upstream's class, one test each: here it is not.  `benchmarks/dspy_fourteen.py` prints
what upstream's does beside it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError

from dspy_rlm import RLM, Limits, RLMError
from dspy_rlm.usage import Meter
from rlm_core.loop import DEFAULT_WINDOW
from tests.dspy.scripted import Script, code


def run(rlm: RLM, lm: Script, **inputs: Any) -> Any:
    with dspy.context(lm=lm):
        return rlm(**inputs)


# 1. one bad step loses the run


@pytest.mark.parametrize(
    "bad", ["", "I do not know.", "[[ ## reasoning ## ]]\nnothing more", '{"reasoning": 1']
)
def test_a_reply_that_cannot_be_read_costs_a_turn_and_not_the_run(bad: str) -> None:
    lm = Script([*code("print(1)"), bad, *code("SUBMIT(context)")])
    prediction = run(RLM("context -> answer"), lm, context="abc")
    assert prediction.answer == "abc"
    assert "no code in this reply" in lm.sent[2][-1]["content"]


def test_bad_replies_without_end_end_it_with_what_there_is() -> None:
    with pytest.raises(RLMError, match="held no code to run") as caught:
        run(RLM("context -> answer"), Script([*code("print(1)"), "hm", "hm", "hm"]), context="abc")
    assert caught.value.partial is not None
    assert caught.value.partial.trajectory[0]["output"] == "1"
    assert isinstance(caught.value, AdapterParseError)  # as upstream's class raises
    assert caught.value.lm_response == "hm"


def test_an_overflow_is_compacted_and_asked_again() -> None:
    full = dspy.ContextWindowExceededError(message="too long")
    lm = Script([*code("print('x' * 900)", "print(2)"), full, *code("SUBMIT(context)")])
    assert run(RLM("context -> answer"), lm, context="abc").answer == "abc"
    assert len(str(lm.sent[3])) < len(str(lm.sent[2]))


def test_a_transport_error_raises_and_carries_what_there_is() -> None:
    lm = Script([*code("print('kept')"), dspy.LMTransportError("connection reset")])
    with pytest.raises(dspy.LMTransportError, match="connection reset") as caught:
        run(RLM("context -> answer"), lm, context="abc")
    partial = caught.value.partial  # type: ignore[attr-defined]
    assert [step["output"] for step in partial.trajectory] == ["kept"]
    assert partial.run.usage.calls == 1


# 2. the default sandbox reads no files, and needs no download


def test_the_sandbox_is_locked_and_starts_without_deno(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    lm = Script(code("open('/etc/passwd')", "import os\nprint(os.environ)", "SUBMIT('done')"))
    prediction = run(RLM("context -> answer"), lm, context="")
    assert prediction.answer == "done"
    assert "hunter2" not in str(prediction.trajectory)
    assert "root:" not in str(prediction.trajectory)


# 3. the context is handed over once, and edits to it stay


def test_edits_to_an_input_stay() -> None:
    lm = Script(code("context = context.upper()\ntable['b'] = 2", "SUBMIT(f'{context} {sorted(table)}')"))
    assert (
        run(RLM("context, table: dict -> answer"), lm, context="abc", table={"a": 1}).answer
        == "ABC ['a', 'b']"
    )


# 4. history is compacted before it overflows


def test_no_prompt_passes_the_window() -> None:
    window = 4_000
    lm = Script([*code(*[f"print('{n} ' * 3000)" for n in range(12)]), *code("SUBMIT('end')")])
    run(RLM("context -> answer", window=window, max_output_chars=8_000), lm, context="")
    sizes = [sum(len(message["content"]) for message in messages) for messages in lm.sent]
    assert max(sizes) < window * 4
    assert all(messages[0]["content"] == lm.system for messages in lm.sent)


# 5. no optimizer deletes the contract


def test_whatever_the_instructions_become_the_contract_stays_whole() -> None:
    rlm = RLM("context, query -> answer")
    before = Script(code("SUBMIT('x')"))
    run(rlm, before, context="", query="q")
    rlm.generate_action.signature = rlm.generate_action.signature.with_instructions("Be swift.")
    after = Script(code("SUBMIT('x')"))
    run(rlm, after, context="", query="q")
    contract = before.system.partition("\n\nLook before you decide")[0]
    assert after.system == f"{contract}\n\nBe swift."
    assert "SUBMIT(answer)" in contract


# 6. traces show whole runs, and `extract` only where it was used


def test_a_run_leaves_its_whole_trajectory_as_one_entry_of_the_trace() -> None:
    rlm = RLM("context, query -> answer")
    trace: list[Any] = []
    with dspy.context(lm=Script(code("print(1)", "print(2)", "SUBMIT('x')")), trace=trace):
        rlm(context="secret " * 5_000, query="q")
    ((predictor, inputs, outputs),) = trace
    assert predictor is rlm.generate_action
    assert [turn["code"] for turn in inputs["repl_history"]] == ["print(1)", "print(2)"]
    assert outputs.code == "SUBMIT('x')"
    assert "secret" not in str(inputs)


# 7 (`aforward` does not block, and its calls overlap) is in test_async.py


# 8. a step that runs over is stopped, and its variables are kept


def test_a_timeout_keeps_the_variables() -> None:
    lm = Script(code("x = 41", "while True: pass", "SUBMIT(x + 1)"))
    prediction = run(RLM("context -> answer: int", limits=Limits(step_seconds=0.3)), lm, context="")
    assert prediction.answer == 42
    assert "TimeoutError" in prediction.trajectory[1]["output"]


# 9. limits for the whole tree, counted once a call is valid


def test_limits_in_tokens_end_a_run_with_what_there_is() -> None:
    lm = Script(code(*["print('x' * 4000)"] * 20))
    prediction = run(RLM("context -> answer", limits=Limits(tokens=5_000)), lm, context="")
    assert (prediction.run.status, prediction.run.reason) == ("limit", "tokens")
    assert prediction.answer is None
    assert prediction.trajectory


def test_a_call_that_is_not_valid_is_not_counted_and_the_limit_can_be_caught() -> None:
    block = """
try:
    llm_query("")
except RuntimeError as error:
    print(error)
try:
    llm_query_batched(["a", "b", "c"])
except RuntimeError as error:
    print("refused", error)
print(llm_query_batched(["a", "b"]))
"""
    lm = Script(code(block, "SUBMIT('went on')"), answers=str.upper)
    prediction = run(RLM("context -> answer", max_llm_calls=2), lm, context="")
    assert prediction.answer == "went on"
    assert "refused" in prediction.trajectory[0]["output"]
    assert "['A', 'B']" in prediction.trajectory[0]["output"]


def test_children_work_to_the_depth_and_share_the_budget() -> None:
    def play(messages: Any) -> str:
        child = "inner text" in messages[1]["content"]
        return code("SUBMIT(context.upper())" if child else "SUBMIT(rlm_query('shout', 'inner text'))")[0]

    lm = Script([play] * 2)
    prediction = run(RLM("context -> answer", limits=Limits(depth=2)), lm, context="outer")
    assert prediction.answer == "INNER TEXT"
    assert {(row.role, row.depth, row.calls) for row in prediction.run.usage.rows} == {
        ("root", 0, 1),
        ("child", 1, 1),
    }


# 10. positional tool calls


@pytest.mark.parametrize("name", ["RestrictedInterpreter", "LocalInterpreter"])
def test_tools_take_positional_arguments(name: str) -> None:
    from dspy.primitives.local_interpreter import LocalInterpreter

    from dspy_rlm import RestrictedInterpreter

    def join(a: str, b: str) -> str:
        return a + b

    factory: Any = LocalInterpreter if name == "LocalInterpreter" else RestrictedInterpreter
    rlm = RLM("context -> answer", tools=[join], interpreter_factory=factory)
    assert (
        run(rlm, Script(code("print(join('a', 'b'))", "SUBMIT(join('a', b='b'))")), context="").answer == "ab"
    )


# 11. batches as wide as the limits say; a model's name for a sub-call


def test_batches_are_as_wide_as_told() -> None:
    flying, peak, lock = 0, 0, threading.Lock()

    def answer(prompt: str) -> str:
        nonlocal flying, peak
        with lock:
            flying += 1
            peak = max(peak, flying)
        time.sleep(0.1)
        with lock:
            flying -= 1
        return prompt

    lm = Script(code("SUBMIT(len(llm_query_batched([str(n) for n in range(40)])))"), answers=answer)
    assert run(RLM("context -> answer: int", limits=Limits(concurrency=20)), lm, context="").answer == 40
    assert peak > 8


def test_a_failed_prompt_of_a_batch_leaves_the_others() -> None:
    def answer(prompt: str) -> str:
        if prompt == "b":
            raise dspy.LMServerError("boom")
        return prompt

    block = "got = llm_query_batched(['a', 'b'])\nSUBMIT(f'{got[0]} {got[1][:7]}')"
    assert (
        run(RLM("context -> answer"), Script(code(block), answers=answer), context="").answer == "a [ERROR]"
    )


# 12. usage by depth and role; sub-calls are known


def test_usage_is_told_by_role_and_depth() -> None:
    lm = Script(code("SUBMIT(llm_query('a' * 400))"), answers="b")
    usage = run(RLM("context -> answer"), lm, context="").run.usage
    assert [(row.role, row.depth, row.calls) for row in usage.rows] == [("root", 0, 1), ("sub", 1, 1)]
    assert usage.of("sub").input == 100


def test_usage_reaches_the_tracker_around_it() -> None:
    with dspy.track_usage() as tracker, Meter("asked") as meter:
        dspy.settings.usage_tracker.add_usage("some/model", {"prompt_tokens": 5, "completion_tokens": 2})
    assert tracker.get_total_tokens()["some/model"]["prompt_tokens"] == 5
    assert meter.completion("text").usage.output == 2


# 13 and 14 (inputs that fail late, `set_lm`, `deepcopy`) are in test_module.py


def test_the_default_window_is_a_cautious_one() -> None:
    assert DEFAULT_WINDOW <= 32_768


def test_the_script_prints_what_both_classes_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import dspy_fourteen
    from dspy_upstream import local, ours

    def both(situation: Any) -> list[tuple[str, str]]:
        return list(zip(situation(local), situation(ours), strict=True))

    assert len(dspy_fourteen.SITUATIONS) == 14
    assert both(dspy_fourteen.positional) == [("join('a', 'b'): failed", "join('a', 'b'): ab")]
    assert both(dspy_fourteen.context)[0] == (
        "after an edit the next step sees the input",
        "after an edit the next step sees the edit",
    )
    assert both(dspy_fourteen.bad_step)[0] == (
        "a reply that cannot be read: raises AdapterParseError, no steps kept",
        "a reply that cannot be read: went on",
    )
