import asyncio
import threading
import time

import pytest

from rlm_core.lms import (
    Completion,
    LMCallError,
    ScriptedLM,
    ScriptEnded,
    Usage,
    estimate_tokens,
    pause,
    stopping,
)

HELLO = [{"role": "user", "content": "hello"}]
TURN = [{"role": "system", "content": "You are..."}, {"role": "user", "content": "hello"}]


# ---- the scripted LM


def test_replies_come_in_order_and_calls_are_kept():
    lm = ScriptedLM(["one", "two"])
    assert [lm.complete(HELLO).text, lm.complete(TURN).text] == ["one", "two"]
    assert lm.calls == [HELLO, TURN]


def test_a_call_past_the_end_of_the_script_says_so():
    lm = ScriptedLM(["one"])
    lm.complete(HELLO)
    with pytest.raises(ScriptEnded, match="call 2 came: 'hello'"):
        lm.complete(HELLO)


def test_one_reply_serves_every_call():
    lm = ScriptedLM("yes")
    assert {lm.complete(HELLO).text for _ in range(3)} == {"yes"}


def test_a_reply_may_be_computed_from_the_messages():
    lm = ScriptedLM(lambda messages: messages[-1]["content"].upper())
    assert lm.complete(HELLO).text == "HELLO"


def test_a_reply_may_be_an_error():
    lm = ScriptedLM([LMCallError("too much", "rate_limit"), "fine"])
    with pytest.raises(LMCallError, match="too much"):
        lm.complete(HELLO)
    assert lm.complete(HELLO).text == "fine"


def test_a_reply_may_be_a_whole_completion():
    completion = Completion("text", Usage(1, 2, cost=0.5), "other", "because")
    assert ScriptedLM([completion]).complete(HELLO) is completion


def test_one_scripted_lm_is_root_and_sub_lm():
    lm = ScriptedLM(["turn 1", "turn 2"], answers=lambda messages: f"about {messages[0]['content']}")
    assert lm.complete(TURN).text == "turn 1"
    assert lm.complete(HELLO).text == "about hello"
    assert lm.complete(TURN).text == "turn 2"


def test_sub_calls_may_be_answered_by_prompt():
    lm = ScriptedLM([], answers={"hello": "hi"})
    assert lm.complete(HELLO).text == "hi"
    with pytest.raises(ScriptEnded, match="no answer to the sub-call 'bye'"):
        lm.complete([{"role": "user", "content": "bye"}])


def test_price_window_and_tokens_can_be_forced():
    lm = ScriptedLM("12345678", price=1.5, window=1000, concurrency=3)
    assert lm.complete(HELLO).usage == Usage(input=2, output=2, cost=1.5, estimated=True)
    assert (lm.window, lm.concurrency) == (1000, 3)
    assert ScriptedLM("x").complete(HELLO).usage.cost is None


def test_a_stream_is_pieces_and_then_the_completion():
    *pieces, completion = ScriptedLM("a text of more than one piece", chunk=5).stream(HELLO)
    assert len(pieces) > 1
    assert "".join(pieces) == completion.text == "a text of more than one piece"


def test_async_calls_say_the_same():
    async def main():
        lm = ScriptedLM(["one", "two"])
        return (await lm.acomplete(HELLO)).text, [item async for item in lm.astream(HELLO)][-1].text

    assert asyncio.run(main()) == ("one", "two")


def test_calls_at_once_each_get_their_own_reply():
    lm = ScriptedLM([str(number) for number in range(40)], delay=0.01)
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(lm.complete(HELLO).text)) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies, key=int) == [str(number) for number in range(40)]
    assert lm.peak > 1


# ---- stopping


def test_a_call_that_waits_ends_when_its_driver_stops():
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    token = stopping.set(stop)
    try:
        with pytest.raises(LMCallError) as caught:
            ScriptedLM("late", delay=60).complete(HELLO)
    finally:
        stopping.reset(token)
    assert caught.value.kind == "cancelled"


def test_a_pause_without_a_driver_is_a_sleep():
    began = time.monotonic()
    pause(0.02)
    assert time.monotonic() - began >= 0.02


# ---- usage and tokens


def test_the_cost_of_a_sum_is_known_only_where_both_are():
    assert Usage(1, 2, 1, 0.5) + Usage(10, 20, 0, 0.25) == Usage(11, 22, 1, 0.75)
    assert (Usage(1, 2, 0, 0.5) + Usage(1, 2)).cost is None
    assert (Usage(cost=0.0) + Usage(cost=0.0)).cost == 0.0
    assert (Usage() + Usage(estimated=True)).estimated


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("abcd", 1),
        ("abcde", 2),
        (10, 3),
        (0, 0),
        ("日本語日本語日本語日本語", 9),
        ("\ud800", 1),
    ],
)
def test_tokens_are_estimated_from_bytes(text, tokens):
    assert estimate_tokens(text) == tokens


def test_a_long_text_is_estimated_from_a_sample():
    text = "日本 text " * 300_000
    assert estimate_tokens(text) == pytest.approx(len(text.encode()) / 4, rel=0.02)
