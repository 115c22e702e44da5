"""The library from the outside: real sandbox, scripted LMs, sync and async."""

from __future__ import annotations

import asyncio
import datetime
import threading
import time

import pytest

from rlm_core import RLM, ContextError, Limits, LMCallError
from rlm_core.events import Asking, Chunk, Ended, Event, Stepped
from rlm_core.lms import ScriptedLM
from rlm_core.rlm import Finished

HAYSTACK = (
    "\n".join(f"Line {n} says nothing of interest." for n in range(5_000)) + "\nThe magic number is 4711.\n"
)


def repl(*lines: str) -> str:
    return "```repl\n" + "\n".join(lines) + "\n```"


FIND = [
    repl("print(grep('magic number'))"),
    repl("import re", "SUBMIT(re.search(r'\\d+', grep('magic number')[0]).group())"),
]


def complete(mode: str, rlm: RLM, *args, **kwargs):
    """The same run, by either driver."""
    if mode == "sync":
        return rlm.completion(*args, **kwargs)
    return asyncio.run(rlm.acompletion(*args, **kwargs))


both = pytest.mark.parametrize("mode", ["sync", "async"])


@both
def test_it_finds_a_fact_by_code_that_the_model_wrote(mode):
    result = complete(mode, RLM(ScriptedLM(FIND)), context=HAYSTACK, query="What is the magic number?")
    assert (result.answer, result.status) == ("4711", "answered")
    assert "The magic number is 4711." in result.trajectory[0].output
    assert result.usage.of("root").calls == 2
    assert result.seconds > 0


@both
def test_a_batch_really_runs_at_once(mode):
    lm = ScriptedLM(
        [repl("answers = llm_query_batched([f'q{i}' for i in range(32)])  # context", "SUBMIT(answers)")],
        answers=lambda messages: messages[0]["content"].upper(),
        delay=0.1,
        concurrency=16,
    )
    result = complete(mode, RLM(lm), context="x", query="?")
    assert result.answer == [f"Q{i}" for i in range(32)]
    assert lm.peak == 16


@both
def test_the_concurrency_limit_is_kept(mode):
    lm = ScriptedLM([repl("SUBMIT(llm_query_batched(['a'] * 9))")], answers="b", delay=0.02, concurrency=16)
    complete(mode, RLM(lm, limits=Limits(concurrency=2)), context="x", query="?")
    assert lm.peak == 2


@both
def test_children_have_a_repl_of_their_own(mode):
    script = {
        "outer": [repl("a = 1", "SUBMIT(rlm_query_batched([('inner', 'one'), ('inner', 'two')]))")],
        "inner": repl("assert 'a' not in SHOW_VARS()", "SUBMIT(context.upper())"),
    }

    def reply(messages):
        return script["outer"][0] if "Question: outer" in messages[1]["content"] else script["inner"]

    result = complete(mode, RLM(ScriptedLM(reply), limits=Limits(depth=2)), context="x", query="outer")
    assert result.answer == ["ONE", "TWO"]


@both
def test_variables_survive_an_error(mode):
    lm = ScriptedLM([repl("kept = len(context)", "1 / 0"), repl("SUBMIT(kept)")])
    result = complete(mode, RLM(lm), context="12345", query="?")
    assert result.answer == 5
    assert "ZeroDivisionError" in result.trajectory[0].error
    assert "line 2" in result.trajectory[0].error


@both
@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        ("a\r\nb\rc\n", "SUBMIT(context == 'a\\r\\nb\\rc\\n')", True),
        ({1: ("a", 2), "b": [None, 1.5]}, "SUBMIT(context == {1: ('a', 2), 'b': [None, 1.5]})", True),
        ("\ud800 lone", "SUBMIT(ord(context[0]))", 0xD800),
        ([datetime.datetime(2026, 1, 2, 3)], "SUBMIT(context[0].hour)", 3),
        (b"bytes are text", "SUBMIT(context)", "bytes are text"),
    ],
)
def test_the_context_arrives_exactly_as_given(mode, value, code, expected):
    assert complete(mode, RLM(ScriptedLM([repl(code)])), context=value, query="?").answer == expected


def test_a_file_and_a_folder_are_contexts(tmp_path):
    (tmp_path / "a.txt").write_text("alpha")
    (tmp_path / "b.txt").write_text("beta")
    one = RLM(ScriptedLM([repl("SUBMIT(context)")])).completion(tmp_path / "a.txt", "?")
    assert one.answer == "alpha"
    many = RLM(ScriptedLM([repl("SUBMIT(sorted(context.items()))")])).completion(tmp_path, "?")
    assert many.answer == [("a.txt", "alpha"), ("b.txt", "beta")]


@both
def test_tools_run_in_the_host(mode):
    def area(width: int, height: int = 1) -> int:
        """The area of a rectangle."""
        return width * height

    lm = ScriptedLM([repl("SUBMIT(area(3, height=4))  # context")])
    assert complete(mode, RLM(lm, tools=[area]), context="x", query="?").answer == 12
    assert "area(width: int, height: int = 1) -> int: The area of a rectangle." in lm.calls[0][0]["content"]


def test_sync_tools_run_on_the_callers_thread():
    threads = []

    def here() -> None:
        threads.append(threading.current_thread())

    RLM(ScriptedLM([repl("here()", "SUBMIT(context)")]), tools=[here]).completion("x", "?")
    assert threads == [threading.current_thread()]


def test_async_tools_are_awaited():
    async def slow() -> str:
        await asyncio.sleep(0)
        return "awaited"

    result = asyncio.run(RLM(ScriptedLM([repl("SUBMIT(slow())")]), tools=[slow]).acompletion("x", "?"))
    assert result.answer == "awaited"


def test_stream_gives_events_as_they_happen_and_the_result_last():
    events = list(RLM(ScriptedLM(FIND)).stream(HAYSTACK, "What is the magic number?"))
    assert isinstance(events[-1], Finished)
    assert events[-1].result.answer == "4711"
    kinds = [type(event) for event in events]
    assert kinds.index(Asking) < kinds.index(Chunk) < kinds.index(Stepped) < kinds.index(Ended)


def test_astream_gives_the_same_events():
    async def collect() -> list[Event]:
        return [event async for event in RLM(ScriptedLM(FIND)).astream(HAYSTACK, "?")]

    sync = [type(event) for event in RLM(ScriptedLM(FIND)).stream(HAYSTACK, "?")]
    assert [type(event) for event in asyncio.run(collect())] == sync


@both
def test_without_a_query_the_context_states_the_task(mode):
    lm = ScriptedLM([repl("SUBMIT(context)")])
    assert complete(mode, RLM(lm), context="Say so.").answer == "Say so."
    assert "context itself states the task" in lm.calls[0][1]["content"]


@both
def test_an_lm_that_fails_gives_a_result_with_what_there_was(mode):
    lm = ScriptedLM([repl("print(context)"), LMCallError("the server is down; try again later")])
    result = complete(mode, RLM(lm), context="x", query="?")
    assert (result.status, result.reason) == ("error", "the server is down; try again later")
    assert result.trajectory[0].output == "x\n"


@both
def test_a_bug_of_ours_surfaces_as_itself(mode):
    with pytest.raises(ZeroDivisionError):
        complete(mode, RLM(ScriptedLM(lambda messages: 1 / 0)), context="x", query="?")


@both
def test_the_time_limit_interrupts_a_call_that_hangs(mode):
    started = time.monotonic()
    result = complete(
        mode, RLM(ScriptedLM("x", delay=30), limits=Limits(seconds=0.5)), context="x", query="?"
    )
    assert (result.status, result.reason) == ("limit", "seconds")
    assert time.monotonic() - started < 10


@both
def test_the_time_limit_interrupts_running_code(mode):
    lm = ScriptedLM([repl("while True: pass")])
    result = complete(mode, RLM(lm, limits=Limits(seconds=1.0)), context="x", query="?")
    assert (result.status, result.reason) == ("limit", "seconds")


@both
def test_code_that_runs_too_long_is_interrupted_and_keeps_its_variables(mode):
    lm = ScriptedLM([repl("kept = context", "while True: pass"), repl("SUBMIT(kept)")])
    result = complete(mode, RLM(lm, limits=Limits(step_seconds=0.3)), context="x", query="?")
    assert result.answer == "x"
    assert "TimeoutError" in result.trajectory[0].error


@both
def test_code_that_cannot_be_interrupted_is_killed_and_earlier_variables_come_back(mode):
    lm = ScriptedLM([repl("kept = context"), repl("sum(iter(int, 1))"), repl("SUBMIT(kept)")])
    result = complete(mode, RLM(lm, limits=Limits(step_seconds=0.3)), context="x", query="?")
    assert result.answer == "x"
    assert "worker was killed" in result.trajectory[1].error


def test_ctrl_c_ends_at_once_and_carries_what_there_is():
    lm = ScriptedLM([repl("print(context)"), repl("interrupt()")])

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        RLM(lm, tools=[interrupt]).completion("x", "?")
    assert caught.value.result.status == "cancelled"
    assert caught.value.result.trajectory[0].output == "x\n"


def test_a_cancelled_task_ends_at_once_and_carries_what_there_is():
    async def go() -> BaseException:
        lm = ScriptedLM([repl("print(context)"), lambda messages: "never"], delay=0.2)
        task = asyncio.create_task(RLM(lm).acompletion("x", "?"))
        while len(lm.calls) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            return error
        raise AssertionError

    error = asyncio.run(go())
    assert error.result.status == "cancelled"


def test_concurrent_runs_do_not_mix():
    async def go() -> list:
        return await asyncio.gather(
            *(
                RLM(ScriptedLM([repl("print(context)"), repl("SUBMIT(context)")], delay=0.05)).acompletion(
                    f"c{n}", "?"
                )
                for n in range(20)
            )
        )

    assert [result.answer for result in asyncio.run(go())] == [f"c{n}" for n in range(20)]


@pytest.mark.parametrize("context", [None, iter("x"), object()])
def test_what_cannot_be_a_context_is_refused_before_anything_is_sent(context):
    lm = ScriptedLM(["never"])
    with pytest.raises((ContextError, TypeError)):
        RLM(lm).completion(context, "?")
    assert not lm.calls


def test_an_unknown_strategy_or_sandbox_is_refused_at_once():
    with pytest.raises(ValueError, match="strategy"):
        RLM(ScriptedLM([]), strategy="nope")
    with pytest.raises(ValueError, match="sandbox"):
        RLM(ScriptedLM([]), sandbox="off")


def test_verbose_tells_on_stderr_and_nothing_on_stdout(capsys):
    RLM(ScriptedLM(FIND), verbose=True).completion(HAYSTACK, "?")
    out, err = capsys.readouterr()
    assert out == ""
    assert "[step 1]" in err
    assert "The magic number is 4711." in err


def test_verbose_tells_nothing_that_a_terminal_would_obey(capsys):
    said = "caf\xe9\t\x1b]0;owned\x07\x9b2J\u202e\rover\r\n"
    lm = ScriptedLM([said + repl(f"print({said!r})", f"raise ValueError({said!r})"), repl("NOT_FOUND()")])
    RLM(lm, verbose=True).completion(HAYSTACK, "?")
    err = capsys.readouterr().err
    assert err.count("caf\xe9\t") == 3  # in prose, output and error
    assert not {*"\x1b\x07\x9b\u202e\r"} & set(err)


@both
def test_a_journal_keeps_the_run_and_resume_pays_for_nothing_twice(mode, tmp_path):
    path = tmp_path / "journal.db"
    lm = ScriptedLM(
        [repl("found = llm_query_batched(['a', 'b'])  # context"), LMCallError("the server is down")],
        answers=lambda messages: messages[0]["content"] * 2,
    )
    broken = complete(mode, RLM(lm, journal=path), context="x", query="?")
    assert broken.status == "error"
    mended = ScriptedLM([repl("SUBMIT(found)")], answers="never asked")
    result = RLM(mended, journal=path).resume()
    assert (result.answer, result.status) == (["aa", "bb"], "answered")
    assert len(mended.calls) == 1
    assert len(result.trajectory) == 2


# ---- used wrongly


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"lm": "gpt-4"}, "lm='gpt-4': must be an LM, such as OpenAIChat"),
        ({"lm": None}, "lm=None: must be an LM"),
        ({"sub_lm": "gpt-4"}, "sub_lm='gpt-4': must be an LM"),
        ({"limits": {}}, "limits={}: must be a Limits"),
        ({"limits": None}, "limits=None: must be a Limits"),
        ({"sandbox": None}, "sandbox=None: must be 'auto', 'weak' or a Backend"),
        ({"strategy": None}, "strategy=None: must be a name"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_to_give(wrong, told):
    with pytest.raises((TypeError, ValueError), match=told):
        RLM(**{"lm": ScriptedLM([]), **wrong})


def test_a_query_that_is_no_str_is_refused():
    with pytest.raises(TypeError, match="query=7: must be a str"):
        RLM(ScriptedLM([])).completion("x", 7)


def test_an_async_tool_in_a_sync_run_tells_the_code_so():
    async def slow() -> str:
        return "awaited"

    told = ["try:", "    slow()", "except Exception as error:", "    SUBMIT(str(error))  # context"]
    result = RLM(ScriptedLM([repl(*told)]), tools=[slow]).completion("x", "?")
    assert "slow is an async tool: use acompletion" in result.answer


@pytest.mark.parametrize(
    "name", ["SUBMIT", "NOT_FOUND", "FINAL", "FINAL_VAR", "context", "print", "len", "ValueError"]
)
def test_a_tool_takes_no_name_that_code_needs(name):
    def tool() -> None: ...

    tool.__name__ = name
    with pytest.raises(ValueError, match=f"tool {name}: .* another name"):
        RLM(ScriptedLM([]), tools=[tool])


def test_a_tool_may_take_a_helpers_name():
    def grep(pattern: str) -> str:
        return f"my own {pattern}"

    result = RLM(ScriptedLM([repl("SUBMIT(grep('x'))")]), tools=[grep]).completion("text", "?")
    assert result.answer == "my own x"


def test_two_tools_of_one_name_are_refused():
    def tool() -> None: ...

    with pytest.raises(ValueError, match="two tools are named tool"):
        RLM(ScriptedLM([]), tools=[tool, tool])
