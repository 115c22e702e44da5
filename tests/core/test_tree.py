"""The tree of runs: batches, limits, the journal, lost workers."""

from __future__ import annotations

from rlm_core.events import Ended, Noted, SubCalled
from rlm_core.limits import Budget, Limits
from rlm_core.lms import Completion, Usage
from rlm_core.requests import Ask, Failed, InSandbox, Query
from rlm_core.sandbox.protocol import Done, Execute, HostCall
from rlm_core.tree import LINGER, Job, Lost
from tests.core.stage import llm_query, llm_query_batched, printed, repl, stage, submitted

SUBMIT = {"SUBMIT(x)": submitted("4711")}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_batch_is_handed_out_at_once_up_to_the_concurrency():
    play = stage([repl("context")], {"context": llm_query_batched(*"abcdefgh")}, concurrency=3)
    for _ in range(2):  # the ask, the cell
        (job,) = (item for item in play.tree.ready() if isinstance(item, Job))
        play.tree.settle(job, play.perform(job))
    jobs = [item for item in play.tree.ready() if isinstance(item, Job)]
    assert [job.request.prompts for job in jobs] == [("a",), ("b",), ("c",)]
    play.tree.settle(jobs[1], play.perform(jobs[1]))
    (more,) = (item for item in play.tree.ready() if isinstance(item, Job))
    assert more.request.prompts == ("d",)


def test_an_empty_batch_answers_at_once():
    play = stage(
        [repl("context"), repl("SUBMIT(x)")], {"context": [llm_query_batched(), printed("")], **SUBMIT}
    )
    play.play()
    assert play.resumed() == [[]]


def test_every_sub_call_is_an_event_with_its_place_in_the_batch():
    play = stage(
        [repl("context"), repl("SUBMIT(x)")],
        {"context": [llm_query_batched("a", "b"), printed("")], **SUBMIT},
    )
    play.play()
    calls = [event for event in play.events if isinstance(event, SubCalled)]
    assert [(call.slot, call.done, call.of, call.prompt, call.text) for call in calls] == [
        (0, 1, 2, "a", "<a>"),
        (1, 2, 2, "b", "<b>"),
    ]


def test_the_cost_limit_ends_the_run_before_another_call_is_sent():
    play = stage(
        [repl("context"), repl("SUBMIT(x)")],
        {"context": [*(llm_query(f"{n}") for n in range(64)), printed("")], **SUBMIT},
        limits=Limits(cost=2.0),
    )
    result = play.play()
    assert (result.status, result.reason) == ("limit", "cost")
    assert result.usage.cost == 2.0  # four calls of half a dollar: the root's and three more
    assert len([job for job in play.performed if isinstance(job.request, Query)]) == 3


def test_a_batch_does_not_rush_past_the_cost_limit():
    play = stage(
        [repl("context"), repl("SUBMIT(x)")],
        {"context": [llm_query_batched(*map(str, range(64))), printed("")], **SUBMIT},
        limits=Limits(cost=2.0),
    )
    result = play.play()
    assert (result.status, result.reason) == ("limit", "cost")
    assert len([job for job in play.performed if isinstance(job.request, Query)]) == 3


def test_the_token_limit_counts_a_prompt_before_it_is_sent():
    play = stage(
        [repl("context"), repl("SUBMIT(x)")],
        {"context": [llm_query("x" * 40_000), printed("")], **SUBMIT},
        limits=Limits(tokens=8_000),
    )
    result = play.play()
    assert (result.status, result.reason) == ("limit", "tokens")
    assert not [job for job in play.performed if isinstance(job.request, Query)]


def test_the_time_limit_ends_the_run_whatever_it_waits_for():
    clock = Clock()
    play = stage([repl("context")], budget=Budget(Limits(seconds=60), clock=clock))
    (job,) = (item for item in play.tree.ready() if isinstance(item, Job))
    assert isinstance(job.request, Ask)
    clock.now = 61.0
    play.tree.tick()
    assert [event for event in play.tree.ready() if isinstance(event, Ended)]
    assert play.tree.result is not None
    assert (play.tree.result.status, play.tree.result.reason) == ("limit", "seconds")


def ready_for_a_batch(record=None, **limits):
    """A play whose batch of four sub-calls is in flight, and the jobs of these."""
    clock = Clock()
    budget = Budget(Limits(**limits), clock=clock)
    play = stage([repl("context")], {"context": llm_query_batched(*"abcd")}, budget=budget, record=record)
    for _ in range(2):  # the ask, the cell
        (job,) = (item for item in play.tree.ready() if isinstance(item, Job))
        play.tree.settle(job, play.perform(job))
    return clock, play, [item for item in play.tree.ready() if isinstance(item, Job)]


def test_calls_in_flight_are_waited_for_where_tokens_are_used_up():
    memory = Memory()
    _, play, jobs = ready_for_a_batch(memory, tokens=4_000)
    assert len(jobs) == 4
    dear = Completion("x", Usage(4_000, 0))
    play.tree.settle(jobs[0], dear)
    assert [item for item in play.tree.ready() if isinstance(item, Job)] == []
    assert play.tree.result is None
    for job in jobs[1:]:
        play.tree.settle(job, play.perform(job))
    list(play.tree.ready())
    assert (play.tree.result.status, play.tree.result.reason) == ("limit", "tokens")
    assert play.tree.result.usage.of("sub").calls == 4
    assert {job.key for job in jobs} <= set(memory)


def test_they_are_waited_for_no_longer_than_the_linger():
    clock, play, jobs = ready_for_a_batch(Memory(), tokens=4_000)
    play.tree.settle(jobs[0], Completion("x", Usage(4_000, 0)))
    list(play.tree.ready())
    assert play.tree.result is None
    assert play.tree.deadline == LINGER
    clock.now = LINGER
    play.tree.tick()
    list(play.tree.ready())
    assert (play.tree.result.status, play.tree.result.reason) == ("limit", "tokens")


def test_time_that_is_over_waits_for_nothing():
    clock, play, _ = ready_for_a_batch(Memory(), seconds=60)
    clock.now = 61.0
    play.tree.tick()
    list(play.tree.ready())
    assert play.tree.result.reason == "seconds"


def test_code_that_ran_when_the_run_was_ended_is_in_the_trajectory():
    clock, play, _ = ready_for_a_batch(Memory(), seconds=60)
    clock.now = 61.0
    play.tree.tick()
    list(play.tree.ready())
    (turn,) = play.tree.result.trajectory
    assert (turn.code, turn.output) == ("context", "")
    assert turn.error.endswith("cut off before its end: the run reached its limit of seconds")
    _, play, _ = ready_for_a_batch(Memory())
    (turn,) = play.tree.stop("cancelled").trajectory
    assert turn.error.endswith("cut off before its end: cancelled")


def test_an_answer_that_comes_after_the_end_is_counted_and_kept():
    memory = Memory()
    _, play, jobs = ready_for_a_batch(memory)
    play.tree.stop("cancelled")
    play.tree.settle(jobs[2], play.perform(jobs[2]))
    play.tree.settle(jobs[3], Failed("the run was stopped", "cancelled"))
    assert jobs[2].key in memory
    assert jobs[3].key not in memory
    assert memory.finished.usage.of("sub").calls == 1


def test_a_limit_gives_the_best_answer_so_far():
    cell = "context; SUBMIT('99999')"
    play = stage(
        [repl(cell), repl("more")], {cell: submitted("99999", literal=True)}, limits=Limits(cost=0.6)
    )
    result = play.play()
    assert (result.status, result.answer) == ("limit", "99999")


class Memory(dict):
    """A record in a dict."""

    def recall(self, key, request):
        return self.get(key)

    def keep(self, key, request, value):
        self[key] = value

    def tell(self, event, number):
        pass

    def finish(self, result):
        self.finished = result

    def __bool__(self):
        return True


def test_a_record_lets_a_run_go_on_where_another_ended_and_pays_for_nothing_twice():
    cells = {"context": [llm_query_batched("a", "b"), llm_query("c"), printed("hi")], **SUBMIT}
    memory = Memory()
    whole = stage([repl("context"), repl("SUBMIT(x)")], cells, record=memory)
    expected = whole.play()
    for kept in range(len(memory)):
        part = Memory(list(memory.items())[:kept])
        recorded = set(part)
        replies = [repl("context"), repl("SUBMIT(x)")][sum(key[2] is None for key in recorded) :]
        again = stage(replies, cells, record=part)
        result = again.play()
        assert (result.answer, result.status) == (expected.answer, expected.status)
        assert result.usage == expected.usage
        asked = {job.key for job in again.performed if not isinstance(job.request, InSandbox)}
        assert not asked & recorded
        assert set(part) == set(memory)


def lose(code: str, reason: str = "killed"):
    """A cell whose worker is lost the first time it runs."""
    seen: list[str] = []

    def frame(sent: object) -> object:
        seen.append(code)
        return Lost(reason) if len(seen) == 1 else Done("second time")

    return frame


def test_a_lost_worker_costs_a_step_and_the_variables_of_earlier_ones_are_rebuilt():
    play = stage(
        [repl("a = context"), repl("bomb"), repl("print(a)"), repl("SUBMIT(x)")],
        {
            "a = context": [llm_query("p"), Done("", variables={"a": "str"})],
            "bomb": lose("bomb", "the step ran out of memory"),
            "print(a)": Done("A", variables={"a": "str"}),
            **SUBMIT,
        },
    )
    result = play.play()
    assert result.status == "answered"
    assert "out of memory" in play.told[1]
    codes = [frame.code for frame in play.sent if isinstance(frame, Execute)]
    assert codes == ["a = context", "bomb", "a = context", "print(a)", "SUBMIT(x)"]
    assert play.resumed() == ["<p>", "<p>"]  # the recorded answer, at no further call
    assert result.usage.of("sub").calls == 1
    assert [event for event in play.events if isinstance(event, Noted)]


def test_what_could_not_be_rebuilt_is_named_to_the_model():
    first = [Done("", variables={"a": "str", "b": "int"}), Done("", variables={"a": "str"})]
    play = stage(
        [repl("context"), repl("bomb"), repl("print(a)"), repl("SUBMIT(x)")],
        {
            "context": lambda_(first),
            "bomb": lose("bomb"),
            "print(a)": Done("A", variables={"a": "str"}),
            **SUBMIT,
        },
    )
    play.play()
    assert "could not be rebuilt: b" in play.told[2]


def lambda_(frames: list):
    frames = list(frames)
    return lambda sent: frames.pop(0)


def test_an_earlier_cell_that_kills_the_new_worker_is_left_out():
    first = [Done("", variables={"a": "str"}), Lost("killed again"), Lost("must not be run a third time")]
    play = stage(
        [repl("context"), repl("bomb"), repl("print(1)"), repl("SUBMIT(x)")],
        {"context": lambda_(first), "bomb": lose("bomb"), "print(1)": printed("1"), **SUBMIT},
    )
    assert play.play().status == "answered"
    assert "could not be rebuilt: a" in play.told[2]


def test_a_cell_that_diverges_while_it_is_rebuilt_does_not_call_anew():
    calls = [[llm_query("p")], [llm_query("p"), llm_query("q")]]

    def cell(sent: object) -> object:
        if isinstance(sent, Execute):
            turns.append([*calls.pop(0), Done("", variables={"a": "int"})])
        return turns[-1].pop(0)

    turns: list[list] = []
    play = stage(
        [repl("context"), repl("bomb"), repl("print(1)"), repl("SUBMIT(x)")],
        {
            "context": [cell] * 9,
            "bomb": lose("bomb"),
            "print(1)": Done("1", variables={"a": "int"}),
            **SUBMIT,
        },
    )
    result = play.play()
    assert result.status == "answered"
    assert play.resumed() == ["<p>", "<p>", "the answer to this call was not recorded"]
    assert result.usage.of("sub").calls == 1


def test_a_cell_that_ran_out_of_time_is_not_run_again():
    play = stage(
        [repl("slow(context)"), repl("bomb"), repl("print(1)"), repl("SUBMIT(x)")],
        {
            "slow(context)": Done("", "TimeoutError: the step ran past its limit", timed_out=True),
            "bomb": lose("bomb"),
            "print(1)": printed("1"),
            **SUBMIT,
        },
    )
    play.play()
    codes = [frame.code for frame in play.sent if isinstance(frame, Execute)]
    assert codes.count("slow(context)") == 1


def test_all_cells_together_may_take_twice_their_time_and_a_second_when_they_are_run_again():
    took = {"a = context": [0.5, 2.5], "b = 2": [0.5, 0.5], "c = 3": [0.5, 0.5], "d = 4": [0.5, 0.5]}
    made = {name: {**dict.fromkeys("abcd"[: n + 1], "int")} for n, name in enumerate(took)}
    cells = {
        name: lambda_([Done("", variables=made[name], seconds=each) for each in seconds])
        for name, seconds in took.items()
    }
    play = stage(
        [*map(repl, took), repl("bomb"), repl("print(1)"), repl("SUBMIT(x)")],
        {**cells, "bomb": lose("bomb"), "print(1)": printed("1"), **SUBMIT},
    )
    assert play.play().status == "answered"
    again = [frame for frame in play.sent if isinstance(frame, Execute)][5:]
    assert [(frame.code, frame.seconds) for frame in again[:4]] == [
        ("a = context", 5.0),
        ("b = 2", 2.5),
        ("c = 3", 2.0),
        ("d = 4", 1.5),
    ]


def test_cells_that_are_slow_when_they_are_run_again_do_not_take_the_limit_of_each():
    slow = lambda_([Done("", variables={"a": "int"}, seconds=0.5), Done("", seconds=3.5, timed_out=True)])
    play = stage(
        [repl("a = context"), repl("b = 2"), repl("bomb"), repl("print(1)"), repl("SUBMIT(x)")],
        {
            "a = context": slow,
            "b = 2": Done("", variables={"a": "int", "b": "int"}, seconds=0.5),
            "bomb": lose("bomb"),
            "print(1)": printed("1"),
            **SUBMIT,
        },
    )
    assert play.play().status == "answered"
    assert [frame.code for frame in play.sent if isinstance(frame, Execute)].count("b = 2") == 1
    assert "could not be rebuilt: a, b" in play.told[3]


def test_children_of_a_batch_run_side_by_side():
    play = stage(
        [repl("context")],
        {"context": HostCall("rlm_query_batched", ([("Q1", "a"), ("Q2", "b")],))},
        limits=Limits(depth=2),
    )
    for _ in range(2):
        (job,) = (item for item in play.tree.ready() if isinstance(item, Job))
        play.tree.settle(job, play.perform(job))
    asks = [item.request.view for item in play.tree.ready() if isinstance(item, Job)]
    assert [(view.path, view.query) for view in asks] == [((1,), "Q1"), ((2,), "Q2")]
