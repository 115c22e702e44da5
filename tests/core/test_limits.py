"""Limits and the one budget of a tree."""

from __future__ import annotations

import pytest

from rlm_core import RLM, ScriptedLM
from rlm_core.limits import Budget, LimitReached, Limits, Refused
from rlm_core.lms import Usage


def test_sub_calls_refuse_and_count_nothing_that_was_refused():
    budget = Budget(Limits(sub_calls=10))
    budget.reserve_sub_calls(8)
    with pytest.raises(Refused, match="3 sub-calls asked for, 2 of 10 left; none was sent"):
        budget.reserve_sub_calls(3)
    budget.reserve_sub_calls(2)
    assert budget.latched is None


def test_calls_in_flight_count_against_the_limit():
    budget = Budget(Limits(tokens=100))
    first = budget.reserve(4 * 60)
    with pytest.raises(LimitReached):
        budget.reserve(4 * 60)
    budget.release(first)
    assert budget.latched  # a limit that was reached stays reached


def test_calls_wait_where_those_in_flight_may_use_up_the_rest():
    budget = Budget(Limits(cost=1.0))
    budget.record("sub", 1, "m", Usage(10, 10, cost=0.3))
    assert not budget.crowded("sub")
    budget.reserve(4)
    assert not budget.crowded("sub")
    budget.reserve(4)
    assert budget.crowded("sub")


def test_nothing_starts_when_nothing_is_left():
    budget = Budget(Limits(tokens=50))
    budget.record("root", 0, "m", Usage(40, 10))
    with pytest.raises(LimitReached):
        budget.check()


def test_the_clock_latches():
    now = [0.0]
    budget = Budget(Limits(seconds=10), clock=lambda: now[0])
    budget.check()
    now[0] = 10.0
    with pytest.raises(LimitReached, match="10 seconds"):
        budget.check()


def test_usage_is_kept_by_role_depth_and_model():
    budget = Budget()
    for role, depth, model in [
        ("root", 0, "big"),
        ("sub", 1, "small"),
        ("sub", 1, "small"),
        ("sub", 2, "small"),
    ]:
        budget.record(role, depth, model, Usage(100, 10, 50, 0.01))
    usage = budget.usage
    assert [(row.role, row.depth, row.model, row.calls) for row in usage.rows] == [
        ("root", 0, "big", 1),
        ("sub", 1, "small", 2),
        ("sub", 2, "small", 1),
    ]
    assert (usage.calls, usage.input, usage.output, usage.cached) == (4, 400, 40, 200)
    assert usage.of("sub").calls == 3
    assert usage.cost == pytest.approx(0.04)


def test_a_cost_that_is_not_known_makes_the_sum_unknown_and_not_zero():
    budget = Budget()
    budget.record("root", 0, "m", Usage(1, 1, cost=0.1))
    budget.record("sub", 1, "m", Usage(1, 1, cost=None))
    assert budget.usage.cost is None
    assert budget.usage.of("root").cost == 0.1


def test_what_is_left_is_told_once_it_begins_to_matter():
    budget = Budget(Limits(sub_calls=5, tokens=1_000))
    assert budget.left() == "5 sub-calls"
    budget.record("root", 0, "m", Usage(600, 0))
    assert budget.left() == "5 sub-calls, 400 tokens"


@pytest.mark.parametrize("wrong", [{"iterations": -1}, {"depth": -1}, {"concurrency": 0}, {"seconds": -1}])
def test_a_limit_that_makes_no_sense_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"seconds": float("inf")}, ValueError, "seconds=inf.*None lifts the limit"),
        ({"cost": float("nan")}, ValueError, "cost=nan.*None lifts the limit"),
        ({"iterations": 2.5}, TypeError, "iterations=2.5.*whole number"),
        ({"iterations": None}, TypeError, "iterations=None.*whole number"),
        ({"seconds": "3"}, TypeError, "seconds='3'.*a number, or None"),
    ],
)
def test_what_is_no_number_is_refused_at_once(wrong, error, told):
    with pytest.raises(error, match=told):
        Limits(**wrong)


# ---- in whole runs, with a model that counts what it is asked

SINGLES = """```repl
for n in range(16):
    try:
        llm_query(f'{context} {n}')
    except Exception as error:
        print(error)
```"""
BATCH = """```repl
try:
    llm_query_batched([str(n) for n in range(11)])
except Exception as error:
    x = str(error)
```"""
CHILDREN = "```repl\nx = rlm_query_batched([('Q', str(n)) for n in range(4)])\nprint(x)\n```"
DONE = "```repl\nSUBMIT(f'{len(context)} done')\n```"


def counting(root, child, answer="x", **limits):
    """The result of a run whose root says `root` in turn and its children `child`, and the prompts of plain
    sub-calls that were sent."""
    asked = []

    def reply(messages):
        if len(messages) == 1:
            asked.append(messages[0]["content"])
            return answer() if callable(answer) else answer
        steps = child if "Question: Q" in str(messages[1]["content"]) else root
        return steps[sum(message["role"] == "assistant" for message in messages)]

    rlm = RLM(ScriptedLM(reply, price=limits.pop("price", None)), limits=Limits(**limits))
    return rlm.completion("text", "How many?"), asked


def test_children_that_ask_for_64_single_sub_calls_at_once_make_no_more_than_are_left():
    result, asked = counting([CHILDREN, DONE], [SINGLES, DONE], depth=2, sub_calls=4 + 10)
    assert (result.status, result.answer) == ("answered", "4 done")
    assert len(asked) == len(set(asked)) == 10
    assert result.usage.of("sub").calls == 10
    assert result.trajectory[0].output.count("1 done") == 4  # the children went on, and answered


def test_a_batch_over_the_limit_sends_nothing():
    result, asked = counting([BATCH, "```repl\nSUBMIT(x)\n```"], [], sub_calls=10)
    assert (result.status, asked) == ("answered", [])
    assert "11 sub-calls asked for, 10 of 10 left; none was sent" in result.answer


@pytest.mark.parametrize(
    ("reason", "limits"),
    [
        ("iterations", {"iterations": 2}),
        ("tokens", {"tokens": 1_500}),
        ("cost", {"cost": 0.5, "price": 0.1}),
        ("seconds", {"seconds": 0.5}),
    ],
)
def test_each_limit_ends_the_run_with_its_own_reason_and_the_answer_so_far(reason, limits):
    """Twice a guess is pushed back; then the code goes on asking until it is ended."""
    guess = "```repl\nprint(context)\nSUBMIT('a guess')\n```"
    asking = "```repl\nwhile True: llm_query(context * 20)\n```"
    if reason == "iterations":
        asking = "```repl\nprint(1)\n```"
    result, _ = counting([guess, *[asking] * 3], [], sub_calls=None, **limits)
    assert (result.status, result.reason, result.answer) == ("limit", reason, "a guess"), result
    assert result.limit == reason


def test_too_many_replies_without_code_end_the_run():
    result, _ = counting(["well", "hm", "so"], [], errors=2)
    assert (result.status, result.reason) == ("error", "2 replies in a row held no code to run")


def test_the_model_sees_what_is_left():
    step = "```repl\nllm_query('a')\n```"
    result, _ = counting([step, DONE], [], sub_calls=7)
    assert "left: 6 sub-calls" in result.trajectory[0].shown
