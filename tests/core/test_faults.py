"""Whole runs against a server that fails as real APIs do: they end right, or with a clear partial; no paid
answer is lost, and no call is sent more often than the rule for retries says."""

from __future__ import annotations

import asyncio
import threading

import pytest
from faulty import CALLS, HARMLESS, LASTING, PASSING, QUESTION, TEXT, Faulty
from stub_server import Reply, StubServer, error

from rlm_core import RLM, Limits, OpenAIChat, throttle
from rlm_core.lms import Completion
from rlm_core.requests import Reply as Replied
from rlm_core.retry import RetryRule
from rlm_core.sandbox.host import LocalSandbox

RULE = RetryRule(retries=3, first=0.01, longest=0.05)


@pytest.fixture(scope="module")
def backend():
    sandbox = LocalSandbox()
    yield sandbox
    sandbox.close()


@pytest.fixture
def play(backend, tmp_path):
    def play(faulty, way="sync"):
        timeout = 1.5 if faulty.fault is PASSING["timeout"] else 60.0
        with StubServer(faulty) as server:
            lm = OpenAIChat("stub", base_url=server.url, api_key="none", timeout=timeout, retries=RULE)
            limits = Limits(depth=2, concurrency=8)
            rlm = RLM(lm, limits=limits, sandbox=backend, journal=tmp_path / "journal.db")
            if way == "sync":
                result = rlm.completion(TEXT, QUESTION)
            else:
                result = asyncio.run(rlm.acompletion(TEXT, QUESTION))
        return result, rlm.journal

    return play


def kept(journal):
    """The calls whose answer is in the journal."""
    rows = journal.answers(journal.run("")["id"]).values()
    return sum(row["kind"] in (Replied.__name__, Completion.__name__) for row in rows)


@pytest.fixture(scope="module")
def right(backend):
    with StubServer(Faulty(lambda reply: reply, lambda call, time: False)) as server:
        lm = OpenAIChat("stub", base_url=server.url, api_key="none")
        result = RLM(lm, limits=Limits(depth=2), sandbox=backend).completion(TEXT, QUESTION)
    assert result.answer.endswith(" and 0 failed")
    assert result.usage.calls == CALLS == len(server.requests)
    return result.answer


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("name", [*PASSING, *HARMLESS])
def test_what_passes_changes_nothing(play, right, name, way):
    """Every third call fails when it is first sent, that of the root LM too."""
    faulty = Faulty((PASSING | HARMLESS)[name], lambda call, time: call % 3 == 0 and time == 0)
    result, journal = play(faulty, way)
    assert (result.status, result.answer) == ("answered", right), result.reason
    assert max(faulty.sends.values()) == (2 if name in PASSING else 1)
    assert set(faulty.answered.values()) == {1}  # no answer was paid twice
    assert kept(journal) == CALLS


@pytest.mark.parametrize("name", PASSING)
def test_what_lasts_on_a_sub_call_is_told_to_the_code_and_the_others_stay(play, name):
    faulty = Faulty(PASSING[name], lambda call, time: call == 5)
    result, journal = play(faulty)
    assert result.status == "answered"
    assert result.answer.endswith(" and 1 failed")
    assert max(faulty.sends.values()) == 1 + (RULE.timeouts if name == "timeout" else RULE.retries)
    assert kept(journal) == CALLS - 1 == faulty.answered.total()


@pytest.mark.parametrize("name", LASTING)
def test_a_refusal_is_sent_once(play, name):
    faulty = Faulty(LASTING[name], lambda call, time: call == 5)
    result, journal = play(faulty)
    assert (result.status, result.answer.endswith(" and 1 failed")) == ("answered", True)
    assert set(faulty.sends.values()) == {1}
    assert kept(journal) == CALLS - 1


@pytest.mark.parametrize("name", [*PASSING, *LASTING])
def test_a_root_model_that_fails_for_good_ends_the_run_clearly_and_keeps_what_was_paid(play, name):
    faulty = Faulty((PASSING | LASTING)[name], lambda call, time: call == 1 + 16)  # the second step
    result, journal = play(faulty)
    assert (result.status, result.answer) == ("error", None)
    assert "127.0.0.1" in result.reason or "window" in result.reason
    assert len(result.trajectory) == 1
    asks = 2 if name in ("context overflow", "reset in mid-stream", "truncated JSON") else 1
    assert max(faulty.sends.values()) <= asks * (1 + RULE.retries)
    assert kept(journal) == 17 == faulty.answered.total()
    assert journal.run("")["status"] == "error"


def test_a_run_that_a_root_model_ended_goes_on_where_it_was(play, right):
    faulty = Faulty(PASSING["500"], lambda call, time: call == 17 and time <= RULE.retries)
    result, journal = play(faulty)
    assert result.status == "error"
    with StubServer(faulty) as server:
        lm = OpenAIChat("stub", base_url=server.url, api_key="none", retries=RULE)
        result = RLM(lm, journal=journal.path).resume()
    assert (result.status, result.answer) == ("answered", right)
    assert set(faulty.answered.values()) == {1}


def test_one_provider_that_refuses_for_its_rate_slows_no_other(backend):
    """The throttle falls for the one that refuses, and is back when its run is over."""
    busy = Faulty(PASSING["429"], lambda call, time: 0 < call < 8 and time == 0)
    with StubServer(busy) as refusing, StubServer("x") as other:
        urls = refusing.url, other.url
        lms = [OpenAIChat("stub", base_url=url, api_key="none", retries=RULE) for url in urls]
        lows = []
        throttled = lms[0].throttle.throttled
        lms[0].throttle.throttled = lambda *args: (throttled(*args), lows.append(lms[0].throttle.limit))
        limits = Limits(depth=2, concurrency=8)
        assert RLM(lms[0], limits=limits, sandbox=backend).completion(TEXT, QUESTION).status == "answered"
        lms[1].complete([{"role": "user", "content": "hi"}])
    assert lows
    assert min(lows) <= 4
    assert throttle.of(lms[1].base_url).limit is None
    assert lms[0].throttle.limit is None or lms[0].throttle.limit > min(lows)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_after_a_limit_no_call_that_waits_for_its_next_attempt_is_sent(way, backend):
    """Of two calls at once one fails and shall be sent again, while the other reaches the limit of tokens."""
    failed, sent = threading.Event(), []

    def answer(body):
        said = body["messages"][-1]["content"]
        if said == "fails":
            sent.append(said)
            failed.set()
            return error(503, retry_after=1)
        if said == "is dear":
            failed.wait(20)
            return Reply("yes", usage={"prompt_tokens": 9_000, "completion_tokens": 1, "total_tokens": 9_001})
        return Reply("```repl\nllm_query_batched(['fails', 'is dear'])\n```")

    with StubServer(answer) as server:
        rlm = RLM(
            OpenAIChat("stub", base_url=server.url, api_key="none"),
            limits=Limits(tokens=8_000),
            sandbox=backend,
        )
        run = rlm.completion if way == "sync" else lambda *given: asyncio.run(rlm.acompletion(*given))
        result = run("text", "Which?")
    assert (result.status, result.reason, len(sent)) == ("limit", "tokens", 1)
