"""The embedded model.  What needs its weights is marked so; the rest runs without."""

from __future__ import annotations

import asyncio
import copy
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlm_core import RLM, Limits, local, weights
from rlm_core.lms import Completion, LMCallError, Message
from rlm_core.local import Engine, LocalLM

WEIGHTS = weights.found(weights.DEFAULT)  # before any test moves the home
LONG = "Count from 1 to 5000, one number a line, and leave none out."


def ask(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def lm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalLM:
    """The model, loaded once for all tests; what it saves goes to a folder of the test's own."""
    monkeypatch.setenv("RLM_HOME", str(tmp_path))
    assert WEIGHTS is not None
    return LocalLM(WEIGHTS, window=2_048)


# ---- without weights


def test_without_its_runtime_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LMCallError, match=r"llm install 'llm-rlm\[local\]'"):
        LocalLM().complete(ask("hi"))


@pytest.mark.parametrize("content", [None, b"text", b"GGUF and nothing that follows"])
def test_a_path_that_is_no_model_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "model.gguf"
    if content:
        path.write_bytes(content)
    with pytest.raises(LMCallError, match="GGUF") as failure:
        LocalLM(path).complete(ask("hi"))
    assert "\n" not in str(failure.value)


def test_no_weights_to_be_had_is_an_error_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp")

    def cannot(name: str) -> Path:
        raise weights.WeightsError("could not fetch")

    monkeypatch.setattr(weights, "weights", cannot)
    with pytest.raises(LMCallError, match="could not fetch"):
        LocalLM().complete(ask("hi"))
    with pytest.raises(LMCallError, match="could not fetch"):
        asyncio.run(LocalLM().acomplete(ask("hi")))


def test_threads_are_one_less_than_cores_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RLM_LOCAL_THREADS", raising=False)
    monkeypatch.setattr(local, "_cores", lambda: 8)
    assert local.default_threads() == 7
    monkeypatch.setattr(local, "_cores", lambda: 1)
    assert local.default_threads() == 1
    monkeypatch.setenv("RLM_LOCAL_THREADS", "3")
    assert local.default_threads() == 3
    monkeypatch.setenv("RLM_LOCAL_THREADS", "many")
    with pytest.raises(LMCallError, match="RLM_LOCAL_THREADS=many"):
        local.default_threads()


def test_a_copy_has_settings_of_its_own_and_a_deep_copy_is_the_same() -> None:
    first = LocalLM()
    second = first.copy(temperature=0.7, max_tokens=5)
    assert (first.temperature, second.temperature, second.max_tokens) == (0.0, 0.7, 5)
    assert copy.deepcopy(first) is first
    with pytest.raises(TypeError, match="temprature"):
        first.copy(temprature=1)


# ---- with weights


@pytest.mark.weights
def test_it_answers_for_nothing_and_counts_its_tokens(lm: LocalLM) -> None:
    first, second = (lm.complete(ask("Name the capital of Italy.")) for _ in range(2))
    assert "Rome" in first.text
    assert first.text == second.text  # temperature 0
    assert first.usage.input > 5
    assert first.usage.output > 0
    assert first.usage.cost == 0.0
    assert second.usage.cached > first.usage.cached


@pytest.mark.weights
def test_simple_questions(lm: LocalLM) -> None:
    asked = {
        "What is 7 + 5?": "12",
        "Which planet is known as the red planet?": "Mars",
        "What is the opposite of hot?": "cold",
        "Write a Python expression for the length of the list x.": "len(x)",
        "How many days has a week?": "7",
    }
    right = [answer.lower() in lm.complete(ask(query)).text.lower() for query, answer in asked.items()]
    assert sum(right) >= 4


@pytest.mark.weights
def test_a_stream_gives_pieces_and_the_whole_last(lm: LocalLM) -> None:
    *pieces, last = lm.stream(ask("Count from 1 to 5."))
    assert isinstance(last, Completion)
    assert len(pieces) > 3
    assert "".join(str(piece) for piece in pieces) == last.text


@pytest.mark.weights
def test_on_an_event_loop_other_tasks_go_on(lm: LocalLM) -> None:
    async def main() -> tuple[list[str | Completion], int]:
        ticks, done = 0, asyncio.Event()

        async def tick() -> None:
            nonlocal ticks
            while not done.is_set():
                ticks += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        pieces = [piece async for piece in lm.astream(ask("Count from 1 to 5."))]
        done.set()
        await ticking
        return pieces, ticks

    pieces, ticks = asyncio.run(main())
    assert isinstance(pieces[-1], Completion)
    assert "".join(str(piece) for piece in pieces[:-1]) == pieces[-1].text
    assert ticks > len(pieces)


@pytest.mark.weights
def test_a_reply_ends_at_its_limits(lm: LocalLM) -> None:
    assert lm.copy(max_tokens=3).complete(ask(LONG)).usage.output == 3
    assert "3" not in lm.copy(stop=["3"]).complete(ask("Count: 1, 2, 3, 4, 5")).text


@pytest.mark.weights
def test_a_prompt_over_the_window_is_an_overflow(lm: LocalLM) -> None:
    with pytest.raises(LMCallError, match=r"too many tokens.*window") as failure:
        lm.complete(ask("word " * 3_000))
    assert failure.value.kind == "overflow"


@pytest.mark.weights
def test_what_no_parser_takes_is_sent_as_question_marks(lm: LocalLM) -> None:
    assert lm.complete(ask("Say hi.\ud800")).text


@pytest.mark.weights
def test_a_stream_that_nobody_reads_on_frees_the_model(lm: LocalLM) -> None:
    stream = lm.copy(max_tokens=2_000).stream(ask(LONG))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert lm.copy(max_tokens=3).complete(ask("Say hi.")).usage.output == 3


@pytest.mark.weights
def test_calls_from_many_threads_take_turns(lm: LocalLM) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(lm.complete(ask(f"Say only: {n}")).text))
        for n in (4, 7)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(answers) == 2
    assert len({Engine.get(lm), Engine.get(lm.copy(temperature=1.0))}) == 1


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Engine]]:
    """Two engines, as two processes would have them, which save any beginning."""
    monkeypatch.setenv("RLM_HOME", str(tmp_path))
    monkeypatch.setattr(local, "PREFIX_CHARS", 50)
    assert WEIGHTS is not None
    return [Engine(WEIGHTS, 1, 1_024) for _ in range(2)]


@pytest.mark.weights
def test_what_a_process_has_read_the_next_need_not_read(engines: list[Engine], tmp_path: Path) -> None:
    messages: list[Message] = [
        {"role": "system", "content": "You answer in one word. " * 8},
        {"role": "user", "content": "What colour is the sky?"},
    ]
    used: list[dict[str, Any]] = []
    for engine in engines:
        engine.warm(messages, threading.Event())
        chunks: list[dict[str, Any]] = []
        engine.chat({"messages": messages, "max_tokens": 2}, lambda chunk: bool(chunks.append(chunk)))  # noqa: B023
        used += [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    (file,) = (tmp_path / "prefixes").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    first, second = (usage["prompt_tokens_details"]["cached_tokens"] for usage in used)
    assert first == second > 40


@pytest.mark.weights
def test_saved_beginnings_that_are_broken_or_old_do_no_harm(
    engines: list[Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "PREFIXES", 2)
    system: Message = {"role": "system", "content": "You answer in one word. " * 8}
    for n, engine in enumerate(engines):
        folder = tmp_path / "prefixes"
        (folder / f"{n}.kv").write_bytes(b"nothing that can be restored")
        name = engine._fingerprint([system])
        (folder / f"{name}.kv").write_bytes(b"nothing that can be restored")
        engine.warm([system, *ask("Hi.")], threading.Event())
        assert (folder / f"{name}.kv").stat().st_size > 1_000
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({}, ["0.kv", "1.kv", "2.kv", "3.kv", "new.77"]),
        ({"PREFIXES": 2}, ["0.kv", "1.kv", "new.77"]),
        ({"PREFIX_BYTES": 350}, ["0.kv", "1.kv", "2.kv", "new.77"]),
        ({"PREFIX_BYTES": 50}, ["0.kv", "new.77"]),
    ],
    ids=str,
)
def test_saved_beginnings_are_few_and_small_and_the_latest_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int], left: list[str]
) -> None:
    for name, value in limits.items():
        monkeypatch.setattr(local, name, value)
    now = time.time()
    for age, name in enumerate(["0.kv", "1.kv", "2.kv", "3.kv", "new.77"]):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (now - age, now - age))
    killed = tmp_path / "old.78"  # as a process was writing it
    killed.touch()
    os.utime(killed, (now - 7_200, now - 7_200))
    local.tidy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == left


@pytest.mark.weights
def test_the_port_that_the_runtime_opens_is_locked(lm: LocalLM) -> None:
    address = Engine.get(lm).server.listening_address
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/v1/models", timeout=30)
    assert refused.value.code == 401


@pytest.mark.weights
def test_ctrl_c_ends_a_process_in_the_middle_of_a_call_and_nothing_is_on_stderr_before(
    tmp_path: Path,
) -> None:
    code = f"""
import sys
from rlm_core.local import LocalLM
try:
    for piece in LocalLM({str(WEIGHTS)!r}, window=8192, max_tokens=8000).stream([{ask(LONG)[0]!r}]):
        print("piece", flush=True)
except KeyboardInterrupt:
    sys.exit(7)
"""
    env = {**os.environ, "RLM_HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"piece\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 7  # a whole reply takes minutes
        assert process.stderr.read() == b""


@pytest.mark.weights
def test_as_the_root_of_an_rlm_it_finds_and_counts_in_a_million_characters(lm: LocalLM) -> None:
    rlm = RLM(LocalLM(lm.name), strategy="small", limits=Limits(iterations=6))
    hay = [f"Entry {n}: nothing happened at the mill, and the mule was fed." for n in range(16_500)]
    facts = {
        "What is the secret word of the night watch?": (
            "quartz",
            "The secret word of the night watch is quartz.",
        ),
        "Who stole the silver spoon?": ("Ingrid", "It was Ingrid who stole the silver spoon."),
        "What is the weight of the anchor?": ("450", "The weight of the anchor is 450 kilograms."),
        "Where is the treasure map hidden?": ("piano", "The treasure map is hidden inside the piano."),
    }
    lines = hay[:14_000] + [line for _, line in facts.values()] + hay[14_000:]
    lines += [f"Entry {n}: a blue kite was seen." for n in range(23)]
    text = "\n".join(lines)
    assert len(text) > 1_000_000
    asked = {query: answer for query, (answer, _) in facts.items()}
    asked["How many lines speak of a blue kite?"] = "23"
    results = {query: rlm.completion(text, query) for query in asked}
    right = [asked[query].lower() in str(result.answer).lower() for query, result in results.items()]
    assert sum(right) >= 4, {query: result.answer for query, result in results.items()}
    assert all(any(turn.code for turn in result.trajectory) for result in results.values())
