"""The strategy's rules, played without a model, a process or a clock."""

from __future__ import annotations

from itertools import count, pairwise

import pytest

from rlm_core.events import Asking, Ended, Noted, Replied, Started, Stepped
from rlm_core.limits import Limits
from rlm_core.requests import Ask, Failed
from rlm_core.sandbox.protocol import Done, HostCall, LMError, Submission
from tests.core.stage import llm_query, llm_query_batched, printed, repl, stage, submitted


def test_a_run_looks_with_code_and_submits_from_code():
    play = stage(
        ["Let me look.\n" + repl("print(grep('magic'))"), repl("SUBMIT(found)")],
        {
            "print(grep('magic'))": printed("['The magic number is 4711.']\n"),
            "SUBMIT(found)": submitted("4711"),
        },
    )
    result = play.play()
    assert (result.answer, result.status, result.unverified) == ("4711", "answered", False)
    assert [turn.code for turn in result.trajectory] == ["print(grep('magic'))", "SUBMIT(found)"]
    assert [type(event) for event in play.events] == [
        Started, Asking, Replied, Stepped, Asking, Replied, Stepped, Ended,
    ]  # fmt: skip


def test_the_root_lm_never_sees_the_context_but_its_card():
    text = "head " + "x" * 30_000 + " SECRET " + "y" * 70_000 + " tail"
    play = stage([repl("SUBMIT(a)")], {"SUBMIT(a)": submitted("a")}, context=text)
    play.play()
    prompt = "".join(message["content"] for message in play.views[0].messages())
    assert "100,0" in prompt
    assert len(prompt) < 12_000
    assert "SECRET" not in prompt


def test_the_message_list_only_grows():
    play = stage([repl("a"), repl("b"), repl("c")], {"c": submitted("1")})
    play.play()
    first, second, third = (view.messages() for view in play.views)
    assert second[: len(first)] == first
    assert third[: len(second)] == second


def test_a_reply_without_code_is_told_what_to_write_and_several_in_a_row_end_the_run():
    play = stage(["I think so.", "", "Surely."], limits=Limits(errors=3))
    result = play.play()
    assert "```repl" in play.told[0]
    assert (result.status, result.answer) == ("error", None)
    assert "3 replies in a row" in result.reason
    assert len(result.trajectory) == 3


def test_code_between_bad_replies_starts_the_count_anew():
    play = stage(
        ["hm", "hm", repl("context"), "hm", "hm", repl("SUBMIT(x)")], {"SUBMIT(x)": submitted("4711")}
    )
    assert play.play().status == "answered"


def test_output_and_error_are_both_shown():
    play = stage(
        [repl("context; boom"), repl("SUBMIT(x)")],
        {"context; boom": Done("before\n", "NameError: boom"), "SUBMIT(x)": submitted("4711")},
    )
    play.play()
    assert "before\nNameError: boom" in play.told[0]


def test_a_typed_answer_is_held_back_until_its_own_output_was_read():
    cell = "print(grep('magic'))\nSUBMIT('42')"
    play = stage(
        [repl(cell), repl("SUBMIT(x)")],
        {
            cell: submitted("42", literal=True, output="['The magic number is 4711.']"),
            "SUBMIT(x)": submitted("4711"),
        },
    )
    assert play.play().answer == "4711"
    assert "['The magic number is 4711.']" in play.told[0]
    assert "Read the output above" in play.told[0]


def test_a_computed_answer_counts_although_the_block_printed():
    cell = "print(len(hits)); SUBMIT(len(hits))  # context"
    play = stage([repl(cell)], {cell: submitted(3, output="3")})
    assert play.play().answer == 3


def test_an_invented_answer_is_pushed_back_once_and_then_flagged():
    cell = "context; SUBMIT('99999')"
    play = stage([repl(cell), repl(cell)], {cell: submitted("99999", literal=True)})
    result = play.play()
    assert (result.answer, result.status, result.unverified) == ("99999", "answered", True)
    assert "'99999' occurs neither in the inputs" in play.told[0]
    assert len([event for event in play.events if isinstance(event, Noted)]) == 1


@pytest.mark.parametrize(
    ("answer", "cells"),
    [
        ("4711", []),  # stands in the text
        ("17", [printed("17 hits")]),  # was printed
        ("number", []),  # in the question
    ],
)
def test_an_answer_that_stands_somewhere_is_not_pushed_back(answer, cells):
    play = stage(
        [*(repl("context") for _ in cells), repl("SUBMIT(...)  # context")],
        {"context": cells[0] if cells else None, "SUBMIT(...)  # context": submitted(answer, literal=True)},
    )
    result = play.play()
    assert (result.answer, result.unverified) == (answer, False)
    assert len(result.trajectory) == 1 + len(cells)


def test_a_text_level_final_before_any_code_is_sent_to_look_first():
    play = stage(["FINAL(4711)", repl("context"), "FINAL(4711)"], strategy="small")
    result = play.play()
    assert "No code has looked" in play.told[0]
    assert (result.answer, result.status) == ("4711", "answered")


def test_an_answer_before_any_code_is_flagged_although_it_stands_in_the_text():
    result = stage(["FINAL(4711)", "FINAL(4711)"], strategy="small").play()
    assert (result.answer, result.status, result.unverified) == ("4711", "answered", True)


def test_none_is_no_answer():
    play = stage(
        [repl("context; SUBMIT(x)"), repl("SUBMIT(y)")],
        {"context; SUBMIT(x)": submitted(None), "SUBMIT(y)": submitted("4711")},
    )
    assert play.play().answer == "4711"
    assert "it is None (NOT_FOUND is for what the text does not hold)" in play.told[0]


def test_nothing_but_none_ends_at_the_limit_without_an_answer():
    cells = {"context": submitted(None)}
    result = stage([repl("context")] * 3, cells, limits=Limits(iterations=2)).play()
    assert (result.answer, result.status) == (None, "limit")
    assert "it is None" in result.reason


def test_a_text_level_final_may_name_a_variable():
    play = stage(
        [repl("n = context"), "FINAL(n)"],
        {"n = context": Done("", variables={"n": "int"}), "FINAL_VAR('n')": submitted(12)},
    )
    assert play.play().answer == 12


def test_not_found_is_a_status_of_its_own():
    said = Done("", submitted=Submission("not_found", {"reason": "no such name"}))
    result = stage([repl("NOT_FOUND('no such name')")], {"NOT_FOUND('no such name')": said}).play()
    assert (result.status, result.answer, result.reason) == ("not_found", None, "no such name")


def test_a_text_level_not_found_counts_too():
    result = stage([repl("grep('x')"), "FINAL(NOT_FOUND)"], strategy="small").play()
    assert result.status == "not_found"


def test_not_found_after_nothing_but_code_that_failed_is_pushed_back():
    failed = Done("", "SyntaxError: unmatched ')'")
    play = stage(
        [repl("grep('x'))"), "NOT_FOUND", repl("grep('x')"), "NOT_FOUND"],
        {"grep('x'))": failed},
        strategy="small",
    )
    result = play.play()
    assert (result.status, len(result.trajectory)) == ("not_found", 4)
    assert "No code has looked into the text yet" in play.told[1]


NUMBERS = count()


@pytest.mark.parametrize(
    ("cell", "turns"),
    [
        (printed("[]\n"), 7),  # once, five times the same, and a last answer
        ([llm_query("again"), printed("[]\n")], 21),  # a model may say something else
        (
            lambda _: printed("[]\n", variables={"n": "int"}, fingerprints={"n": next(NUMBERS)}),
            21,
        ),  # it counts
        (printed("[]\n", variables={"it": "list_iterator"}), 21),  # what is not known may go on
        (printed("[]\n", variables={"n": "int"}, fingerprints={"n": 1}), 7),
    ],
)
def test_code_that_changes_nothing_any_more_ends_the_run(cell, turns):
    def replies(view):
        return "FINAL(4711)" if view.closing else repl("grep('x')")

    result = stage(replies, {"grep('x')": cell}, strategy="small", limits=Limits(cost=None)).play()
    assert (result.status, result.answer, len(result.trajectory)) == ("limit", "4711", turns)
    assert result.reason.startswith("errors: the same code" if turns < 20 else "iterations")


def test_not_found_counts_only_where_code_has_looked():
    play = stage(["FINAL(NOT_FOUND)"] * 3, strategy="small")
    result = play.play()
    assert (result.status, result.reason) == ("error", "3 replies in a row held no code to run")
    assert all("No code has looked" in told for told in play.told)


def test_a_bare_value_said_twice_is_an_answer_where_it_stands_in_what_was_searched():
    found = {"grep('code')": Done("['the code is 4711']\n", None)}
    result = stage([repl("grep('code')"), "4711", "4711"], found, strategy="small").play()
    assert (result.status, result.answer, result.unverified) == ("answered", "4711", False)
    look = repl("grep('code')")
    unlike = ["0815", "", "...", "<think>hm</think>", "What is the magic number?"]
    for replies in (["4711"] * 3, [look, "4711", "47", "11"], *([look, said, said, said] for said in unlike)):
        result = stage(replies, found, strategy="small").play()
        assert (result.status, result.reason) == ("error", "3 replies in a row held no code to run"), replies


def test_a_final_after_prose_is_no_reply_without_code():
    look, final = repl("grep('code')"), "FINAL(Bob Cat)"
    result = stage([look, "I think so.", "Surely it is.", final, final], strategy="small").play()
    assert (result.status, result.answer, result.unverified) == ("answered", "Bob Cat", True)


def test_a_profile_that_teaches_no_data_is_told_of_none():
    for name, told in (("small", False), ("default", True)):
        play = stage([repl("SUBMIT(1)")], {"SUBMIT(1)": submitted(1)}, context='{"a": [1, 2]}', strategy=name)
        play.play()
        assert ("`data`" in play.views[0].card) is told


def test_a_submission_that_does_not_fit_is_told_why_and_asked_again():
    def check(values):
        if not isinstance(values["answer"], int):
            raise ValueError("answer must be an integer, not 'four'")
        return values

    play = stage(
        [repl("SUBMIT(a)"), repl("SUBMIT(b)")],
        {"SUBMIT(a)": submitted("four"), "SUBMIT(b)": submitted(4)},
        check=check,
    )
    assert play.play().answer == 4
    assert "must be an integer" in play.told[0]


def test_a_partial_answer_that_does_not_fit_is_said_not_to():
    def check(values):
        raise ValueError("answer must be an integer")

    play = stage(
        [repl("SUBMIT(a)")], {"SUBMIT(a)": submitted("four")}, check=check, limits=Limits(iterations=1)
    )
    play.replies.append("no idea")
    result = play.play()
    assert (result.status, result.answer) == ("limit", "no idea")
    assert result.limit == "iterations"
    assert result.reason == "iterations; the answer does not fit: answer must be an integer"


def test_at_the_iteration_limit_one_last_answer_is_asked_for():
    play = stage(
        [repl("context"), repl("SUBMIT(best)")],
        {"context": Done("", variables={"best": "str, 4 characters"}), "SUBMIT(best)": submitted("4711")},
        limits=Limits(iterations=1),
    )
    result = play.play()
    assert (result.status, result.reason, result.answer) == ("limit", "iterations", "4711")
    last = play.views[-1].messages()
    assert "best (str, 4 characters)" in last[-1]["content"]
    assert "What is the magic number?" in last[1]["content"]
    assert play.views[-1].contract == play.views[0].contract


def test_without_iterations_the_last_answer_is_asked_for_at_once():
    play = stage([repl("SUBMIT(x)")], {"SUBMIT(x)": submitted("4711")}, limits=Limits(iterations=0))
    result = play.play()
    assert (result.status, result.reason, result.answer) == ("limit", "iterations", "4711")
    assert "This is the last turn." in play.views[0].messages()[-1]["content"]


def test_the_last_turn_accepts_a_typed_answer_although_it_printed():
    cell = "print(context)\nSUBMIT('4711')"
    result = stage([repl(cell)], {cell: submitted("4711", True, "out")}, limits=Limits(iterations=1)).play()
    assert (result.status, result.answer) == ("answered", "4711")


def test_the_last_ask_may_be_answered_in_plain_words():
    result = stage([repl("context"), "It is 4711."], limits=Limits(iterations=1)).play()
    assert (result.status, result.answer) == ("limit", "It is 4711.")


def test_an_lm_failure_ends_the_run_with_its_trajectory():
    result = stage([repl("context"), Failed("the server is down")]).play()
    assert (result.status, result.reason) == ("error", "the server is down")
    assert len(result.trajectory) == 1


def test_an_overflow_compacts_the_history_and_asks_again():
    long = printed("z" * 3_000)
    play = stage(
        [repl("context"), repl("more"), Failed("too long", "overflow"), repl("SUBMIT(x)")],
        {"context": long, "more": long, "SUBMIT(x)": submitted("4711")},
        window=8_000,
    )
    assert play.play().status == "answered"
    before, after = (sum(len(m["content"]) for m in view.messages()) for view in play.views[-2:])
    assert after < before - 2_000
    assert len(play.run.history.turns[0].shown) > 3_000  # the trajectory itself keeps everything


def test_a_reply_that_broke_off_is_asked_for_once_more():
    broken = Failed("it broke its reply off", "broken_off")
    play = stage([repl("context"), broken, repl("SUBMIT(x)")], {"SUBMIT(x)": submitted("4711")})
    assert play.play().status == "answered"
    play = stage([repl("context"), broken, broken, repl("SUBMIT(x)")])
    assert (play.play().status, play.run.result("error").answer) == ("error", None)


def test_history_is_compacted_before_it_fills_the_window_and_keeps_task_and_contract():
    cells = {f"context[{i}]": printed("z" * 4_000) for i in range(30)} | {"SUBMIT(x)": submitted("4711")}
    limits = Limits(iterations=40, cost=None)
    play = stage([repl(code) for code in cells], cells, window=16_000, limits=limits)
    assert play.play().status == "answered"
    prompts = [view.messages() for view in play.views]
    assert max(sum(len(message["content"]) for message in prompt) for prompt in prompts) < 16_000 * 4 * 0.9
    assert prompts[-1][:2] == prompts[0][:2]
    grown = [later[: len(prompt)] == prompt for prompt, later in pairwise(prompts)]
    assert grown.count(False) <= 4  # rarely: providers cache prefixes


def test_the_same_code_with_the_same_output_is_told_so():
    play = stage([repl("context"), repl("context"), repl("SUBMIT(x)")], {"SUBMIT(x)": submitted("4711")})
    play.play()
    assert "same code gave the same output" in play.told[1]


def test_code_that_fails_as_before_ends_the_run_with_one_last_answer():
    failed = Done("", '  File "<cell 1>", line 1\nNameError: boom')
    codes = ["boom", "boom", "other", "boom", "boom", "boom"]
    play = stage([*map(repl, codes), "no idea"], {"boom": failed}, limits=Limits(errors=2))
    result = play.play()
    assert (result.status, result.answer, len(result.trajectory)) == ("limit", "no idea", len(codes) + 1)
    assert result.limit == "errors"
    assert result.reason == "errors: the same code failed as before"


def test_code_that_never_touches_the_input_is_told_so():
    play = stage(
        [repl("print(1)"), repl("SUBMIT(x)")], {"print(1)": printed("1"), "SUBMIT(x)": submitted("4711")}
    )
    play.play()
    assert "No code has looked into `context`" in play.told[0]


# ---- sub-calls ----


@pytest.mark.parametrize(
    "call",
    [
        HostCall("llm_query"),
        HostCall("llm_query", ([["deep"]],)),
        HostCall("llm_query_batched", ("text",), {"model": 3}),
        HostCall("llm_query_batched", ([1, None],)),
        HostCall("rlm_query"),
        HostCall("rlm_query_batched", ([3],)),
        HostCall("rlm_query_batched", ([["a", "b", "c", "d"]],)),
    ],
)
def test_a_worker_that_sends_nonsense_gets_an_error_and_nothing_breaks(call):
    play = stage(
        [repl("context"), repl("SUBMIT(x)")],
        {"context": [call, printed("")], "SUBMIT(x)": submitted("4711")},
        limits=Limits(depth=2),
    )
    play.replies[1:1] = [repl("child")] * 4
    play.cells["child"] = submitted("4711")
    assert play.play().status == "answered"


def test_a_batch_comes_back_whole_in_order_with_failures_in_place():
    cell = "context"
    play = stage(
        [repl(cell), repl("SUBMIT(x)")],
        {cell: [llm_query_batched("a", "b", "c"), printed("done")], "SUBMIT(x)": submitted("4711")},
        answer=lambda prompt: Failed("timed out") if prompt == "b" else prompt.upper(),
    )
    play.play()
    (answers,) = play.resumed()
    assert answers == ["A", "[ERROR] timed out", "C"]
    assert [isinstance(answer, LMError) for answer in answers] == [False, True, False]


def test_a_single_failed_sub_call_raises_in_the_code():
    play = stage(
        [repl("context"), repl("SUBMIT(x)")],
        {"context": [llm_query("a"), Done("", "RuntimeError: timed out")], "SUBMIT(x)": submitted("4711")},
        answer=lambda prompt: Failed("timed out"),
    )
    play.play()
    assert play.resumed() == ["timed out"]


def test_a_batch_over_the_limit_sends_nothing_and_the_run_goes_on():
    play = stage(
        [repl("context"), repl("SUBMIT(x)")],
        {"context": [llm_query_batched(*"abcdef"), printed("")], "SUBMIT(x)": submitted("4711")},
        limits=Limits(sub_calls=5),
    )
    result = play.play()
    assert result.status == "answered"
    assert "none was sent" in play.resumed()[0]
    assert result.usage.of("sub").calls == 0


def test_a_prompt_over_the_sub_models_window_is_refused_before_it_is_paid_for():
    play = stage(
        [repl("context"), repl("SUBMIT(x)")],
        {"context": [llm_query("x" * 5_000), printed("")], "SUBMIT(x)": submitted("4711")},
        sub_window=1_000,
    )
    result = play.play()
    assert "does not fit" in play.resumed()[0]
    assert result.usage.of("sub").calls == 0


def test_at_the_depth_limit_a_child_is_a_plain_call():
    play = stage(
        [repl("context"), repl("SUBMIT(x)")],
        {"context": [HostCall("rlm_query", ("Who?", "Bob.")), printed("")], "SUBMIT(x)": submitted("4711")},
    )
    play.play()
    assert play.resumed() == ["<Who?\n\nBob.>"]


def test_depth_0_offers_no_sub_calls_and_teaches_none():
    play = stage([repl("SUBMIT(x)")], {"SUBMIT(x)": submitted("4711")}, limits=Limits(depth=0))
    play.play()
    assert not play.run.repl.tools
    assert "llm_query" not in play.views[0].contract


def test_a_child_has_the_window_of_the_sub_model_which_plays_its_root():
    play = stage(
        [repl("context"), repl("SUBMIT(x)"), repl("SUBMIT(x)")],
        {"context": [HostCall("rlm_query", ("Who?", "Bob.")), printed("")], "SUBMIT(x)": submitted("4711")},
        limits=Limits(depth=2),
        window=50_000,
        sub_window=1_000,
    )
    play.play()
    windows = [job.live.run.window for job in play.performed if isinstance(job.request, Ask)]
    assert windows == [50_000, 1_000, 50_000]


def test_a_child_without_a_context_of_its_own_has_its_parents():
    play = stage(
        [repl("context[0]"), repl("child_code"), repl("SUBMIT(x)")],
        {
            "context[0]": [HostCall("rlm_query", ("Who?",)), printed("")],
            "child_code": submitted("Bob"),
            "SUBMIT(x)": submitted("4711"),
        },
        limits=Limits(depth=2),
    )
    play.play()
    assert play.views[1].card == play.views[0].card
    assert play.resumed() == ["Bob"]


def test_children_are_taught_only_where_there_can_be_any():
    assert "rlm_query" not in stage([], limits=Limits(depth=1)).run.contract
    assert "rlm_query" in stage([], limits=Limits(depth=2)).run.contract


def test_children_are_runs_of_their_own_and_share_the_budget():
    play = stage(
        [repl("context[0]"), repl("child_code"), repl("SUBMIT(x)")],
        {
            "context[0]": [HostCall("rlm_query", ("Who is it?", "It is Bob.")), printed("")],
            "child_code": submitted("Bob"),
            "SUBMIT(x)": submitted("4711"),
        },
        limits=Limits(depth=2),
    )
    result = play.play()
    assert play.resumed() == ["Bob"]
    assert play.views[1].path == (1,)
    assert "It is Bob" in play.views[1].card
    assert {(row.role, row.depth): row.calls for row in result.usage.rows} == {
        ("root", 0): 2,
        ("child", 1): 1,
    }


def test_a_grandchild_at_the_limit_is_a_plain_call():
    play = stage(
        [repl("context[0]"), repl("child_code"), repl("SUBMIT(x)")],
        {
            "context[0]": [HostCall("rlm_query", ("Q", "text")), printed("")],
            "child_code": [HostCall("rlm_query", ("Q2", "piece")), submitted("Bob")],
            "SUBMIT(x)": submitted("4711"),
        },
        limits=Limits(depth=2),
    )
    play.play()
    assert play.resumed()[0] == "<Q2\n\npiece>"


def test_a_childs_failure_is_an_error_to_its_parent_and_not_its_end():
    play = stage(
        [repl("context"), Failed("down"), repl("SUBMIT(x)")],
        {"context": [HostCall("rlm_query", ("Q", "t")), printed("")], "SUBMIT(x)": submitted("4711")},
        limits=Limits(depth=2),
    )
    assert play.play().status == "answered"
    assert "ended without an answer" in play.resumed()[0]


def test_tools_are_used_by_name_and_their_failures_are_errors_in_the_code():
    play = stage(
        [repl("context"), repl("SUBMIT(x)")],
        {
            "context": [
                HostCall("weather", ("Oslo",), {"unit": "C"}),
                HostCall("weather", ("Atlantis",)),
                printed(""),
            ],
            "SUBMIT(x)": submitted("4711"),
        },
        tools=("weather",),
        tool=lambda name, city, unit="F": 7 if city == "Oslo" else Failed("KeyError: 'Atlantis'"),
    )
    play.play()
    assert play.resumed() == [7, "KeyError: 'Atlantis'"]


def test_a_tool_that_bears_a_helpers_name_wins_and_the_contract_leaves_the_helper_out():
    run = stage([], tools=("grep", "llm_query")).run
    assert "grep" not in run.repl.helpers
    assert run.repl.tools.count("llm_query") == 1
    assert "lines of the whole context" not in run.contract
