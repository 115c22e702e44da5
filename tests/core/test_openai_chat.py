"""The client over real HTTP: the `openai` package against the stub server on loopback."""

import asyncio
import contextlib
import email.utils
import gc
import json
import logging
import socket
import subprocess
import sys
import threading
import time

import pytest
from stub_server import Raw, Reply, StubServer, content_filter, error, html, overflow

from rlm_core.lms import Completion, LMCallError, Usage, stopping
from rlm_core.openai_chat import PRESETS, OpenAIChat, Preset
from rlm_core.retry import RetryRule

KEY = "sk-a-secret-of-the-user"
HELLO = [{"role": "user", "content": "hello"}]
TEXT = "A reply that is longer than one chunk of a stream."
QUICK = RetryRule(retries=2, first=0.01)
WAYS = ("complete", "stream", "acomplete", "astream")
BOTH = ("stream", "acomplete")  # where the way matters less: each kind of reply, each runner


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANANNAS_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RLM_HOME", str(tmp_path))


def client(server, model="stub", **options):
    options = {"api_key": KEY, "retries": QUICK} | options
    return OpenAIChat(model, base_url=server.url, **options)


def call(lm, way, messages=HELLO):
    """The pieces that a call gave, and its completion."""
    if way == "complete":
        return [], lm.complete(messages)
    if way == "stream":
        *pieces, completion = lm.stream(messages)
        return pieces, completion
    if way == "acomplete":
        return [], asyncio.run(lm.acomplete(messages))

    async def collect():
        return [item async for item in lm.astream(messages)]

    *pieces, completion = asyncio.run(collect())
    return pieces, completion


def failing(lm, way, messages=HELLO):
    with pytest.raises(LMCallError) as caught:
        call(lm, way, messages)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    assert KEY not in text
    assert caught.value.__suppress_context__  # a traceback would show what the transport said
    return caught.value


# ---- replies


@pytest.mark.parametrize("way", WAYS)
def test_a_reply_comes_whole_with_its_usage_and_its_reasoning_apart(way):
    with StubServer(Reply(TEXT, reasoning="Let me think.")) as server:
        pieces, completion = call(client(server), way)
    expected = Usage(len("hello") // 4, len(TEXT + "Let me think.") // 4)
    assert completion == Completion(TEXT, expected, "stub", "Let me think.")
    if "stream" in way:
        assert len(pieces) > 1
        assert "".join(pieces) == TEXT


@pytest.mark.parametrize("way", WAYS)
def test_the_request_holds_what_the_caller_chose_and_nothing_else(way):
    with StubServer() as server:
        lm = client(server, max_tokens=50, temperature=0, top_k=5, seed=1)
        call(lm, way)
    (request,) = server.requests
    streamed = {"stream_options": {"include_usage": True}} if "stream" in way else {}
    assert request.body == {
        "model": "stub",
        "messages": HELLO,
        "stream": bool(streamed),
        "max_tokens": 50,
        "temperature": 0,
        "top_k": 5,
        "seed": 1,
        **streamed,
    }
    assert request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("text", ["", None])
def test_an_empty_reply_is_an_empty_text(way, text):
    with StubServer(Reply(text)) as server:
        pieces, completion = call(client(server), way)
    assert (pieces, completion.text) == ([], "")


@pytest.mark.parametrize("way", BOTH)
def test_tokens_are_estimated_where_the_server_reports_none(way):
    with StubServer(Reply(TEXT, usage=None)) as server:
        _, completion = call(client(server), way)
    assert completion.usage == Usage(2, -(-len(TEXT) // 4), estimated=True)


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    "cached",
    [
        {"prompt_tokens_details": {"cached_tokens": 70}},
        {"prompt_cache_hit_tokens": 70},
        {"cached_tokens": 70},
    ],
)
def test_cached_tokens_and_the_providers_own_cost_are_read(way, cached):
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "cost": 0.125, **cached}
    with StubServer(Reply(TEXT, usage=usage)) as server:
        _, completion = call(client(server), way)
    assert completion.usage == Usage(100, 20, 70, 0.125)


def test_a_cost_is_computed_from_the_users_table(tmp_path):
    (tmp_path / "prices.toml").write_text("[stub]\nwindow = 1234\ninput = 10\noutput = 100\n")
    with StubServer(Reply(TEXT, usage={"prompt_tokens": 100, "completion_tokens": 20})) as server:
        lm = client(server)
        assert lm.window == 1234
        assert lm.complete(HELLO).usage.cost == pytest.approx(0.003)
        assert client(server, window=99).window == 99
        assert client(server, "other").window is None


def test_a_broken_table_is_said_before_anything_is_paid(tmp_path):
    (tmp_path / "prices.toml").write_text("[stub]\nprice = 10\n")
    with StubServer() as server, pytest.raises(ValueError, match=r"prices\.toml"):
        client(server).complete(HELLO)
    assert server.requests == []


@pytest.mark.parametrize("way", BOTH)
def test_lone_surrogates_reach_the_server_as_replacement_characters(way):
    with StubServer() as server:
        call(client(server), way, [{"role": "user", "content": "a\ud800b 日本 \U0001f600"}])
    assert server.requests[0].messages[0]["content"] == "a\ufffdb 日本 \U0001f600"


@pytest.mark.parametrize("way", WAYS)
def test_what_a_server_sends_twice_counts_once(way):
    with StubServer(Reply(TEXT, fault="duplicates")) as server:
        _, completion = call(client(server), way)
    assert completion.text == TEXT
    assert completion.usage == Usage(1, len(TEXT) // 4)


@pytest.mark.parametrize("way", WAYS)
def test_a_slow_drip_comes_whole(way):
    with StubServer(Reply(TEXT, drip=0.05)) as server:
        assert call(client(server), way)[1].text == TEXT


def test_a_server_that_knows_no_streams_is_read_all_the_same():
    whole = '{"choices": [{"message": {"content": "all at once"}, "finish_reason": "stop"}]}'
    with StubServer(Raw(200, whole)) as server:
        for way in ("stream", "astream"):
            pieces, completion = call(client(server), way)
            assert (pieces, completion.text) == (["all at once"], "all at once")


def test_reasoning_in_typed_parts_is_kept_apart():
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    content = [thinking, {"type": "text", "text": "yes"}]
    with StubServer(Raw(200, json.dumps({"choices": [{"message": {"content": content}}]}))) as server:
        completion = client(server).complete(HELLO)
    assert (completion.text, completion.reasoning) == ("yes", "hm")


# ---- fields that some servers refuse


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_server_that_refuses_stream_options_is_asked_without_them_from_then_on(way):
    def script(body):
        if "stream_options" in body:
            return error(400, "Unrecognized request argument supplied: stream_options")
        return TEXT

    with StubServer(script) as server:
        lm = client(server)
        for _ in range(2):
            _, completion = call(lm, way)
            assert completion.text == TEXT
            assert completion.usage.estimated
    assert len(server.requests) == 3


@pytest.mark.parametrize("way", BOTH)
def test_a_model_that_calls_max_tokens_otherwise_gets_its_own_name(way):
    def script(body):
        if "max_tokens" in body:
            return error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return TEXT

    with StubServer(script) as server:
        assert call(client(server, max_tokens=50), way)[1].text == TEXT
    assert server.requests[-1].body["max_completion_tokens"] == 50


# ---- sending again


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    "failure",
    [
        error(429, retry_after=0),
        error(429),
        error(408),
        error(409),
        error(500),
        html(502),
        error(503),
        Reply(TEXT, fault="empty_choices"),
        Reply(TEXT, fault="wrong_type"),
        Raw(200, "<html>Please log in</html>", type="text/html"),
        Raw(200, '"no object"'),
    ],
    ids=lambda failure: getattr(failure, "fault", "") or str(failure.status),
)
def test_a_call_that_failed_is_sent_again(way, failure):
    with StubServer([failure, failure, TEXT]) as server:
        assert call(client(server), way)[1].text == TEXT
    assert len(server.requests) == 3


@pytest.mark.parametrize("way", ["complete", "acomplete"])
@pytest.mark.parametrize("fault", ["reset", "cut", "error_event"])
def test_a_whole_reply_that_broke_off_is_asked_for_again(way, fault):
    with StubServer([Reply(TEXT, fault=fault), TEXT]) as server:
        assert call(client(server), way)[1].text == TEXT
    assert len(server.requests) == 2


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    ("failure", "kind", "word"),
    [
        (error(429), "rate_limit", "lower the concurrency"),
        (error(500), "error", "try again later"),
        (html(502), "error", "an HTML page"),
        (Reply(TEXT, fault="empty_choices"), "bad_reply", "without choices"),
        (Reply(TEXT, fault="wrong_type"), "bad_reply", "A reply that is longer"),
    ],
    ids=["429", "500", "html", "empty_choices", "wrong_type"],
)
def test_no_call_is_sent_more_often_than_the_rule_says(way, failure, kind, word):
    with StubServer(failure) as server:
        failed = failing(client(server), way)
    assert len(server.requests) == 1 + QUICK.retries
    assert failed.kind == kind
    assert word in str(failed)
    assert "sent 3 times" in str(failed)


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    ("failure", "kind", "word"),
    [
        (error(400, "temperature must be at most 2"), "error", "temperature must be at most 2"),
        (error(401, f"Incorrect API key provided: {KEY}"), "auth", "check OPENAI_API_KEY"),
        (error(403, "not for you"), "auth", "not for you"),
        (error(402, "Insufficient credits"), "auth", "no credit left"),
        (error(429, "You exceeded your current quota", code="insufficient_quota"), "auth", "no credit left"),
        (error(404, "The model `stub` does not exist"), "error", "check the model 'stub'"),
        (overflow(), "overflow", "send less text"),
        (error(413, "too large"), "overflow", "send less text"),
        (error(400, "prompt is too long: 210000 tokens > 200000 maximum"), "overflow", "send less text"),
        (content_filter(), "content_filter", "rephrase"),
        (Reply(TEXT, finish="content_filter"), "content_filter", "rephrase"),
    ],
    ids=lambda value: getattr(value, "finish", "") or str(getattr(value, "status", "")) or None,
)
def test_what_cannot_succeed_is_sent_once_and_says_what_to_do(way, failure, kind, word):
    with StubServer(failure) as server:
        failed = failing(client(server), way)
    assert len(server.requests) == 1
    assert failed.kind == kind
    assert word in str(failed)


@pytest.mark.parametrize("way", BOTH)
def test_retry_after_is_waited_for(way):
    with StubServer([error(429, retry_after=0.4), TEXT]) as server:
        began = time.monotonic()
        call(client(server), way)
        assert time.monotonic() - began >= 0.4


def test_retry_after_may_be_a_date():
    with StubServer(lambda body: error(503, retry_after=email.utils.formatdate(time.time() + 600))) as server:
        failed = failing(client(server), "complete")
    assert 500 < failed.retry_after <= 600
    assert len(server.requests) == 1


@pytest.mark.parametrize("way", BOTH)
def test_a_server_that_asks_for_more_than_the_patience_is_not_asked_again(way):
    with StubServer(error(429, retry_after=3600)) as server:
        failed = failing(client(server), way)
    assert len(server.requests) == 1
    assert "wait 3,600 s" in str(failed)


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_hangs_is_a_timeout_and_is_asked_twice(way):
    with StubServer(Reply(TEXT, delay=60)) as server:
        failed = failing(client(server, timeout=0.3), way)
    assert failed.kind == "timeout"
    assert len(server.requests) <= 2


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_is_down_says_how_it_cannot_be_reached(way):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        failed = failing(OpenAIChat("stub", base_url=url, retries=QUICK), way)
    assert failed.kind == "unreachable"
    assert "refused" in str(failed)
    assert "check base_url" in str(failed)


def test_what_failed_attempts_used_is_counted():
    reported = {"prompt_tokens": 100, "completion_tokens": 20, "cost": 0.5}
    empty = Reply(TEXT, fault="empty_choices", usage=reported)
    with StubServer([empty, empty, Reply(TEXT, usage=reported)]) as server:
        assert client(server).complete(HELLO).usage == Usage(300, 60, 0, 1.5)
    with StubServer(empty) as server:
        assert failing(client(server), "complete").usage == Usage(300, 60, 0, 1.5)


# ---- streams that break


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("fault", ["reset", "cut", "error_event"])
def test_a_stream_that_stops_in_its_text_is_not_sent_again_and_says_what_it_cost(way, fault):
    with StubServer(Reply(TEXT * 10, fault=fault)) as server:
        failed = failing(client(server), way)
    assert len(server.requests) == 1
    assert failed.kind == "broken_off"
    assert failed.usage.estimated
    assert failed.usage.output > 10


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("fault", ["reset", "cut"])
def test_a_stream_that_stops_before_its_text_is_sent_again(way, fault):
    thinking = Reply("x", reasoning="So. " * 100, fault=fault)
    with StubServer([thinking, Reply(TEXT)]) as server:
        pieces, completion = call(client(server), way)
    assert "".join(pieces) == completion.text == TEXT
    assert completion.usage.output > len(TEXT) // 4 + 30  # the thinking of the first was paid for, too


def test_a_stream_that_nobody_reads_on_is_closed():
    with StubServer(Reply(TEXT * 100, drip=0.05)) as server:
        lm = client(server)
        stream = lm.stream(HELLO)
        next(stream)
        stream.close()
        assert lm.throttle.start() is not None
        deadline = time.monotonic() + 20
        while server.in_flight and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.in_flight == 0


# ---- keys and addresses


def test_a_missing_key_names_the_variable_to_set(monkeypatch):
    for way in WAYS:
        failed = failing(OpenAIChat("gpt-4o"), way)
        assert (failed.kind, "set OPENAI_API_KEY" in str(failed)) == ("auth", True)
        failed = failing(OpenAIChat("zai-org/glm-4.7", preset="anannas"), way)
        assert (failed.kind, "set ANANNAS_API_KEY" in str(failed)) == ("auth", True)


def test_the_preset_has_its_own_address_and_key(monkeypatch):
    assert PRESETS["anannas"].base_url == "https://api.anannas.ai/v1"
    monkeypatch.setenv("OPENAI_API_KEY", "of-another-provider")
    monkeypatch.setenv("ANANNAS_API_KEY", f"{KEY}\n")
    with StubServer() as server:
        monkeypatch.setitem(PRESETS, "anannas", Preset(server.url, "ANANNAS_API_KEY"))
        OpenAIChat("zai-org/glm-4.7", preset="anannas").complete(HELLO)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].body["model"] == "zai-org/glm-4.7"


def test_address_and_key_may_come_from_the_environment(monkeypatch):
    with StubServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        OpenAIChat("stub").complete(HELLO)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_server_of_ones_own_needs_no_key():
    with StubServer() as server:
        assert OpenAIChat("stub", base_url=server.url).complete(HELLO).text == "ok"


def test_a_key_that_cannot_be_one_is_not_sent_or_shown():
    with StubServer() as server:
        failed = failing(client(server, api_key="clé-secrète"), "complete")
    assert failed.kind == "auth"
    assert "secrète" not in str(failed)
    assert server.requests == []


def test_the_key_is_in_no_repr():
    assert KEY not in repr(OpenAIChat("gpt-4o", api_key=KEY))


@pytest.mark.parametrize(
    "arguments",
    [{"preset": "nobody"}, {"preset": "anannas", "base_url": "http://x/v1"}, {"base_url": "api.example/v1"}],
)
def test_an_address_that_cannot_be_one_is_refused_at_once(arguments):
    with pytest.raises(ValueError, match=r"preset|base_url"):
        OpenAIChat("gpt-4o", **arguments)


# ---- many at once


def test_calls_above_what_a_provider_bears_are_held_back_until_it_bears_them():
    bears = 3

    def script(body):
        return error(429) if server.in_flight >= bears else Reply(TEXT, delay=0.02)

    with StubServer(script) as server:
        lm = client(server, retries=RetryRule(retries=12, first=0.02))
        replies, errors = [], []

        def work():
            for _ in range(3):
                try:
                    replies.append(lm.complete(HELLO).text)
                except LMCallError as failed:
                    errors.append(failed)

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    assert replies == [TEXT] * 48
    assert len(server.requests) < 48 * 2  # without a throttle about 125


def test_a_pause_that_a_provider_asks_for_holds_for_all_its_lms():
    arrivals = []

    def script(body):
        arrivals.append(time.monotonic())
        return error(429, retry_after=0.5) if len(arrivals) == 1 else TEXT

    with StubServer(script) as server:
        refused, other = client(server, "a"), client(server, "b")
        waiting = threading.Thread(target=refused.complete, args=(HELLO,))
        waiting.start()
        while refused.throttle.limit is None and waiting.is_alive():
            time.sleep(0.005)
        other.complete(HELLO)
        waiting.join()
    assert len(arrivals) == 3
    assert min(arrivals[1:]) - arrivals[0] >= 0.5


def test_async_calls_run_at_once():
    async def main(lm):
        return await asyncio.gather(*(lm.acomplete(HELLO) for _ in range(12)))

    with StubServer(Reply(TEXT, delay=0.2)) as server:
        assert [completion.text for completion in asyncio.run(main(client(server)))] == [TEXT] * 12
    assert server.peak > 6


@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
def test_one_client_serves_one_event_loop_after_the_other_and_leaves_nothing_open(caplog):
    caplog.set_level(logging.WARNING)
    with StubServer() as server:
        lm = client(server)
        for _ in range(3):
            assert asyncio.run(lm.acomplete(HELLO)).text == "ok"
            gc.collect()
    assert caplog.records == []


def test_an_async_call_can_be_cancelled():
    async def main(lm):
        task = asyncio.create_task(lm.acomplete(HELLO))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return task.cancelled()

    with StubServer(Reply(TEXT, delay=60)) as server:
        assert asyncio.run(main(client(server)))
    assert len(server.requests) == 1


def test_nothing_more_is_sent_once_the_driver_stops():
    stop = threading.Event()
    with StubServer(error(503, retry_after=60)) as server:
        lm, caught = client(server), []

        def work():
            stopping.set(stop)
            try:
                lm.complete(HELLO)
            except LMCallError as failed:
                caught.append(failed)

        thread = threading.Thread(target=work)
        thread.start()
        while not server.requests:
            time.sleep(0.01)
        stop.set()
        thread.join(timeout=20)
    assert [failed.kind for failed in caught] == ["cancelled"]
    assert len(server.requests) == 1


# ---- imports


def test_nothing_third_party_is_loaded_before_the_first_call():
    code = "import sys; from rlm_core.openai_chat import OpenAIChat; OpenAIChat('m'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"openai", "genai_prices", "pydantic", "httpx", "httpx2"} & set(done.stdout.split())
