"""A strategy made in DSPy, run by `llm`: the bodies that both send are the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dspy
import pytest

from dspy_rlm import RLM, export_strategy
from rlm_core import strategies
from rlm_core.strategies import Example, Step, Strategy
from tests.stub_server import StubServer

TEXT = "".join(f"On day {number} nothing of note was written down.\n" for number in range(2_000))
QUERY = "On how many days was something written down?"
STRATEGY = Strategy(
    "two-examples",
    "Search, then count.",
    examples=(
        Example(
            "Who came?",
            "context: a letter",
            (Step("I look.", "print(grep('came'))", "['Ann came']"), Step("", "SUBMIT('Ann')")),
        ),
        Example(
            "How many?",
            "context: a list",
            (Step("", "print(len(data))", "3"), Step("Three.", "SUBMIT(len(data))")),
        ),
    ),
)
CELLS = [
    "I begin.\n```repl\nprint(context[:300])\n1 / 0\n```",
    "```repl\nanswer_of_it = llm_query('Is this a diary?\\n' + context[:500])\nprint(answer_of_it)\n```",
    *[f"More.\n```repl\nprint(context[{at}:{at} + 3_000])\n```" for at in range(0, 36_000, 3_000)],
    "There is no code in this one.",
    "```repl\ncount = len(grep('nothing of note'))\nprint(count)\n```",
    "```repl\nSUBMIT(count)\n```",
]  # fmt: skip


def script() -> Any:
    """The same replies for whoever asks: sub-calls by their prompt, steps in order."""
    cells = iter(CELLS)

    def reply(body: dict[str, Any]) -> str:
        return "Yes, it is." if len(body["messages"]) == 1 else next(cells)

    return reply


def sent(server: StubServer) -> list[Any]:
    return [request.body["messages"] for request in server.requests]


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    program = RLM("context, query -> answer", strategy=STRATEGY)
    with pytest.warns(UserWarning, match="private text"):
        export_strategy(program, tmp_path / "two-examples.json")
    return tmp_path / "two-examples.json"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A strategy in the wording for small models, without advice and without examples."""
    strategies.save(Strategy("bare", "", wording="small", card_chars=120), tmp_path / "bare.json")
    return tmp_path / "bare.json"


def by_llm(exported: Path, folder: Path) -> tuple[str, list[Any]]:
    pytest.importorskip("llm")
    (folder / "llm").mkdir()
    (folder / "rlm").mkdir()
    (folder / "rlm" / "prices.toml").write_text('["stub"]\nwindow = 6000\n')
    with StubServer(script()) as server:
        model = {"model_id": "stub", "model_name": "stub", "api_base": server.url, "api_key_name": "stub"}
        (folder / "llm" / "extra-openai-models.yaml").write_text(json.dumps([model]))  # JSON is YAML
        (folder / "llm" / "keys.json").write_text('{"stub": "a-key"}')
        done = subprocess.run(
            [sys.executable, "-m", "llm", "-m", "rlm-stub", "-o", "strategy", str(exported), QUERY],
            input=TEXT,
            text=True,
            capture_output=True,
            timeout=120,
            env=os.environ | {"LLM_USER_PATH": str(folder / "llm"), "RLM_HOME": str(folder / "rlm")},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip(), sent(server)


def by_dspy(exported: Path) -> tuple[str, list[Any]]:
    with StubServer(script()) as server:
        lm = dspy.LM("openai/stub", api_base=server.url, api_key="a-key", cache=False, num_retries=0)
        rlm = RLM(
            "context, query -> answer",
            max_llm_calls=200,
            max_output_chars=20_000,
            strategy=str(exported),
            window=6_000,
            sub_window=6_000,
        )
        with dspy.context(lm=lm):
            prediction = rlm(context=TEXT, query=QUERY)
        return str(prediction.answer), sent(server)


def test_llm_and_dspy_send_the_same(exported: Path, tmp_path: Path) -> None:
    their_answer, theirs = by_llm(exported, tmp_path)
    our_answer, ours = by_dspy(exported)
    assert their_answer == our_answer == "2000"
    assert len(ours) == len(theirs) == len(CELLS) + 1
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == other
    last = json.dumps(ours[-1])
    assert "ZeroDivisionError" in json.dumps(ours[1])
    assert "characters of this old output left out" in last  # history was compacted
    assert "Yes, it is." in last
    assert "Search, then count." in ours[0][0]["content"]
    assert ours[0][1]["content"] == "context: a letter\n\nQuestion: Who came?"


def test_so_they_do_with_a_strategy_that_says_nothing(bare: Path, tmp_path: Path) -> None:
    their_answer, theirs = by_llm(bare, tmp_path)
    our_answer, ours = by_dspy(bare)
    assert their_answer == our_answer == "2000"
    assert ours == theirs
    assert ours[0][0]["content"].endswith("FINAL(NOT_FOUND).")  # the contract, and no words of DSPy's own
